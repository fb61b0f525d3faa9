//! The loop that runs one extraction.
//!
//! ```text
//!   state ──▶ due work ──▶ result ──▶ command ──▶ events ──▶ journal ──▶ state
//!     └──▶ routing ──▶ gateways
//! ```
//!
//! Only this loop changes the extraction's state. People ask through
//! [`Worker`]; each question is answered when what it asks for has ended. Work
//! whose state has gone is dropped in the middle: every effect is made for
//! that (see `mover::handover`).

mod questions;
mod recovery;
mod shift;
mod timeline;
mod work;

use crate::{
    journal::{Journal, JournalError, now_ms},
    ports::{HoldReport, Mover, Trouble, Verification},
    publisher::Publisher,
    status::{ExtractionStatus, HandoverStatus, VerifyStatus, owner},
};
use futures_util::future::BoxFuture;
use plan::{Extraction, ExtractionName};
use protocol::{
    ConductorId, Millis, Side,
    handover::Input,
    lifecycle::{Command, Event, Lifecycle, Rejection, Verified},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use timeline::Timeline;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use work::{Done, Work};

pub(crate) use questions::Question;
pub use questions::{Answer, Asked, Refused, Worker};
pub use shift::Shift;

/// How often the clock is looked at while a hand-over is under way, and else.
const BUSY_TICK: Duration = Duration::from_millis(10);
const IDLE_TICK: Duration = Duration::from_millis(250);

/// Pauses before failed work is tried again: the first, doubled to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What a worker needs from outside.
pub(crate) struct Shared {
    pub(crate) extraction: Extraction,
    /// The longest that a request is held.
    pub(crate) hold: Duration,
    pub(crate) conductor: ConductorId,
    pub(crate) journal: Arc<Journal>,
    pub(crate) mover: Arc<dyn Mover>,
    pub(crate) publisher: Arc<Publisher>,
}

/// Makes a worker and the loop behind it, which the caller spawns.
pub(crate) fn start(
    shared: Shared,
    history: &[Event],
    stop: CancellationToken,
) -> (Worker, impl Future<Output = ()> + Send + use<>) {
    let (worker, asked, status) = Worker::new(Some(Arc::clone(&shared.mover)));
    let state = history.iter().fold(Lifecycle::Planned, Lifecycle::evolve);
    let task = Loop {
        name: shared.extraction.name.clone(),
        began: Instant::now(),
        state,
        charge: Charge::Unknown,
        trouble: None,
        early: Vec::new(),
        last_verify: None,
        timeline: None,
        last_handover: None,
        report_due: false,
        following: false,
        unfenced: None,
        waiting: Vec::new(),
        retry: Retry::default(),
        status,
        shared,
    };
    (worker, task.run(asked, stop))
}

struct Loop {
    shared: Shared,
    name: ExtractionName,
    began: Instant,
    state: Lifecycle,
    charge: Charge,
    trouble: Option<String>,
    last_verify: Option<VerifyStatus>,
    /// Of the hand-over under way.
    timeline: Option<Timeline>,
    last_handover: Option<HandoverStatus>,
    /// Whether the gateways are still to say how long they held.
    report_due: bool,
    /// Whether the followers have been started.
    following: bool,
    /// The side whose fence is known to have no triggers left.
    unfenced: Option<Side>,
    waiting: Vec<Question>,
    /// Asked before the first look at the databases had ended.
    early: Vec<Question>,
    retry: Retry,
    status: watch::Sender<ExtractionStatus>,
}

/// Whether the extraction is this worker's to decide and to route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charge {
    /// The journal has not been compared with the rows yet. What the gateways
    /// were told last stays: it is smooth, and who may write is the databases'
    /// to say in any case. A hold that stays ends by its requests' age.
    Unknown,
    /// They agree: the gateways are told what follows from the state.
    Taken,
    /// The rows contradict the journal, or are another conductor's: the gateways
    /// refuse.
    Lost,
}

#[derive(Default)]
struct Retry {
    pause: Duration,
    not_before: Option<Instant>,
}

impl Retry {
    fn failed(&mut self) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
        self.not_before = Some(Instant::now() + self.pause);
    }
}

