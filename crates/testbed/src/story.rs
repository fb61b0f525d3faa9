//! The story: a capability leaves a running monolith under load, goes back,
//! and leaves again, and an auditor looks at what remains.
//!
//! The steps are those of a real migration, in the order of a runbook. The
//! demo tells it at full size, a test case smaller.

mod observer;
mod outcome;
mod report;
mod screen;
mod summary;

pub use outcome::StoryOutcome;
pub use report::{Phase, Report};
pub use screen::Screen;

use crate::auditor::{Auditor, Claim};
use crate::banyan::CommandLine;
use crate::banyan::answers::Handover;
use crate::deadline;
use crate::monolith::{BackgroundOutcome, BackgroundWrite, Writer};
use crate::scene::{self, Scene};
use crate::workload::{self, Workload};
use anyhow::{Result, bail};
use observer::Observer;
use std::sync::Arc;
use std::time::Duration;

/// How many steps are shown: three to set up, six until all reads are at the
/// service, six around the hand-overs, and the end.
pub const STEPS: usize = 16;

/// After a rollback the background writer must write again within this time.
const WRITER_LIMIT: Duration = Duration::from_secs(5);

/// Findings of the auditor that are put into words.
const PROBLEMS_SHOWN: usize = 10;

/// How often a hand-over is asked for.
const HANDOVER_TRIES: u32 = 3;

/// The size of the story.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is set in.
    pub scene: scene::Settings,
    /// Who works meanwhile.
    pub workload: workload::Settings,
    /// Writes per second of the background writer.
    pub writer_rate: u32,
    /// How long each share of the reads is watched.
    pub shift: Duration,
    /// How long each owner is watched.
    pub run: Duration,
}

impl Settings {
    /// As `./x demo` tells it: about a minute and a half.
    pub fn demo(contracts: u64) -> Self {
        Self {
            scene: scene::Settings::durable(contracts),
            workload: workload::Settings::default(),
            writer_rate: 20,
            shift: Duration::from_secs(6),
            run: Duration::from_secs(8),
        }
    }

    /// As a test case tells it.
    pub fn small() -> Self {
        Self {
            scene: scene::Settings::fast(500),
            workload: workload::Settings {
                rate: 80.0,
                ..workload::Settings::default()
            },
            writer_rate: 10,
            shift: Duration::from_secs(2),
            run: Duration::from_secs(3),
        }
    }
}

/// Tells it from the beginning to the end. When the future is dropped,
/// everything that was started ends.
pub async fn tell(settings: &Settings, screen: Arc<Screen>) -> Result<StoryOutcome> {
    // Later ones go first when the future is dropped: the scene is the last.
    let scene = set_scene(settings, &screen).await?;
    let plan = scene.plan()?;
    let banyan = scene.command_line(&plan)?;
    screen.begin("banyan serve");
    let serve = banyan.serve(scene.logs()).await?;
    screen.end(&format!("gateway {}", serve.gateway()));
    screen.print(&format!(
        "watch it in a browser: {}",
        banyan.console("demo").await?
    ));

    let run = &settings.workload.run;
    let (monolith, service) = (scene.monolith_database()?, scene.contracts_database()?);
    let auditor = Auditor::begin(&monolith, Some(&service), run).await?;
    let workload =
        Workload::start(serve.gateway(), settings.workload.clone(), "monolith alone").await?;
    let writer = scene
        .project
        .start_writer(settings.writer_rate, &format!("{run}-cron"))?;
    let observer = Observer::start(Arc::clone(&screen), workload.view(), banyan.clone());
    let mut plot = Plot {
        settings,
        screen: &screen,
        banyan: &banyan,
        workload: &workload,
        writer: &writer,
        handovers: Vec::new(),
        problems: Vec::new(),
        report: Report::default(),
    };
    plot.move_out().await?;
    plot.there_and_back().await?;
    let Plot {
        handovers,
        mut problems,
        mut report,
        ..
    } = plot;

    screen.begin("audit");
    let background = writer.stop().await?;
    let finished = workload.stop().await?;
    let verification = banyan.verify().await?;
    report.verify_rows = verification.rows;
    report.verify_differences += verification.count();
    report.rows_followed = observer.finish(&banyan.status().await?);
    let claims = Claim::all(&finished.writes, &background);
    let audit = auditor.audit(&claims).await?;
    screen.end(&format!(
        "{} writes looked for, {} rows compared",
        claims.len(),
        audit.rows_compared
    ));
    report.add_workload(&finished.total, &finished.phases);
    report.add_handovers(&handovers);
    report.add_audit(&audit);
    let found = audit.problems();
    problems.extend(
        found
            .iter()
            .take(PROBLEMS_SHOWN)
            .map(|&problem| problem.to_owned()),
    );
    if found.len() > PROBLEMS_SHOWN {
        problems.push(format!("{} more like these", found.len() - PROBLEMS_SHOWN));
    }
    problems.extend(failures_of_writer(&background));
    let failures = finished.failures;
    Ok(StoryOutcome {
        report,
        problems,
        failures,
        audit,
        handovers,
        serve,
        banyan,
        plan,
        scene,
    })
}

async fn set_scene(settings: &Settings, screen: &Screen) -> Result<Scene> {
    screen.begin("set-up");
    let tell = |what: &str| screen.data(what.to_owned());
    let scene = Scene::set(&settings.scene, &tell).await?;
    let contracts = settings.scene.contracts;
    screen.end(&format!(
        "2 clusters, monolith with {contracts} contracts, service"
    ));
    Ok(scene)
}

