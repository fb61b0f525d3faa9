//! The loop that takes one extraction through the steps of its plan.
//!
//! It has no choices: each turn it gathers what is so, asks [`protocol::rollout`] what
//! is due, and does that. What it asks of the extraction is what a person would: through
//! the worker, with the same refusals. One that is refused is asked for again, later and
//! later, and shown meanwhile.

mod answers;
mod asking;
mod gates;
mod gauging;
mod guarding;
mod handle;
mod judged;
mod readings;
mod recorded;
mod status_gates;
mod step_clock;
mod traffic_gates;
mod verb_event;
mod view;

use crate::{
    checklist::{self, ChecklistHandle},
    journal::{Journal, JournalError, ReportKind, now_ms},
    ports::{Gateways, Gauges, Occasion},
    status::{ExtractionStatus, RolloutStatus},
    worker::Worker,
};
pub use asking::ShiftGuard;
pub use handle::{RolloutHandle, StepVerb};

use answers::RecentAnswers;
use asking::{NotDone, asked, ends};
use gates::StepGates;
use gauging::Gauging;
use guarding::Guarding;
use handle::{GivenPlan, GivenVerb, Message};
use plan::{ExtractionName, Schedule};
use protocol::rollout::{
    Action, Decision, Event, Facts, Gate, Rollout, Standing, StopReason, UnixMillis, decide,
    reloaded, reread, restarted,
};
use recorded::Recorded;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use traffic_gates::TrafficGates;

/// How often it is looked what is due.
const TURN: Duration = Duration::from_millis(250);

/// How long it waits until it asks again for what was refused: at first, and at most.
const ASK_AGAIN: Duration = Duration::from_secs(2);
const ASK_AGAIN_MAX: Duration = Duration::from_mins(2);

/// So many hand-overs that were begun and came to nothing: each has held requests, and what
/// is in the way does not go by itself.
const ABORTED_MAX: u32 = 3;

/// How often the state of the judges is kept: a restart loses so much of what they saw.
const KEEP: Duration = Duration::from_secs(30);

/// The most that is written down in one turn.
const NOTES_MAX: usize = 16;

/// What a rollout needs.
pub(crate) struct Context {
    pub(crate) name: ExtractionName,
    pub(crate) schedule: Schedule,
    /// A digest of the plan's text.
    pub(crate) plan: Arc<str>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) worker: Worker,
    /// Those that it may wait for.
    pub(crate) others: BTreeMap<ExtractionName, Worker>,
    pub(crate) gateways: Arc<dyn Gateways>,
    pub(crate) guard: Arc<dyn ShiftGuard>,
    pub(crate) gauges: Arc<dyn Gauges>,
    /// Who halted all rollouts, and why.
    pub(crate) halted: watch::Receiver<Option<String>>,
    /// What steps may wait for.
    pub(crate) checklists: Option<ChecklistHandle>,
}

/// Makes a handle and the loop behind it, which the caller spawns.
pub(crate) async fn start(
    context: Context,
    stop: CancellationToken,
) -> Result<(RolloutHandle, impl Future<Output = ()> + Send + use<>), JournalError> {
    let history = context.journal.read(&context.name).await?.rollout;
    let kept = context
        .journal
        .report(&context.name, ReportKind::Gates)
        .await?;
    let (handle, receiver, sender) = RolloutHandle::new();
    let running = Running {
        recorded: Recorded::of(&history),
        rollout: history.iter().fold(Rollout::Idle, Rollout::evolve),
        gates: StepGates::restored(kept),
        answers: RecentAnswers::default(),
        gauging: Gauging::default(),
        traffic: TrafficGates::default(),
        refused: None,
        steps_refused: None,
        asked: None,
        trouble: None,
        kept_at: Some(Instant::now()),
        status: sender,
        context,
    };
    Ok((handle, running.run(receiver, stop)))
}

/// How a rollout is, in Flagger's words.
fn phase(rollout: &Rollout, standing: Standing) -> &'static str {
    match rollout {
        Rollout::Stopped { .. } => "Waiting",
        _ if standing.has_switched() => "Promoting",
        _ => "Progressing",
    }
}

/// An action that was asked for.
struct PendingAction {
    action: Action,
    /// Whether it is still wanted.
    goes_on: Arc<AtomicBool>,
    task: JoinHandle<Result<(), NotDone>>,
}

/// An action that was refused.
struct Setback {
    action: Action,
    why: String,
    /// How often requests were held for it in vain.
    aborted: u32,
    again: Instant,
    pause: Duration,
}