type Running = Option<(Work, BoxFuture<'static, Result<Done, Trouble>>)>;

impl Loop {
    async fn run(mut self, mut asked: mpsc::Receiver<Question>, stop: CancellationToken) {
        let mut running: Running = None;
        loop {
            self.publish();
            self.schedule(&mut running);
            let tick = if self.handing_over() {
                BUSY_TICK
            } else {
                IDLE_TICK
            };
            let work = async {
                match &mut running {
                    Some((_, future)) => future.await,
                    None => std::future::pending().await,
                }
            };
            let result = tokio::select! {
                () = stop.cancelled() => break,
                done = work => {
                    let work = running.take().map(|(work, _)| work);
                    match work {
                        Some(work) => self.finished(work, done).await,
                        None => Ok(()),
                    }
                }
                Some(question) = asked.recv() => self.asked(question).await,
                () = tokio::time::sleep(tick) => self.tick().await,
            };
            if let Err(error) = result {
                // What is not written down has not happened, and who is not in
                // charge writes nothing: this conductor ends.
                tracing::error!(extraction = %self.name, %error, "cannot go on");
                self.publish();
                break;
            }
        }
        self.shared.mover.stop_following().await;
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Has the work that is due running, and no other.
    fn schedule(&mut self, running: &mut Running) {
        let due = self.due();
        if running.as_ref().map(|(work, _)| work) == due.as_ref() {
            return;
        }
        *running = None;
        if self.retry.not_before.is_some_and(|at| Instant::now() < at) {
            return;
        }
        if let Some(work) = due {
            let future = work.begin(&self.shared);
            *running = Some((work, future));
        }
    }

    fn handing_over(&self) -> bool {
        matches!(self.state, Lifecycle::HandingOver { .. })
    }

    /// The work that the state asks for.
    fn due(&self) -> Option<Work> {
        if self.charge != Charge::Taken {
            return Some(Work::Recover);
        }
        match &self.state {
            Lifecycle::Planned => self.waits_for(Asked::Start).then_some(Work::Check),
            Lifecycle::Preparing { instance } => Some(Work::Prepare(*instance)),
            Lifecycle::Copying { .. } => Some(Work::Copy),
            Lifecycle::Cancelling { .. } => Some(Work::Cancel),
            Lifecycle::HandingOver { handover, before } => Some(Work::Effect(work::effect(
                before,
                handover,
                self.remaining(),
            ))),
            Lifecycle::Owned(_) if !self.following => Some(Work::Follow),
            Lifecycle::Owned(_) if self.report_due => Some(Work::Report),
            Lifecycle::Owned(owned) if self.waits_for(Asked::Verify) => {
                Some(Work::Verify(owned.by))
            }
            Lifecycle::Owned(owned) if self.unfenced != Some(owned.by) => {
                Some(Work::Unfence(owned.by))
            }
            Lifecycle::Owned(_) => None,
        }
    }

    /// What is left of the hold until its deadline.
    fn remaining(&self) -> Duration {
        let deadline = match &self.state {
            Lifecycle::HandingOver { handover, .. } => handover.deadline(),
            _ => None,
        };
        deadline.map_or(Duration::ZERO, |at| {
            Duration::from_millis(at.0.saturating_sub(self.now().0))
        })
    }

    async fn tick(&mut self) -> Result<(), JournalError> {
        if self.handing_over() {
            let now = self.now();
            self.feed(Command::Handover(Input::Tick(now))).await?;
        }
        Ok(())
    }

    /// Takes a command: writes its events down, then changes the state.
    async fn apply(&mut self, command: Command) -> Result<Result<(), Rejection>, JournalError> {
        match self.state.decide(command) {
            Ok(events) => self.record(events).await.map(Ok),
            Err(rejection) => Ok(Err(rejection)),
        }
    }

    /// The same where nobody asked: what does not fit the state is late.
    async fn feed(&mut self, command: Command) -> Result<(), JournalError> {
        if let Err(rejection) = self.apply(command).await? {
            tracing::debug!(extraction = %self.name, %rejection, "a result came too late");
        }
        Ok(())
    }

    async fn record(&mut self, events: Vec<Event>) -> Result<(), JournalError> {
        if events.is_empty() {
            return Ok(());
        }
        self.shared.journal.append(&self.name, &events).await?;
        for event in events {
            tracing::info!(extraction = %self.name, event = ?event, "recorded");
            self.state = std::mem::take(&mut self.state).evolve(&event);
            self.follow_up(&event);
        }
        self.retry = Retry::default();
        self.trouble = None;
        Ok(())
    }

    /// What the loop itself notes of an event.
    fn follow_up(&mut self, event: &Event) {
        match event {
            Event::HandoverBegan { epoch, from, .. } => {
                self.timeline = Some(Timeline::begin(*epoch, *from));
                self.unfenced = None;
            }
            Event::HandoverEnded { outcome, reason } => {
                self.unfenced = None;
                if let Some(timeline) = self.timeline.take() {
                    self.last_handover = Some(timeline.end(*outcome, reason.clone()));
                    self.report_due = true;
                }
            }
            Event::CancelBegan => {
                self.following = false;
                let refused = Err(Refused::Failed("it was cancelled".to_owned()));
                self.answer(|asked| asked != Asked::Cancel, &refused);
            }
            Event::Cancelled => {
                let answer = Ok((self.snapshot(), None));
                self.answer(|asked| asked == Asked::Cancel, &answer);
            }
            _ => {}
        }
        if let (Some(timeline), Lifecycle::HandingOver { handover, .. }) =
            (&mut self.timeline, &self.state)
        {
            timeline.at(handover.stage.name());
        }
    }

    /// The gateways have released what they held: the report is complete.
    fn reported(&mut self, hold: HoldReport) {
        self.report_due = false;
        if let Some(handover) = &mut self.last_handover {
            handover.hold = hold;
        }
        let answer = Ok((self.snapshot(), None));
        self.answer(|asked| matches!(asked, Asked::HandOver(_)), &answer);
    }

    /// Work has ended: its result becomes a command, or is tried again.
    async fn finished(
        &mut self,
        work: Work,
        result: Result<Done, Trouble>,
    ) -> Result<(), JournalError> {
        match result {
            Ok(done) => self.done(done).await,
            Err(trouble) => self.troubled(&work, trouble).await,
        }
    }

    async fn done(&mut self, done: Done) -> Result<(), JournalError> {
        match done {
            Done::Recovered(rows) => {
                self.recovered(&rows).await?;
                return self.ask_again().await;
            }
            Done::Checked(findings) => return self.checked(findings).await,
            Done::Prepared => self.feed(Command::Prepared).await?,
            Done::Copied => self.feed(Command::Copied).await?,
            Done::Cancelled => self.feed(Command::Cancelled).await?,
            Done::Verified(verification) => self.verified(verification).await?,
            Done::Unfenced(side) => self.unfenced = Some(side),
            Done::Following => {
                self.following = true;
                let answer = Ok((self.snapshot(), None));
                self.answer(|asked| asked == Asked::Start, &answer);
            }
            Done::Reported(hold) => self.reported(hold),
            Done::Effect(input) => {
                failpoint::hit(match &input {
                    Input::Held(_) => "after-hold",
                    Input::Fenced => "after-fence",
                    Input::Decided(_) => "after-commit-point",
                    Input::Opened => "after-opening",
                    _ => "",
                });
                self.feed(Command::Handover(self.with_clock(input))).await?;
            }
        }
        Ok(())
    }

    /// The hold begins now, for the gateways that live now.
    fn with_clock(&self, input: Input) -> Input {
        match input {
            Input::Locked { .. } => Input::Locked {
                now: self.now(),
                hold: self.shared.hold,
                gateways: self.shared.publisher.gateways().live(),
            },
            other => other,
        }
    }

    async fn verified(&mut self, verification: Verification) -> Result<(), JournalError> {
        let at_ms = now_ms();
        let result = match verification.differences {
            0 => Verified::Agreed(u64::try_from(at_ms).unwrap_or_default()),
            _ => Verified::Differed,
        };
        let Verification {
            rows, differences, ..
        } = verification;
        self.last_verify = Some(VerifyStatus {
            rows,
            differences,
            at_ms,
        });
        self.feed(Command::Verified(result)).await?;
        let answer = Ok((self.snapshot(), Some(verification)));
        self.answer(|asked| asked == Asked::Verify, &answer);
        Ok(())
    }

    async fn troubled(&mut self, work: &Work, trouble: Trouble) -> Result<(), JournalError> {
        tracing::warn!(extraction = %self.name, work = work.name(), %trouble, "did not get done");
        if let Trouble::Superseded(text) = &trouble {
            // Somebody else is in charge: claim nothing, route nothing.
            self.charge = Charge::Lost;
            self.trouble = Some(text.clone());
            self.retry = Retry {
                pause: LAST_PAUSE,
                not_before: None,
            };
            self.answer(|_| true, &Err(Refused::Failed(text.clone())));
            return Err(JournalError::Superseded(text.clone()));
        }
        self.trouble = Some(trouble.to_string());
        self.retry.failed();
        self.ask_again().await?;
        match work {
            Work::Effect(_) => {
                let failed = Command::Handover(Input::Failed(trouble.to_string()));
                self.feed(failed).await?;
            }
            Work::Check => {
                let refused = Err(Refused::Failed(trouble.to_string()));
                self.answer(|asked| asked == Asked::Start, &refused);
            }
            Work::Verify(_) => {
                let refused = Err(Refused::Failed(trouble.to_string()));
                self.answer(|asked| asked == Asked::Verify, &refused);
            }
            // Asked again until it works; those who wait are told why not
            // when it is not the network's fault.
            Work::Prepare(_) | Work::Copy if matches!(trouble, Trouble::Lasting(_)) => {
                let refused = Err(Refused::Failed(trouble.to_string()));
                self.answer(|asked| asked == Asked::Start, &refused);
            }
            _ => {}
        }
        Ok(())
    }

    fn publish_routing(&self) {
        let publisher = &self.shared.publisher;
        match self.charge {
            Charge::Unknown => {}
            Charge::Taken => publisher.set(&self.name, self.state.routing()),
            Charge::Lost => publisher.refuse(&self.name),
        }
    }

    fn publish(&self) {
        self.publish_routing();
        let snapshot = self.snapshot();
        self.status.send_replace(snapshot);
    }

    fn snapshot(&self) -> ExtractionStatus {
        ExtractionStatus {
            name: self.name.to_string(),
            phase: self.state.name().to_owned(),
            owner: match self.charge {
                Charge::Taken => owner(&self.state),
                Charge::Unknown | Charge::Lost => "unknown",
            }
            .to_owned(),
            epoch: self.state.epoch().0,
            reads_percent: f64::from(self.state.routing().reads.basis_points()) / 100.0,
            writes_percent: None,
            trouble: self.trouble.clone(),
            progress: self.shared.mover.progress(),
            last_verify: self.last_verify.clone(),
            last_handover: self
                .timeline
                .as_ref()
                .map(Timeline::under_way)
                .or_else(|| self.last_handover.clone()),
        }
    }
}
