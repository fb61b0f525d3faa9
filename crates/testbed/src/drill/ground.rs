//! Where drills are held, and following what is printed there.

use super::printed::{self, Printed};
use crate::banyan::answers::{Extraction, Stream};
use crate::banyan::{CommandLine, Serve};
use crate::deadline;
use crate::scene::{MONOLITH_DATABASE, Scene};
use crate::workload::Workload;
use anyhow::{Context, Result, bail, ensure};
use std::time::{Duration, Instant};

/// Within this time a person who follows what is printed has everything healthy.
const HEALTHY_LIMIT: Duration = Duration::from_mins(2);

/// How often the same thing is run again because it is still printed.
const MOST_REPEATS: usize = 3;

/// How often a hand-over that is refused is tried again.
const MOST_HANDOVERS: usize = 8;

/// What stands.
pub struct Ground {
    pub(super) serve: Option<Serve>,
    pub(super) banyan: CommandLine,
    pub(super) scene: Scene,
    /// What was run because it was printed, since this was cleared last.
    pub(super) followed: Vec<String>,
}

impl Ground {
    pub(super) fn new(scene: Scene, banyan: CommandLine, serve: Serve) -> Self {
        Self {
            serve: Some(serve),
            banyan,
            scene,
            followed: Vec::new(),
        }
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
            let reason = done.reason().to_owned();
            if printed::first(&reason).is_some_and(|one| one != see_status()) {
                self.follow(&reason).await?;
            }
        }
        bail!(
            "no hand-over to the {to} was committed: {:?}",
            self.status().await?.last_handover
        );
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

    /// Writes that clients send from now on are acknowledged.
    pub(super) async fn work_goes_on(&self, workload: &Workload) -> Result<()> {
        let view = workload.view();
        let before = view.total().writes_acknowledged;
        deadline::poll("acknowledged writes", HEALTHY_LIMIT, || {
            Ok((view.total().writes_acknowledged > before).then_some(()))
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
