//! A migration of three extractions that goes by itself, made hard: contracts get slow at
//! half of the reads, documents turn bad after their switch, users go through meanwhile.
//!
//! Nobody orders a step. What is done here is only what the world does: a service gets
//! worse, and is mended; and what a person does who reads why a rollout has stopped.

mod board;
mod console;
mod ground;
mod load;
mod news;
mod report;
mod settings;
mod summary;
mod watcher;

pub use board::{Board, Output};
pub use ground::Ground;
pub use report::{DecisionReport, Expectation, HandoverReport, Phase, Report, Users};
pub use settings::Settings;

use crate::banyan::answers::Extraction;
use crate::banyan::{CommandLine, Plan, Serve};
use crate::faulty_proxy::Fault;
use anyhow::{Result, bail, ensure};
use console::ConsoleReader;
use load::Load;
use report::BAD_PHASE;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watcher::Watcher;

/// The lines of a board for it.
pub const LINES: [&str; 4] = ["traffic", CONTRACTS, DOCUMENTS, USERS];

const CONTRACTS: &str = "contracts";
const DOCUMENTS: &str = "documents";
const USERS: &str = "users";
const EXTRACTIONS: [&str; 3] = [CONTRACTS, DOCUMENTS, USERS];

/// Who speaks where no extraction does.
const DEMO: &str = "demo";

/// For what goes by itself, on a machine with other work: all steps of an extraction
/// take a minute or two.
const LIMIT: Duration = Duration::from_mins(5);

/// A service that is slow, or bad, is noticed within this time.
const NOTICE_LIMIT: Duration = Duration::from_mins(2);

/// Longer than a request takes that has begun before.
const UNDER_WAY: Duration = Duration::from_secs(3);

/// How it ended, with everything still running.
#[derive(Debug)]
pub struct MigrationOutcome {
    /// In numbers.
    pub report: Report,
    /// The binary under test, running.
    pub serve: Serve,
    /// How to call it.
    pub banyan: CommandLine,
    /// The plan that it runs.
    pub plan: Plan,
    /// What stands around it.
    pub ground: Ground,
}

/// Runs it from the beginning to the end. When the future is dropped, everything that was
/// started ends.
pub async fn run(settings: &Settings, board: &Arc<Board>) -> Result<MigrationOutcome> {
    // Later ones go first when the future is dropped: the ground is the last.
    board.say(
        DEMO,
        "Sets up monolith, three services and their databases.",
    );
    let tell = |what: &str| board.show("traffic", what.to_owned());
    let ground = Ground::set(&settings.scene, &tell).await?;
    let plan = ground.plan()?;
    let banyan = CommandLine::new(&plan, &ground.scene.directory().path().join("banyan"))?;
    let check = banyan.check().await?;
    ensure!(
        check.ok,
        "banyan check refuses the plan: {:?}",
        check.findings
    );
    let serve = banyan.serve(ground.scene.logs()).await?;
    board.say(DEMO, &format!("Gateway {}.", serve.gateway()));
    let console = ConsoleReader::sign_in(&banyan).await?;
    let entrance = console::entrance(&banyan).await?;
    board.say(
        DEMO,
        &format!("To watch it in a browser, within ten minutes: {entrance}"),
    );
    let load = Load::start(&ground, serve.gateway(), settings, board, "monolith alone").await?;
    let watcher = Watcher::start(banyan.clone(), Arc::clone(board));
    let mut plot = Plot {
        settings,
        board,
        banyan: &banyan,
        ground: &ground,
        load: &load,
        watcher: &watcher,
        console: &console,
        report: Report::default(),
    };
    plot.run().await?;
    let mut report = plot.report;

    board.say(DEMO, "All clients end; both sides are compared.");
    for name in EXTRACTIONS {
        let verified = banyan.clone().extraction(name).verify().await?;
        report.verify_rows += verified.rows;
        report.verify_differences += verified.count();
    }
    let audit = load.finish(&ground, &mut report).await?;
    report.add_audit(&audit);
    report.add_handovers(watcher.handovers());
    report.add_journal(banyan.journal().await?);
    report.requests_made_to_fail = ground.documents_proxy.failed();
    report.seconds = board.elapsed().as_secs_f64();
    report.conclude();
    drop(watcher);
    Ok(MigrationOutcome {
        report,
        serve,
        banyan,
        plan,
        ground,
    })
}

/// What happens.
struct Plot<'a> {
    settings: &'a Settings,
    board: &'a Board,
    banyan: &'a CommandLine,
    ground: &'a Ground,
    load: &'a Load,
    watcher: &'a Watcher,
    console: &'a ConsoleReader,
    report: Report,
}

