//! A script that psql runs.

use super::{Cluster, SUPERUSER};
use crate::process::{self, Spec};
use anyhow::{Context, Result};
use std::{fs, time::Duration};

const LIMIT: Duration = Duration::from_mins(1);

impl Cluster {
    /// Runs a script in a database as the superuser; the first error ends it.
    pub async fn psql(&self, database: &str, script: &str) -> Result<()> {
        let files = tempfile::tempdir()?;
        let file = files.path().join("script.sql");
        fs::write(&file, script)?;
        let address = format!(
            "host={} port={} user={SUPERUSER} dbname={database}",
            self.sockets.display(),
            self.port
        );
        let spec = Spec::new("psql", "psql")
            .args(["-qX", "-v", "ON_ERROR_STOP=1", "-d", &address, "-f"])
            .arg(&file);
        let finished = process::run(&spec, LIMIT).await?;
        finished
            .successful()
            .map(drop)
            .with_context(|| script.to_owned())
    }
}
