//! The loop that runs one extraction whose data move.
//!
//! ```text
//!   state ──▶ due work ──▶ result ──▶ command ──▶ events ──▶ journal ──▶ state
//!     └──▶ routing ──▶ gateways
//! ```
//!
//! Only this loop changes the extraction's state. Operators request through
//! [`Worker`]; each request is replied to when what it asks for has ended. Work
//! whose state has gone is dropped in the middle: every effect is made for
//! that (see `mover::handover`).
//!
//! ```text
//!  replication                          the loop, and which work is due
//!      │
//!  completion                           what becomes of finished work
//!      │
//!  requests   recovery                  what becomes of requests and rows
//!      │          │
//!      └─ state ──┘       work          the loop's state; pieces of work
//!           │              │
//!  retry  timeline       effect         an effect of a hand-over
//!           │              │
//!           │         drain, budget      the hold, and the time while it lasts
//!           │              │
//!           └── context ───┘            the ports, the journal, the plan
//! ```

mod budget;
mod completion;
mod context;
mod drain;
mod effect;
mod effect_result;
mod last_handovers;
mod left_readers;
mod recovery;
mod requests;
mod retry;
mod staleness;
mod state;
mod timeline;
mod work;

pub(crate) use context::Context;
pub(crate) use last_handovers::LastHandovers;
pub(crate) use state::Reports;

use crate::{
    journal::{History, JournalError},
    ports::WorkError,
    request::{Request, RequestError},
    worker::{PendingRequest, Worker},
};
use effect::DueEffect;
use futures_util::future::BoxFuture;
use protocol::{
    Side,
    handover::Input,
    lifecycle::{Command, Lifecycle},
};
use state::{Charge, Replication};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use work::{Finished, Work};

/// How often the clock is looked at while a hand-over is under way, and else.
const BUSY_TICK: Duration = Duration::from_millis(10);
const IDLE_TICK: Duration = Duration::from_millis(250);

/// Makes a worker and the loop behind it, which the caller spawns.
pub(crate) fn start(
    context: Context,
    history: &History,
    reports: Reports,
    stop: CancellationToken,
) -> (
    Worker,
    impl Future<Output = Result<(), JournalError>> + Send + use<>,
) {
    let (worker, requests, status) = Worker::new(Some(Arc::clone(&context.mover)));
    let replication = Replication::new(context, history, reports, status);
    (worker, replication.run(requests, stop))
}

/// Work that has been begun and has not ended.
struct RunningWork {
    work: Work,
    future: BoxFuture<'static, Result<Finished, WorkError>>,
}

