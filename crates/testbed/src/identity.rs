//! The identity service beside a monolith that issues sessions for the same users.

use crate::ports;
use crate::service::Service;
use anyhow::Result;
use std::path::Path;

const SECRET: &str = "a secret of both sides that is long enough";
const KEY: &str = "the-key-of-both-sides";

/// Where the service will be: the monolith is told before it runs.
#[derive(Debug)]
pub struct IdentityPlace {
    port: u16,
    url: String,
}

impl IdentityPlace {
    /// A free one.
    pub fn free() -> Result<Self> {
        let port = ports::free()?;
        let url = format!("http://127.0.0.1:{port}");
        Ok(Self { port, url })
    }

    /// What the monolith is told.
    pub fn monolith_environment(&self) -> Vec<(String, String)> {
        let told = [
            ("JWT_SECRET_KEY", SECRET),
            ("AUTH_SERVICE_URL", &self.url),
            ("AUTH_SERVICE_API_KEY", KEY),
            ("APPLICATION_NAME", "land-contracts-web"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        told.map(owned).into()
    }

    /// Starts the service on a database, beside a monolith.
    pub async fn start(&self, database: &str, monolith: &str, logs: &Path) -> Result<Service> {
        let variables = [
            ("DATABASE_URL", database),
            ("JWT_SECRET_KEY", SECRET),
            ("AUTH_SERVICE_API_KEY", KEY),
            ("LEGACY_AUTH_URL", monolith),
            ("LEGACY_AUTH_API_KEY", KEY),
            ("PASSWORD_ITERATIONS", "100000"),
            // All come from one address here.
            ("REQUESTS_PER_ADDRESS", "100000"),
            ("LOGIN_FAILURES_PER_ADDRESS", "100000"),
            ("LOGIN_FAILURES_PER_ACCOUNT", "1000"),
        ];
        Service::of("identity", self.port, &variables, logs).await
    }
}