impl Plot<'_> {
    async fn run(&mut self) -> Result<()> {
        tokio::time::sleep(UNDER_WAY).await;
        self.say("All three are started; nobody orders anything from here on.");
        self.load.begin_phase("all start");
        let start = async |name: &str| self.banyan.clone().extraction(name).start().await;
        tokio::try_join!(start(CONTRACTS), start(DOCUMENTS), start(USERS))?;
        self.contracts_get_slow().await?;
        self.contracts_are_mended().await?;
        self.documents_turn_bad().await?;
        for name in [CONTRACTS, USERS] {
            let ended = self.until("the end of its steps", LIMIT, name, |now| {
                now.rollout
                    .as_ref()
                    .is_some_and(|rollout| rollout.state != "running")
            });
            let ended = ended.await?;
            let state = ended.rollout.unwrap_or_default();
            let is_done = state.state == "done" && ended.owner == "service";
            let found = match &state.why {
                Some(why) if !is_done => format!("{}: {why}", state.state),
                _ => format!("{}, owner {}", state.state, ended.owner),
            };
            let what = format!("{name} went through");
            self.report.expect(&what, is_done, found);
        }
        self.load.begin_phase("afterwards");
        tokio::time::sleep(self.settings.afterwards).await;
        Ok(())
    }

    /// At half of the reads; their share has to go back to nothing.
    async fn contracts_get_slow(&mut self) -> Result<()> {
        let step = self.entered(CONTRACTS, 1).await?;
        let entered = rollout(&step).entered_ms;
        tokio::time::sleep(self.settings.before_fault).await;
        self.load.begin_phase("contracts slow");
        let delay = self.settings.delay;
        self.say(&format!(
            "The contracts service gets slow: {} ms more for each request.",
            delay.as_millis()
        ));
        self.ground.contracts_proxy.set(Fault::Slow(delay));
        let began = Instant::now();
        let stopped = self.taken_back(CONTRACTS).await?;
        let seconds = began.elapsed().as_secs_f64();
        let at = rollout(&stopped);
        let decision = DecisionReport::of(CONTRACTS, "withdrawn", seconds, &at);
        let is_in_step =
            at.step == Some(1) && at.entered_ms == entered && stopped.owner == "monolith";
        let is_latency = decision.why.contains("`p95`");
        self.report.expect(
            "slow contracts lost their share by themselves, within the step",
            is_in_step && is_latency,
            format!("{seconds:.1} s after they got slow: {}", decision.why),
        );
        self.decided(decision).await
    }

    async fn contracts_are_mended(&mut self) -> Result<()> {
        let documents = self.watcher.of(DOCUMENTS);
        let waits = documents.reads_percent == 0.0 && rollout(&documents).entered_ms.is_none();
        self.report.expect(
            "documents wait for contracts",
            waits,
            rollout(&documents).waits_for.join("; "),
        );
        self.load.begin_phase("contracts mended");
        self.ground.contracts_proxy.set(Fault::None);
        self.say("The contracts service is mended; `banyan resume contracts`.");
        let order = [CONTRACTS, "--by", "the demo"];
        self.banyan.run("resume", &order).await?.successful()?;
        let what = "contracts to switch";
        self.until(what, LIMIT, CONTRACTS, |now| now.owner == "service")
            .await?;
        Ok(())
    }

    /// After their switch; the data have to go back.
    async fn documents_turn_bad(&mut self) -> Result<()> {
        self.load.begin_phase("contracts at service");
        self.entered(DOCUMENTS, 4).await?;
        tokio::time::sleep(self.settings.before_fault).await;
        self.load.begin_phase(BAD_PHASE);
        tokio::time::sleep(UNDER_WAY).await;
        let percent = self.settings.failing_percent;
        self.say(&format!(
            "The documents service turns bad: {percent} of 100 requests fail."
        ));
        self.ground.documents_proxy.set(Fault::Failing(percent));
        let began = Instant::now();
        let stopped = self.taken_back(DOCUMENTS).await?;
        let seconds = began.elapsed().as_secs_f64();
        self.ground.documents_proxy.set(Fault::None);
        let decision = DecisionReport::of(DOCUMENTS, "rolled back", seconds, &rollout(&stopped));
        self.report.expect(
            "bad documents went back by themselves",
            decision.why.contains("`error-rate`") && stopped.owner == "monolith",
            format!("{seconds:.1} s after they turned bad: {}", decision.why),
        );
        self.decided(decision).await?;
        tokio::time::sleep(UNDER_WAY).await;
        self.load.begin_phase("documents back");
        Ok(())
    }

    /// A decision without a person is in the console for people to see.
    async fn decided(&mut self, decision: DecisionReport) -> Result<()> {
        let name = &decision.extraction;
        let path = format!("/console/extractions/{name}");
        let page = self.console.page(&path).await?;
        let what = format!("the console says why {name} were {}", decision.what);
        self.report
            .expect(&what, page.contains(decision.finding()), path);
        self.report.decisions.push(decision);
        Ok(())
    }

    /// Waits until an extraction is in a step.
    async fn entered(&self, name: &str, step: usize) -> Result<Extraction> {
        let what = format!("step {step} to begin");
        let found = self.until(&what, LIMIT, name, |now| {
            let at = rollout(now);
            at.state != "running" && at.state != "idle" && !at.state.is_empty()
                || at.step == Some(step) && at.entered_ms.is_some()
        });
        let found = found.await?;
        let at = rollout(&found);
        if at.state != "running" {
            let why = at.why.unwrap_or_default();
            bail!("{name} is {} before step {step}: {why}", at.state);
        }
        Ok(found)
    }

    /// Waits until nothing of an extraction is at its service any more; how it is then,
    /// and why.
    async fn taken_back(&self, name: &str) -> Result<Extraction> {
        let what = "it to be taken back";
        let back = self.until(what, NOTICE_LIMIT, name, |now| {
            let at = rollout(now);
            at.state == "stopped"
                && at.undo.is_none()
                && now.owner == "monolith"
                && now.reads_percent == 0.0
        });
        let back = back.await?;
        let why = self.banyan.run("why", &[name]).await?.successful()?;
        self.board
            .quote(&format!("$ banyan why {name}\n{}", why.stdout.trim_end()));
        Ok(back)
    }

    async fn until(
        &self,
        what: &str,
        limit: Duration,
        name: &str,
        is: impl FnMut(&Extraction) -> bool,
    ) -> Result<Extraction> {
        self.watcher.until(what, limit, name, is).await
    }

    fn say(&self, sentence: &str) {
        self.board.say(DEMO, sentence);
    }
}

fn rollout(extraction: &Extraction) -> crate::banyan::answers::Rollout {
    extraction.rollout.clone().unwrap_or_default()
}