impl Replication {
    /// Until it is told to stop, or cannot go on.
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<PendingRequest>,
        stop: CancellationToken,
    ) -> Result<(), JournalError> {
        if matches!(
            self.lifecycle,
            Lifecycle::Finishing(_) | Lifecycle::Finished(_)
        ) {
            self.context.mover.nothing_flows_back();
        }
        let ended = self.work(&mut requests, &stop).await;
        if let Err(error) = &ended {
            // What is not written down has not happened, and who is not in
            // charge writes nothing: this conductor ends.
            tracing::error!(extraction = %self.name, %error, "cannot go on");
            // Who never was in charge has told the gateways nothing, not even to
            // refuse: it is not ready, it ends.
            if !matches!(error, JournalError::InCharge(_) | JournalError::OldState(_)) {
                self.publish();
            }
        }
        self.context.mover.stop_following().await;
        self.context.mover.leave().await;
        ended
    }

    async fn work(
        &mut self,
        requests: &mut mpsc::Receiver<PendingRequest>,
        stop: &CancellationToken,
    ) -> Result<(), JournalError> {
        let mut running: Option<RunningWork> = None;
        loop {
            self.publish();
            self.schedule(&mut running);
            let tick = if self.handing_over() {
                BUSY_TICK
            } else {
                IDLE_TICK
            };
            let ended = async {
                match &mut running {
                    Some(running) => (&mut running.future).await,
                    None => std::future::pending().await,
                }
            };
            let result = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ended = ended => match running.take() {
                    Some(RunningWork { work, .. }) => self.finished(&work, ended).await,
                    None => Ok(()),
                },
                Some(pending) = requests.recv() => self.requested(pending).await,
                () = tokio::time::sleep(tick) => self.tick().await,
            };
            match result {
                Err(error @ JournalError::Storage { .. }) => self.unwritten(&error),
                result => result?,
            }
        }
    }

    /// The journal could not be written: its disk is full, most likely. What is not
    /// written down has not happened, so the state is what it was, and the same work
    /// is due again; the gateways route on.
    fn unwritten(&mut self, error: &JournalError) {
        let text = error.unwritten();
        if self.trouble.as_ref() != Some(&text) {
            tracing::error!(extraction = %self.name, %error, "the journal cannot be written");
        }
        self.trouble = Some(text.clone());
        self.retry.failed();
        self.reply(|_| true, &Err(RequestError::Failed(text)));
    }

    /// Has the work that is due running, and no other.
    fn schedule(&mut self, running: &mut Option<RunningWork>) {
        let due = self.due();
        if running.as_ref().map(|running| &running.work) == due.as_ref() {
            return;
        }
        *running = None;
        if self.retry.waits() {
            return;
        }
        if matches!(due, Some(Work::Recopy(_))) {
            // It ends the followers, whatever becomes of it.
            self.following = false;
        }
        *running = due.map(|work| RunningWork {
            future: work.begin(&self.context),
            work,
        });
    }

    /// The work that the state asks for.
    fn due(&self) -> Option<Work> {
        match self.charge {
            Charge::Unknown | Charge::Lost => return Some(Work::Look),
            Charge::Compared => return Some(Work::Claim),
            Charge::Taken => {}
        }
        match &self.lifecycle {
            Lifecycle::Planned => self.waits_for(Request::Start).then_some(Work::Check),
            Lifecycle::Preparing { instance } => Some(Work::Prepare(*instance)),
            Lifecycle::Copying { .. } => Some(Work::Copy),
            Lifecycle::Cancelling { .. } => Some(Work::Cancel(
                self.lifecycle.ending(),
                self.waits_for(Request::Cancel { empty: true }),
            )),
            Lifecycle::Finishing(kept) => Some(Work::Finish(kept.instance)),
            Lifecycle::HandingOver { handover, before } => Some(Work::Effect(DueEffect::of(
                before,
                handover,
                self.remaining(),
                self.waived(),
            ))),
            Lifecycle::Owned(_) if self.recopied.is_none() && self.agreed_recopy().is_some() => {
                self.agreed_recopy().map(|shown| Work::Recopy(shown.owner))
            }
            Lifecycle::Owned(_) if !self.following => Some(Work::Follow),
            Lifecycle::Owned(_) if self.waits_for(Request::Resume) => Some(Work::Resume),
            Lifecycle::Owned(_) if self.report_due => Some(Work::Report),
            Lifecycle::Owned(owned) if self.unfenced != Some(owned.by) => {
                Some(Work::Unfence(owned.by))
            }
            Lifecycle::Owned(owned)
                if owned.by == Side::Monolith && !self.context.mover.joining().is_empty() =>
            {
                Some(Work::Join)
            }
            Lifecycle::Owned(owned) if self.waits_for(Request::Verify) => {
                Some(Work::Verify(owned.by))
            }
            Lifecycle::Owned(_) | Lifecycle::Finished(_) => None,
        }
    }

    /// What is left of the hold until its deadline.
    fn remaining(&self) -> Duration {
        let deadline = match &self.lifecycle {
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
        } else if self.charge == Charge::Taken && self.context.mover.is_displaced() {
            // Looked at anew, before anything else is done: most likely this one
            // is superseded, and ends.
            tracing::warn!(extraction = %self.name, "another conductor has come");
            self.context.mover.stop_following().await;
            self.following = false;
            self.charge = Charge::Unknown;
        }
        Ok(())
    }
}
