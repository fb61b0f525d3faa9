//! Where drills are held, and following what is printed there.

use super::printed::{self, Printed};
use super::site::{Networks, Site};
use crate::banyan::answers::{Extraction, Stream};
use crate::banyan::{CommandLine, Serve};
use crate::cluster::Cluster;
use crate::deadline;
use crate::process::Finished;
use crate::scene::{CONTRACTS_DATABASE, MONOLITH_DATABASE, Scene};
use crate::silent_network::SilentNetwork;
use crate::small_disk::SmallDisk;
use crate::workload::Workload;
use anyhow::{Context, Result, bail, ensure};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// Within this time a person who follows what is printed has everything healthy.
const HEALTHY_LIMIT: Duration = Duration::from_mins(2);

/// How often the same thing is run again because it is still printed.
const MOST_REPEATS: usize = 3;

/// How often a hand-over that is refused is tried again.
const MOST_HANDOVERS: usize = 8;

/// The sides, as commands name them.
pub(super) const MONOLITH: &str = "monolith";
pub(super) const SERVICE: &str = "service";

/// Until what a drill waits for is there.
pub(super) const LIMIT: Duration = Duration::from_mins(1);

/// What stands.
pub struct Ground {
    pub(super) serve: Option<Serve>,
    pub(super) banyan: CommandLine,
    pub(super) scene: Scene,
    /// Under the state directory, where one can be mounted.
    pub(super) state_disk: Option<SmallDisk>,
    networks: Networks,
    /// Why the present drill could not be held here.
    pub(super) skipped: Option<String>,
    /// What was run because it was printed, since this was cleared last.
    pub(super) followed: Vec<String>,
}

impl Ground {
    pub(super) fn new(site: Site, serve: Serve) -> Self {
        Self {
            serve: Some(serve),
            banyan: site.banyan,
            scene: site.scene,
            state_disk: site.state_disk,
            networks: site.networks,
            skipped: None,
            followed: Vec::new(),
        }
    }

    pub(super) fn cluster(&self, side: &str) -> &Cluster {
        match side {
            "service" => &self.scene.contracts_cluster,
            _ => &self.scene.monolith_cluster,
        }
    }

    pub(super) fn cluster_mut(&mut self, side: &str) -> &mut Cluster {
        match side {
            "service" => &mut self.scene.contracts_cluster,
            _ => &mut self.scene.monolith_cluster,
        }
    }

    /// What lies between banyan and a side's database.
    pub(super) fn network(&self, side: &str) -> &SilentNetwork {
        match side {
            "service" => &self.networks.service,
            _ => &self.networks.monolith,
        }
    }

    pub(super) async fn superuser(&self, side: &str) -> Result<Client> {
        let database = match side {
            "service" => CONTRACTS_DATABASE,
            _ => MONOLITH_DATABASE,
        };
        self.cluster(side).superuser(database).await
    }

    /// The drill cannot be held here, which is said.
    #[expect(clippy::unnecessary_wraps, reason = "the last word of a drill")]
    pub(super) fn skip(&mut self, why: &str) -> Result<()> {
        self.skipped = Some(why.to_owned());
        Ok(())
    }

    /// Starts `banyan serve` where it does not run.
    pub(super) async fn serve(&mut self) -> Result<()> {
        if self.serve.is_none() {
            self.serve = Some(self.banyan.serve(self.scene.logs()).await?);
        }
        Ok(())
    }

    pub(super) async fn status(&self) -> Result<Extraction> {
        Ok(self.banyan.status().await?.contracts())
    }

