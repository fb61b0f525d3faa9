//! A service, started as a process.

use crate::binaries;
use crate::http_client;
use crate::ports;
use crate::process::{Exit, Process, Spec};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

const START_LIMIT: Duration = Duration::from_secs(30);

/// Where the service says that it can work.
pub const HEALTH_PATH: &str = "/health/ready";

/// The service, serving.
#[derive(Debug)]
pub struct Service {
    url: String,
    process: Process,
    spec: Spec,
    logs: PathBuf,
}

impl Service {
    /// Starts contracts on a database, which it migrates itself, and waits until it
    /// is ready.
    pub async fn start(database: &str, monolith_url: &str, logs: &Path) -> Result<Self> {
        let variables = [("DATABASE_URL", database), ("MONOLITH_URL", monolith_url)];
        Self::of("contracts", ports::free()?, &variables, logs).await
    }

    /// Starts the service of a name on a port, and waits until it is ready.
    pub async fn of(
        name: &str,
        port: u16,
        variables: &[(&str, &str)],
        logs: &Path,
    ) -> Result<Self> {
        let mut spec = Spec::new(name, binaries::find(name)?)
            .env("SERVICE_HOST", "127.0.0.1")
            .env("SERVICE_PORT", port.to_string());
        for (name, value) in variables {
            spec = spec.env(name, value);
        }
        let url = format!("http://127.0.0.1:{port}");
        let process = started(&spec, &url, logs).await?;
        Ok(Self {
            url,
            process,
            spec,
            logs: logs.to_owned(),
        })
    }

    /// Kills it; its address stays.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it anew where it was, and waits until it is ready.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = started(&self.spec, &self.url, &self.logs).await?;
        Ok(())
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it.
    pub async fn stop(mut self) -> Exit {
        self.process.stop().await
    }
}

async fn started(spec: &Spec, url: &str, logs: &Path) -> Result<Process> {
    let mut process = Process::start(spec, logs)?;
    http_client::until_healthy(url, HEALTH_PATH, START_LIMIT, || process.ensure_running())
        .await
        .with_context(|| process.log_tail())?;
    Ok(process)
}