/// A rollout as its loop knows it.
struct Running {
    context: Context,
    rollout: Rollout,
    recorded: Recorded,
    /// Why steps that a reload was to bring do not take effect.
    steps_refused: Option<String>,
    gates: StepGates,
    answers: RecentAnswers,
    gauging: Gauging,
    traffic: TrafficGates,
    refused: Option<Setback>,
    /// What was asked of the extraction and is not answered yet.
    asked: Option<PendingAction>,
    /// Why the journal could not be written.
    trouble: Option<String>,
    /// When the gates were kept last; `None`: that is due.
    kept_at: Option<Instant>,
    status: watch::Sender<RolloutStatus>,
}

impl Running {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>, stop: CancellationToken) {
        loop {
            // What is not written down has not happened, and is due again.
            let turned = self.turn().await;
            self.note_trouble(turned.err());
            tokio::select! {
                () = stop.cancelled() => break,
                Some(message) = messages.recv() => {
                    let (result, reply) = match message {
                        Message::Verb(given) => (self.carry_out(&given).await, given.reply),
                        Message::Plan(given) => (self.take_plan(&given).await, given.reply),
                    };
                    drop(reply.send(result.unwrap_or_else(|error| Err(error.to_string()))));
                }
                // What is shown says so at once. Without a sender there is no halt to come.
                Ok(()) = self.context.halted.changed() => {}
                () = tokio::time::sleep(TURN) => {}
            }
        }
        // What was asked of the worker is the worker's to end.
        if let Err(error) = self.keep().await {
            tracing::warn!(extraction = %self.context.name, %error, "gates not kept");
        }
    }

    fn note_trouble(&mut self, error: Option<JournalError>) {
        let trouble = error.map(|error| error.to_string());
        if let Some(error) = trouble.as_ref().filter(|_| self.trouble != trouble) {
            tracing::error!(extraction = %self.context.name, %error, "no step is taken");
            self.status
                .send_modify(|status| status.refused = Some(error.clone()));
        }
        self.trouble = trouble;
    }

    /// Does what is due until something has to be waited for.
    async fn turn(&mut self) -> Result<(), JournalError> {
        self.hear().await?;
        if self.rollout.position().is_some()
            && self.recorded.plan.as_deref() != Some(&*self.context.plan)
        {
            self.record(reread(&self.rollout, &self.context.plan))
                .await?;
        }
        if let Some(was) = &self.recorded.begun_by
            && let Some(stopped) = restarted(&self.rollout, was, &self.words())
        {
            self.record(vec![stopped]).await?;
        }
        for _ in 0..NOTES_MAX {
            let status = self.context.worker.status();
            let (standing, gates) = self.look(&status).await;
            let awaited = self.awaited();
            let halted = self.context.halted.borrow().clone();
            if halted.is_some() {
                self.hold_back();
            }
            let now = UnixMillis(now_ms());
            let now = match self.rollout.position() {
                Some(position) => self.gates.step_moment(position, now, Instant::now()),
                None => now,
            };
            let facts = Facts {
                now,
                standing,
                gates: &gates,
                awaited: &awaited,
                halted: halted.as_deref(),
                is_withheld: status.reads_withdrawn,
            };
            let (schedule, plan) = (&self.context.schedule, &self.context.plan);
            let decision = decide(schedule, plan, &self.rollout, &facts);
            self.show(&decision, &gates, standing);
            match decision {
                Decision::Rest | Decision::Wait(_) => break,
                Decision::Note(events) => self.record(events).await?,
                Decision::Do(action) => {
                    self.ask(action, &status);
                    break;
                }
            }
        }
        if self.kept_at.is_none_or(|at| at.elapsed() >= KEEP) {
            self.keep().await?;
        }
        Ok(())
    }

    /// What is so, and what the gates say of it.
    async fn look(&mut self, status: &ExtractionStatus) -> (Standing, Vec<Gate>) {
        let standing = view::standing(status, self.context.worker.splits_writes());
        let now = UnixMillis(now_ms());
        if self.rollout == Rollout::Idle {
            // What the monolith does before the first shift is what to compare with later.
            self.count(standing, now, true).await;
        }
        let Some(position) = self.rollout.position().cloned() else {
            return (standing, Vec::new());
        };
        let Some(step) = self.context.schedule.steps.get(position.step).cloned() else {
            return (standing, Vec::new());
        };
        let guarding = Guarding::of(&position, &self.recorded);
        let guard = guarding.and_then(|one| {
            let step = self.context.schedule.steps.get(one.step.0)?;
            Some((one, step.clone()))
        });
        if let Some((guarding, guard)) = &guard {
            if self.gates.enter(guarding, guard, standing) {
                self.kept_at = None;
            }
            self.traffic.enter(guarding, guard, standing);
            self.gauging.enter(guarding, guard, standing, now);
        }
        let is_usual = matches!(self.rollout, Rollout::Running(_));
        self.count(standing, now, is_usual).await;
        let step = &step;
        let occasion = Occasion {
            extraction: self.context.name.clone(),
            step: step.to_string(),
            phase: phase(&self.rollout, standing),
            plan: self.context.plan.to_string(),
        };
        self.gauging.turn(&self.context.gauges, &occasion, now);
        let mut gates = self.gates.judge(step, status, standing, now);
        gates.extend(self.traffic.gates());
        gates.extend(self.gauging.gates());
        // These have a say until the step begins.
        if position.entered.is_some() {
            return (standing, gates);
        }
        gates.extend(status_gates::verify(
            step.gates.verify,
            status,
            standing,
            now,
        ));
        if !step.checklist.is_empty() {
            let checklists = self.context.checklists.as_ref();
            gates.push(
                checklists.map_or_else(checklist::unanswered, |lists| lists.gate(&step.checklist)),
            );
        }
        (standing, gates)
    }

    /// Takes what both sides answered, where a window has ended.
    async fn count(&mut self, standing: Standing, now: UnixMillis, is_usual: bool) {
        // Then they are `retire`'s to take, once each.
        if standing == Standing::Finished || !self.gates.is_block_due(now) {
            return;
        }
        let (name, gateways) = (&self.context.name, &self.context.gateways);
        let counts = gateways.take_side_counts(name).await;
        let counts = counts.as_ref();
        let Some(began) = self.gates.window_began() else {
            self.gates.observe(counts, standing, now, is_usual);
            return;
        };
        if let Some(counts) = counts {
            self.answers.add(counts, began, now);
        }
        let length = u64::try_from(now.0.saturating_sub(began.0)).unwrap_or(0);
        let length = Duration::from_millis(length);
        let stored = self.gates.stored_reads();
        let expected = traffic_gates::expectation(counts, standing, length, stored);
        let shadow = gateways.shadow_counts(name);
        self.traffic.observe((counts, expected), shadow, now);
        self.gates.observe(counts, standing, now, is_usual);
    }

    fn awaited(&self) -> Vec<ExtractionName> {
        let is_ahead = |name: &&ExtractionName| {
            let other = self.context.others.get(name);
            other.is_some_and(|worker| {
                !view::standing(&worker.status(), worker.splits_writes()).has_switched()
            })
        };
        let after = self.context.schedule.after.iter();
        after.filter(is_ahead).cloned().collect()
    }

    /// Hears what became of what was asked for.
    async fn hear(&mut self) -> Result<(), JournalError> {
        if !self
            .asked
            .as_ref()
            .is_some_and(|asked| asked.task.is_finished())
        {
            return Ok(());
        }
        let Some(PendingAction { action, task, .. }) = self.asked.take() else {
            return Ok(());
        };
        let gone = |error: tokio::task::JoinError| Err(NotDone::Refused(error.to_string()));
        let Err(not_done) = task.await.unwrap_or_else(gone) else {
            self.refused = None;
            return Ok(());
        };
        let before = self.refused.as_ref().filter(|one| one.action == action);
        let later = |one: &Setback| (one.pause * 2).min(ASK_AGAIN_MAX);
        let pause = match action {
            // Harm goes on meanwhile.
            Action::Withdraw | Action::RollBack => ASK_AGAIN,
            _ => before.map_or(ASK_AGAIN, later),
        };
        let aborted = before.map_or(0, |one| one.aborted);
        let (why, aborted, is_over) = match not_done {
            NotDone::Refused(why) => (why, aborted, false),
            NotDone::Aborted(why) => (why, aborted + 1, aborted + 1 >= ABORTED_MAX),
            NotDone::Differs(why) => (why, aborted, true),
        };
        let name = &self.context.name;
        tracing::warn!(extraction = %name, ?action, %why, "not done");
        if is_over && ends(&self.rollout, action) {
            let why = StopReason::Failed { what: why };
            return self.record(vec![Event::Stopped { why, undo: None }]).await;
        }
        self.refused = Some(Setback {
            action,
            why,
            aborted,
            again: Instant::now() + pause,
            pause,
        });
        Ok(())
    }

    /// Asks something of the extraction, unless that is under way or was refused just now.
    /// `status`: how it stood when that was decided.
    fn ask(&mut self, action: Action, status: &ExtractionStatus) {
        let is_urgent = matches!(action, Action::Withdraw | Action::RollBack);
        match &self.asked {
            Some(asked) if asked.action == action || !is_urgent => return,
            _ => {}
        }
        let waits = |refused: &Setback| refused.action == action && Instant::now() < refused.again;
        if self.refused.as_ref().is_some_and(waits) {
            return;
        }
        tracing::info!(extraction = %self.context.name, ?action, "due by the plan");
        let worker = self.context.worker.clone();
        let guard = Arc::clone(&self.context.guard);
        let name = self.context.name.clone();
        let goes_on = Arc::new(AtomicBool::new(true));
        let look = Arc::clone(&goes_on);
        let request = asking::Wanted::of(action, status);
        let task =
            tokio::spawn(async move { asked(request, &worker, &*guard, &name, &look).await });
        self.asked = Some(PendingAction {
            action,
            goes_on,
            task,
        });
    }

    /// Has what was asked for not be done, where that is still looked into.
    fn hold_back(&self) {
        if let Some(asked) = &self.asked {
            asked.goes_on.store(false, Ordering::Release);
        }
    }

    async fn record(&mut self, events: Vec<Event>) -> Result<(), JournalError> {
        let is_asked_again = matches!(&events[..], [Event::Permitted { .. }]);
        self.context
            .journal
            .append(&self.context.name, &events)
            .await?;
        for event in events {
            tracing::info!(extraction = %self.context.name, ?event, "recorded");
            self.recorded.add(&event);
            self.rollout = std::mem::take(&mut self.rollout).evolve(&event);
            match event {
                // What was seen is of something that is not so any more.
                Event::Undone { .. } | Event::Resumed { .. } | Event::Forgotten => {
                    if matches!(event, Event::Forgotten) {
                        self.steps_refused = None;
                    }
                    self.gates.forget();
                    self.gauging.forget();
                    self.traffic.forget();
                }
                Event::Stopped { .. } => self.hold_back(),
                _ => {}
            }
        }
        if !is_asked_again {
            self.refused = None;
        }
        Ok(())
    }

    async fn keep(&mut self) -> Result<(), JournalError> {
        self.kept_at = Some(Instant::now());
        let (journal, name) = (&self.context.journal, &self.context.name);
        journal
            .keep_report(name, ReportKind::Gates, &self.gates)
            .await
    }

    /// The steps of the plan, in words.
    fn words(&self) -> Vec<String> {
        let steps = self.context.schedule.steps.iter();
        steps.map(ToString::to_string).collect()
    }

    async fn carry_out(&mut self, given: &GivenVerb) -> Result<Result<(), String>, JournalError> {
        if let Some(why) = self.is_late(given) {
            return Ok(Err(why));
        }
        let status = self.context.worker.status();
        let standing = view::standing(&status, self.context.worker.splits_writes());
        let there = (&self.context.schedule, standing);
        let shown = self.status.borrow().clone();
        let rollout = (&self.rollout, &shown);
        let event = match verb_event::event(given, rollout, &self.context.name, there) {
            Ok(event) => event,
            Err(why) => return Ok(Err(why)),
        };
        self.record(vec![event]).await?;
        // It is written down, whatever comes of what is due next.
        let turned = self.turn().await;
        self.note_trouble(turned.err());
        Ok(Ok(()))
    }

    /// Why an order is not carried out as it stands now, where that is not how it stood
    /// when it was decided on.
    fn is_late(&self, given: &GivenVerb) -> Option<String> {
        let expected = given.expected.as_ref()?;
        expected.refusal(&ExtractionStatus {
            rollout: Some(self.status.borrow().clone()),
            ..self.context.worker.status()
        })
    }

    /// Goes by a plan that a reload has read, where that is safe.
    async fn take_plan(&mut self, given: &GivenPlan) -> Result<Result<(), String>, JournalError> {
        self.hear().await?;
        let schedules = (&self.context.schedule, &given.schedule);
        let is_asked = self.asked.is_some();
        let event = match reloaded(&self.rollout, schedules, &given.digest, is_asked) {
            Ok(event) => event,
            Err(why) => {
                let why = why.to_string();
                self.steps_refused = Some(why.clone());
                return Ok(Err(why));
            }
        };
        self.steps_refused = None;
        if !given.takes_effect {
            return Ok(Ok(()));
        }
        let is_known = self.recorded.plan.as_deref() == Some(&*given.digest);
        if let Some(event) = event.filter(|_| !is_known) {
            self.record(vec![event]).await?;
        }
        self.context.schedule = given.schedule.clone();
        self.context.plan = Arc::clone(&given.digest);
        // Whoever hears that it goes by them finds them in the status.
        let turned = self.turn().await;
        self.note_trouble(turned.err());
        Ok(Ok(()))
    }

    fn show(&self, decision: &Decision, gates: &[Gate], standing: Standing) {
        let refused = self.refused.as_ref().map(|one| one.why.clone());
        let refused = self.trouble.clone().or(refused);
        let asked = self.asked.as_ref().map(|asked| asked.action);
        let shown = view::RolloutView {
            schedule: &self.context.schedule,
            rollout: &self.rollout,
            decisions: self.recorded.decisions,
            begun_by: self.recorded.begun_by.as_deref(),
            decision,
            gates,
            answers: self.answers.status(),
            standing,
            refused,
            steps_refused: self.steps_refused.clone(),
            asked,
        };
        let status = shown.status();
        self.status.send_if_modified(|last| {
            let has_changed = *last != status;
            *last = status;
            has_changed
        });
    }
}