    /// Until everything runs, following what is printed; then both sides must
    /// agree.
    pub(super) async fn healthy(&mut self, what: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let now = self.status().await?;
            if is_well(&now) {
                break;
            }
            if began.elapsed() > HEALTHY_LIMIT {
                bail!("{what}: not healthy again, last seen: {now:?}");
            }
            let failed = now.streams().filter(|stream| stream.state == "failed");
            let messages: Vec<String> = failed.filter_map(|s: &Stream| s.trouble.clone()).collect();
            match messages.first() {
                Some(message) => {
                    self.follow(message).await?;
                }
                // It passes, or it does not: then the limit says so.
                None => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        let found = self.banyan.verify().await?;
        ensure!(
            found.count() == 0,
            "{what}: {} rows differ: {:?}",
            found.count(),
            found.differences
        );
        ensure!(found.rows > 0, "{what}: nothing was compared");
        Ok(())
    }

    /// Runs the first command or statement of a message.
    pub(super) async fn follow(&mut self, message: &str) -> Result<()> {
        let printed = printed::first(message)
            .with_context(|| format!("it says nothing that can be run: {message}"))?;
        let line = match &printed {
            Printed::Banyan(arguments) => format!("banyan {}", arguments.join(" ")),
            Printed::Sql { database, text } => format!("{database}: {text}"),
        };
        let times = self.followed.iter().filter(|one| **one == line).count();
        if times > 0 && matches!(printed, Printed::Sql { .. }) {
            // It is done; what is printed is from before, until the next attempt.
            self.banyan.run("resume", &["contracts"]).await?;
            return Ok(());
        }
        ensure!(
            times < MOST_REPEATS,
            "`{line}` was run {times} times and it still says: {message}"
        );
        self.followed.push(line.clone());
        match printed {
            Printed::Banyan(arguments) => {
                let (verb, rest) = arguments.split_first().context("no verb")?;
                let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
                let done = self.banyan.run(verb, &rest).await?;
                ensure!(
                    done.code == 0,
                    "`{line}` ended with {}: {}{}",
                    done.code,
                    done.stdout,
                    done.stderr
                );
            }
            Printed::Sql { database, text } => {
                let (monolith, service) = self.scene.superusers().await?;
                let client = if database == MONOLITH_DATABASE {
                    monolith
                } else {
                    service
                };
                client
                    .batch_execute(&text)
                    .await
                    .with_context(|| line.clone())?;
                // Or within half a minute by itself.
                let resumed = self.banyan.run("resume", &["contracts"]).await?;
                if resumed.code != 0 {
                    // Something else is wrong as well: it is seen next.
                    self.followed.push("banyan resume contracts".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Has a side own, as a drill needs it.
    pub(super) async fn own(&mut self, owner: &str) -> Result<()> {
        if self.status().await?.owner == owner {
            return Ok(());
        }
        self.hand_over(owner).await
    }

    /// Hands over, following what is printed where that is refused.
    pub(super) async fn hand_over(&mut self, to: &str) -> Result<()> {
        for _ in 0..MOST_HANDOVERS {
            let done = match to {
                "service" => self.banyan.switch().await?,
                _ => self.banyan.rollback().await?,
            };
            if done.is_committed() {
                return Ok(());
            }
            self.follow_refusal(done.reason()).await?;
        }
        bail!(
            "no hand-over to the {to} was committed: {:?}",
            self.status().await?.last_handover
        );
    }

    /// Asks for a hand-over, without waiting for what comes of it.
    pub(super) fn begin(&self, to: &str) -> JoinHandle<Result<Finished>> {
        let verb = match to {
            "service" => "switch",
            _ => "rollback",
        };
        let banyan = self.banyan.clone();
        tokio::spawn(async move { banyan.run(verb, &["contracts", "--yes"]).await })
    }

    /// Does what a refusal says, where it says something.
    pub(super) async fn follow_refusal(&mut self, reason: &str) -> Result<()> {
        if printed::first(reason).is_some_and(|one| one != see_status()) {
            self.follow(reason).await?;
        }
        Ok(())
    }

    /// A hand-over that must be refused; says why.
    pub(super) async fn refused(&self, to: &str) -> Result<String> {
        let done = match to {
            "service" => self.banyan.switch().await?,
            _ => self.banyan.rollback().await?,
        };
        ensure!(
            !done.is_committed(),
            "the hand-over to the {to} was not refused"
        );
        Ok(done.reason().to_owned())
    }

    /// Waits until a stream has failed, as everybody can see.
    pub(super) async fn seen_to_fail(&self) -> Result<()> {
        deadline::until(
            "a stream to be shown as failed",
            HEALTHY_LIMIT,
            async || {
                let now = self.status().await?;
                let mut streams = now.streams();
                Ok(streams.any(|stream| stream.state == "failed").then_some(()))
            },
        )
        .await
    }

    /// Waits until a stream does not run, as everybody can see.
    pub(super) async fn seen_in_trouble(&self) -> Result<()> {
        deadline::until("a stream in trouble", HEALTHY_LIMIT, async || {
            let now = self.status().await?;
            let mut streams = now.streams();
            Ok(streams.any(|stream| stream.trouble.is_some()).then_some(()))
        })
        .await
    }

    /// Writes that clients send from now on are acknowledged, not just one of them.
    pub(super) async fn work_goes_on(&self, workload: &Workload) -> Result<()> {
        let view = workload.view();
        let before = view.total().writes_acknowledged;
        deadline::poll("acknowledged writes", HEALTHY_LIMIT, || {
            Ok((view.total().writes_acknowledged > before + 5).then_some(()))
        })
        .await
    }
}

fn see_status() -> Printed {
    Printed::Banyan(vec!["status".to_owned()])
}

/// The owner's tables keep their triggers, which let it pass, until they can be
/// locked for a moment: on a busy machine that takes a while, and harms nobody.
const HARMLESS: &str = "dropping the fence's triggers";

fn is_well(now: &Extraction) -> bool {
    let trouble = now.trouble.as_deref();
    matches!(now.phase.as_str(), "following" | "switched")
        && trouble.is_none_or(|trouble| trouble.contains(HARMLESS))
        && now.streams().count() == 2
        && now.streams_run()
}

pub(super) async fn run(client: &Client, statements: &str) -> Result<()> {
    client
        .batch_execute(statements)
        .await
        .with_context(|| statements.to_owned())
}