/// What happens, step by step.
struct Plot<'a> {
    settings: &'a Settings,
    screen: &'a Screen,
    banyan: &'a CommandLine,
    workload: &'a Workload,
    writer: &'a Writer,
    handovers: Vec<Handover>,
    problems: Vec<String>,
    report: Report,
}

impl Plot<'_> {
    /// Until the service answers all reads.
    async fn move_out(&mut self) -> Result<()> {
        // The clients began with this phase.
        self.screen.begin("monolith alone");
        self.pass(self.settings.shift / 2).await;

        self.begin("check");
        let check = self.banyan.check().await?;
        if !check.ok {
            bail!("banyan check refuses the example: {:?}", check.findings);
        }
        self.screen
            .end(&format!("ok, {} findings", check.findings.len()));

        self.begin("copy");
        self.banyan.start().await?;
        let contracts = self.banyan.status().await?.contracts();
        self.report.rows_copied = contracts.copy.rows_copied;
        self.screen
            .end(&format!("{} rows, following", contracts.copy.rows_copied));

        self.begin("verify");
        self.verify().await?;

        for reads in ["10%", "50%", "100%"] {
            self.begin(&format!("reads {reads}"));
            self.banyan.shift(reads).await?;
            self.pass(self.settings.shift).await;
        }
        Ok(())
    }

    /// Switch, rollback, switch.
    async fn there_and_back(&mut self) -> Result<()> {
        let refused = self.refused()?;
        if refused > 0 {
            self.problems.push(format!(
                "{refused} background writes refused before any switch"
            ));
        }
        self.hand_over("switch", CommandLine::switch).await?;
        self.watch("service owns", self.settings.run).await;

        self.hand_over("rollback", CommandLine::rollback).await?;
        self.until_writer_writes().await?;
        let refused = self.refused()?;
        self.watch("monolith owns", self.settings.run).await;
        let refused = self.refused()? - refused;
        if refused > 0 {
            self.problems.push(format!(
                "{refused} background writes refused after the rollback"
            ));
        }

        self.hand_over("switch again", CommandLine::switch).await?;
        self.watch("service again", self.settings.run).await;
        Ok(())
    }

    fn begin(&self, name: &str) {
        self.screen.begin(name);
        self.workload.begin_phase(name);
    }

    async fn watch(&self, name: &str, time: Duration) {
        self.begin(name);
        self.pass(time).await;
    }

    /// Lets time pass; the clients work.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
        let phase = self.workload.view().current();
        let counts = &phase.counts;
        self.screen.end(&format!(
            "{} requests, {} failed, {:.0} % of reads by service",
            counts.requests,
            counts.failed,
            counts.service_share_of_reads() * 100.0
        ));
    }

    async fn verify(&mut self) -> Result<()> {
        let found = self.banyan.verify().await?;
        self.report.verify_differences += found.count();
        for difference in found.differences.iter().take(5) {
            self.problems.push(format!("verify found {difference:?}"));
        }
        self.screen
            .end(&format!("{} rows, {} differ", found.rows, found.count()));
        Ok(())
    }

    /// Asks once more where it was aborted, as whoever asks would: on a machine with other
    /// work a transaction may outlast what the plan waits for it.
    async fn hand_over(
        &mut self,
        name: &str,
        ask: impl AsyncFn(&CommandLine) -> Result<Handover>,
    ) -> Result<()> {
        self.begin(name);
        let mut tries = 1;
        let handover = loop {
            let handover = ask(self.banyan).await?;
            if handover.is_committed() {
                break handover;
            }
            let aborted = format!("the {} was aborted: {}", handover.kind, handover.reason());
            if tries == HANDOVER_TRIES {
                bail!(aborted);
            }
            self.screen.print(&format!("{aborted}. Once more"));
            tries += 1;
        };
        self.screen.end(&format!(
            "{:.0} ms, {} requests held, at most {:.0} ms",
            handover.total_ms, handover.held_requests, handover.hold_ms_max
        ));
        self.handovers.push(handover);
        Ok(())
    }

    fn refused(&self) -> Result<usize> {
        let writes = self.writer.writes()?;
        Ok(count_of(&writes, BackgroundOutcome::Refused))
    }

    async fn until_writer_writes(&self) -> Result<()> {
        let written = || {
            let writes = self.writer.writes()?;
            anyhow::Ok(count_of(&writes, BackgroundOutcome::Acknowledged))
        };
        let before = written()?;
        let what = "the background writer to write again after the rollback";
        deadline::poll(what, WRITER_LIMIT, || {
            Ok((written()? > before).then_some(()))
        })
        .await
    }
}

fn count_of(writes: &[BackgroundWrite], outcome: BackgroundOutcome) -> usize {
    writes
        .iter()
        .filter(|write| write.outcome == outcome)
        .count()
}

/// A background writer waits or is refused; any other failure is a problem.
fn failures_of_writer(writes: &[BackgroundWrite]) -> Option<String> {
    let is_bad = |write: &&BackgroundWrite| {
        matches!(
            write.outcome,
            BackgroundOutcome::Failed | BackgroundOutcome::Unknown
        )
    };
    let first = writes.iter().find(is_bad)?;
    let count = writes.iter().filter(is_bad).count();
    let error = first.error.as_deref().unwrap_or("no error given");
    Some(format!(
        "{count} background writes failed, the first: {} {error}",
        first.reference
    ))
}
