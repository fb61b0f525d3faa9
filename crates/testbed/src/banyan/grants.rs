//! Doing what `banyan check` says to run.

use super::CommandLine;
use super::answers::Check;
use crate::cluster::Cluster;
use anyhow::{Context, Result, bail};

/// How often `check` may find more, once what it found is mended.
const MOST_CHECKS: usize = 5;

impl CommandLine {
    /// Has psql run what `check --sql` prints, as a superuser of each side's cluster
    /// and in this database of its, until `check` refuses nothing.
    pub async fn run_what_check_prints(
        &self,
        monolith: (&Cluster, &str),
        (service, cluster, database): (&str, &Cluster, &str),
    ) -> Result<()> {
        for _ in 0..MOST_CHECKS {
            let printed = self.run("check", &["--json"]).await?;
            let check: Check = serde_json::from_str(&printed.stdout).context(printed.stderr)?;
            if check.ok {
                return Ok(());
            }
            for (place, (cluster, database)) in
                [("monolith", monolith), (service, (cluster, database))]
            {
                let sql = format!("--sql={place}");
                let script = self.run("check", &[&sql]).await?.stdout;
                cluster.psql(database, &script).await?;
            }
        }
        bail!("`banyan check` is never content")
    }
}
