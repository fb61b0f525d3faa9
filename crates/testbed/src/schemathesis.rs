//! Schemathesis: tries a running service with what its OpenAPI document allows
//! and with what it does not, and compares the answers with the document.

use crate::binaries;
use crate::process::{self, Spec};
use crate::python::Environment;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// Some hundred requests on a machine with other work.
const LIMIT: Duration = Duration::from_mins(5);

/// What must hold of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance";

/// A service to try.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// Its OpenAPI document: a file or an address.
    pub document: &'a str,
    /// Where the service is.
    pub url: &'a str,
    /// Headers that every request has, as `Name: value`.
    pub headers: &'a [&'a str],
    /// Paths that are none of its business: WebSockets, answers without end.
    pub without: &'a [&'a str],
}

impl Trial<'_> {
    /// Tries it, with `directory` for what is written meanwhile. What does not
    /// hold is the error, with the request that shows it.
    pub async fn run(&self, directory: &Path) -> Result<()> {
        let requirements = "crates/testbed/schemathesis/requirements.txt";
        let python = Environment::ensure(&binaries::repository().join(requirements)).await?;
        let mut spec = Spec::new("schemathesis", python.program("schemathesis"))
            .args(["run", self.document, "--url", self.url])
            .args(["--checks", CHECKS, "--max-examples", "15", "--seed", "7"])
            .args(["--phases", "examples,coverage,fuzzing", "--no-color"])
            .args(["--request-timeout", "20"])
            .args(["--generation-database", ":memory:"])
            .directory(directory);
        for header in self.headers {
            spec = spec.args(["--header", header]);
        }
        for path in self.without {
            spec = spec.args(["--exclude-path", path]);
        }
        process::run(&spec, LIMIT).await?.successful()?;
        Ok(())
    }
}
