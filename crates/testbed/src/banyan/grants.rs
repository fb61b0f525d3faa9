//! Doing what `banyan check` says about rights.

use super::CommandLine;
use super::answers::Check;
use crate::remedy;
use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

/// How often `check` may find more, once what it found is mended.
const MOST_CHECKS: usize = 5;

impl CommandLine {
    /// Runs what `check` prints, as superusers, until it refuses nothing.
    pub async fn grant_what_check_asks(&self, monolith: &Client, service: &Client) -> Result<()> {
        for _ in 0..MOST_CHECKS {
            let printed = self.run("check", &["--json"]).await?;
            let check: Check = serde_json::from_str(&printed.stdout).context(printed.stderr)?;
            if check.ok {
                return Ok(());
            }
            let mut done = Vec::new();
            for finding in check.findings.iter().filter(|one| one.severity == "refuse") {
                let statement = remedy::statements(&finding.remedy)?;
                let at_service = finding.object.contains("service");
                let one = (at_service, statement.clone());
                if !done.contains(&one) {
                    let client = if at_service { service } else { monolith };
                    let ran = client.batch_execute(&statement).await;
                    ran.with_context(|| format!("{finding:?}"))?;
                    done.push(one);
                }
            }
        }
        bail!("`banyan check` is never content")
    }
}
