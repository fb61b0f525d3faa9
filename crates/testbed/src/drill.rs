//! Drills: on one running extraction, under load, one failure after the other is
//! provoked; then only what Banyan prints is followed, until everything is
//! healthy and both sides are proven to agree. At the end an auditor looks.
//!
//! Nothing here knows how a failure is mended: `status` and the errors of verbs
//! are read, the first command or statement in each is run ([`printed`]).

mod blocker;
mod faults;
mod ground;
mod outcome;
mod printed;
mod site;

pub use faults::{FAULTS, Fault};
pub use outcome::{DrillOutcome, Verdict};

use crate::auditor::{Auditor, Claim};
use crate::scene;
use crate::workload::{self, Workload};
use anyhow::{Context, Result, ensure};
use ground::Ground;
use site::Site;
use std::time::Instant;

/// How much is drilled.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is set in.
    pub scene: scene::Settings,
    /// How often all of them.
    pub rounds: u32,
    /// Only those whose names contain one of these; all where there is none.
    pub only: Vec<String>,
    /// Requests per second of the clients.
    pub rate: f64,
}

impl Settings {
    /// Small tables, all of the drills, once.
    pub fn usual() -> Self {
        Self {
            scene: scene::Settings::fast(300),
            rounds: 1,
            only: Vec::new(),
            rate: 40.0,
        }
    }

    fn picks(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()))
    }
}

/// Provokes the failures in turn. An error: it could not even be begun or
/// audited; a drill that fails is a verdict, and ends the round.
pub async fn run(settings: &Settings, tell: &(dyn Fn(&str) + Sync)) -> Result<DrillOutcome> {
    let site = Site::set(&settings.scene, tell).await?;
    let scene = &site.scene;
    tell("banyan serve");
    let serve = site.banyan.serve(scene.logs()).await?;
    site.banyan.start().await?;
    let (monolith, service) = (scene.monolith_database()?, scene.contracts_database()?);
    let work = workload::Settings {
        rate: settings.rate,
        ..workload::Settings::default()
    };
    let auditor = Auditor::begin(&monolith, Some(&service), &work.run).await?;
    let run = work.run.clone();
    let workload = Workload::start(serve.gateway(), work, "drills").await?;
    let writer = scene.project.start_writer(5, &format!("{run}-cron"))?;
    let mut ground = Ground::new(site, serve);
    ground.healthy("the beginning").await?;
    ground.banyan.shift("100%").await?;
    let mut verdicts = Vec::new();
    'rounds: for round in 1..=settings.rounds {
        for fault in FAULTS.iter().filter(|fault| settings.picks(fault.name)) {
            tell(fault.name);
            let verdict = drill(&mut ground, fault, round, &workload).await;
            if let Some(why) = &verdict.skipped {
                tell(&format!("SKIPPED: {why}"));
            }
            if let Some(why) = &verdict.failure {
                tell(&format!("FAILED: {why}"));
            }
            let failed = verdict.failure.is_some();
            verdicts.push(verdict);
            if failed {
                break 'rounds;
            }
        }
    }
    ensure!(!verdicts.is_empty(), "no drill has such a name");
    tell("audit");
    let background = writer.stop().await?;
    let finished = workload.stop().await?;
    let claims = Claim::all(&finished.writes, &background);
    let whole = verdicts.iter().all(|verdict| verdict.failure.is_none());
    let mut problems = Vec::new();
    if whole && let Err(error) = ground.healthy("the end").await {
        problems.push(format!("{error:#}"));
    }
    let acknowledged = match auditor.audit(&claims).await {
        Ok(audit) => {
            problems.extend(audit.problems().iter().map(|&problem| problem.to_owned()));
            audit.acknowledged as u64
        }
        // A drill that failed may have left it without the means.
        Err(error) => {
            problems.push(format!("nothing could be audited: {error:#}"));
            0
        }
    };
    if finished.total.stale_reads > 0 {
        problems.push(format!("{} stale reads", finished.total.stale_reads));
    }
    Ok(DrillOutcome {
        verdicts,
        problems,
        requests: finished.total.requests,
        failed_requests: finished.total.failed,
        acknowledged,
    })
}

async fn drill(ground: &mut Ground, fault: &Fault, round: u32, workload: &Workload) -> Verdict {
    let began = Instant::now();
    ground.followed.clear();
    ground.skipped = None;
    let done = async {
        ground.own(fault.owner).await.context("getting there")?;
        fault.provoke(ground).await.context("provoking it")?;
        ground.healthy(fault.name).await?;
        ground.work_goes_on(workload).await
    }
    .await;
    Verdict {
        drill: fault.name.to_owned(),
        round,
        followed: std::mem::take(&mut ground.followed),
        seconds: began.elapsed().as_secs_f64(),
        skipped: ground.skipped.take(),
        failure: done.err().map(|error| format!("{error:#}")),
    }
}
