//! The control plane: it keeps the journal, decides by `protocol`, and has the
//! effects carried out by a mover and by gateways it knows only as [`ports`].
//!
//! One worker per extraction runs a loop without choices of its own: the
//! state says which work is due, the work's result goes into the state machine,
//! its events into the journal, and the routing that follows from the new
//! state to the gateways. Work is derived from the state, so a restart simply
//! finds it due again.
//!
//! ```text
//!  lib                                   one run: opens the journal, starts the workers
//!      │
//!  api                                   HTTP: requests in, replies out
//!      │
//!  rollout                               the plan's steps, gone through by themselves
//!      │
//!  checklist                             what has to be done before, and who has answered
//!      │
//!  replication  shared_data  halt  retire  brown_out   the two kinds of worker's loops
//!      │                │
//!      └─── worker ─────┘                the handle of a loop
//!             │
//!  request   journal   publisher         what is requested, recorded, told
//!      │                 │
//!      │     outlook     │               what a status comes to: rail, next, way back
//!      │  precondition   │               how it stood when something was decided on
//!      │     schema      │               and its JSON Schema
//!      │        │        │
//!  status ──────┘        │               what is shown
//!      │                 │
//!      └──── ports ──────┘               the mover and the gateways, as traits
//! ```
//!
//! A module may use those below it.
//!
//! Not here: how rows move, how requests are held, and what a screen shows.

pub mod api;
mod brown_out;
mod checklist;
mod halt;
mod journal;
pub mod outlook;
pub mod ports;
mod precondition;
mod publisher;
mod replication;
mod request;
mod retire;
mod rollout;
pub mod schema;
mod shared_data;
pub mod status;
mod worker;

pub use checklist::ChecklistHandle;
pub use halt::{Halt, HaltError};
pub use journal::{
    BrokenChain, ChainCheck, History, JOURNAL_FILE, Journal, JournalEntry, JournalError,
    JournalHead, JournalPage, JournalQuery, OrderEvent, OrderOutcome, PAGE_ENTRIES_MAX,
    RecordedEvent, ReportEvent, now_ms,
};
pub use precondition::{Precondition, StepsMoment};
pub use publisher::Publisher;
pub use request::{Reply, Request, RequestError, Resumed, Shift, ShownOwner, Waived};
pub use retire::RetireHandle;
pub use rollout::{RolloutHandle, ShiftGuard, StepVerb};
pub use worker::Worker;

use journal::ReportKind;
use plan::{Data, ExtractionName, Plan};
use ports::{Gateways, Gauges, ItemChecks, Mover, OldSide};
use protocol::ConductorId;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long the gateways may route without hearing from us.
const LEASE: Duration = Duration::from_secs(5);

/// How often the lease is renewed.
const RENEW: Duration = Duration::from_millis(500);

/// One run of the control plane.
pub struct Conductor {
    journal: Arc<Journal>,
    halt: Halt,
    workers: BTreeMap<ExtractionName, Worker>,
    checklists: BTreeMap<ExtractionName, ChecklistHandle>,
    retirements: BTreeMap<ExtractionName, RetireHandle>,
    tasks: JoinSet<Result<(), JournalError>>,
    stop: CancellationToken,
}

impl Conductor {
    /// Opens the journal in `state`, and takes charge of every extraction of
    /// the plan; those whose data both sides share need no mover. Returns before
    /// they are: each worker goes on trying until its databases answer, and until
    /// then what was published last stays.
    pub async fn start(
        plan: &Plan,
        state: &Path,
        mut movers: BTreeMap<ExtractionName, Arc<dyn Mover>>,
        publisher: &Arc<Publisher>,
    ) -> Result<Self, JournalError> {
        let journal = Arc::new(Journal::open(state).await?);
        journal.refuse_left_out(plan).await?;
        let id = ConductorId(uuid::Uuid::new_v4());
        tracing::info!(conductor = %id, "conductor started");
        let stop = CancellationToken::new();
        let (mut workers, mut tasks) = (BTreeMap::new(), JoinSet::new());
        for (name, extraction) in &plan.extractions {
            let history = journal.read(name).await?;
            history.fits(extraction)?;
            let (journal, publisher) = (Arc::clone(&journal), Arc::clone(publisher));
            let worker = match &extraction.data {
                Data::Shared => {
                    let (name, history) = (name.clone(), &history.shared_data);
                    let (worker, task) =
                        shared_data::start(name, journal, publisher, history, stop.clone());
                    tasks.spawn(async move {
                        task.await;
                        Ok(())
                    });
                    worker
                }
                Data::Replicate(data) => {
                    let Some(mover) = movers.remove(name) else {
                        continue;
                    };
                    let reports = replication::Reports {
                        verify: journal.report(name, ReportKind::Verify).await?,
                        handovers: replication::LastHandovers {
                            handover: journal.report(name, ReportKind::Handover).await?,
                            rehearsal: journal.report(name, ReportKind::Rehearsal).await?,
                        },
                    };
                    let context = replication::Context {
                        extraction: extraction.clone(),
                        hold: data.switch.hold,
                        drain: data.switch.drain,
                        lag: data.switch.lag.0,
                        conductor: id,
                        journal,
                        mover,
                        publisher,
                    };
                    let (worker, task) =
                        replication::start(context, &history, reports, stop.clone());
                    tasks.spawn(task);
                    worker
                }
            };
            workers.insert(name.clone(), worker);
        }
        let lease = lease(Arc::clone(publisher.gateways()), stop.clone());
        tasks.spawn(async move {
            lease.await;
            Ok(())
        });
        let (halt, task) = halt::start(Arc::clone(&journal), stop.clone()).await?;
        tasks.spawn(async move {
            task.await;
            Ok(())
        });
        Ok(Self {
            journal,
            halt,
            workers,
            checklists: BTreeMap::new(),
            retirements: BTreeMap::new(),
            tasks,
            stop,
        })
    }

    /// Begins to look whether the old sides are used; before [`Self::answer_checklists`],
    /// which asks that.
    pub async fn watch_old_sides(
        &mut self,
        plan: &Plan,
        publisher: &Publisher,
        old_side: &Arc<dyn OldSide>,
    ) -> Result<BTreeMap<ExtractionName, RetireHandle>, JournalError> {
        for (name, extraction) in &plan.extractions {
            let (Some(worker), Some(_)) = (self.workers.get(name), extraction.data.replicate())
            else {
                continue;
            };
            let context = brown_out::Context {
                name: name.clone(),
                journal: Arc::clone(&self.journal),
                worker: worker.clone(),
                gateways: Arc::clone(publisher.gateways()),
            };
            let (brown_out, task) = brown_out::start(context, self.stop.clone()).await?;
            self.tasks.spawn(async move {
                task.await;
                Ok(())
            });
            let context = retire::Context {
                name: name.clone(),
                wanted: extraction.retire.unwrap_or_default(),
                journal: Arc::clone(&self.journal),
                worker: worker.clone(),
                gateways: Arc::clone(publisher.gateways()),
                old_side: Arc::clone(old_side),
                brown_out,
            };
            let (handle, task) = retire::start(context, self.stop.clone()).await?;
            self.tasks.spawn(async move {
                task.await;
                Ok(())
            });
            self.retirements.insert(name.clone(), handle);
        }
        Ok(self.retirements.clone())
    }

    /// Begins to answer the checklists of all extractions; before [`Self::roll_out`], whose
    /// steps may wait for them.
    pub async fn answer_checklists(
        &mut self,
        plan: &Plan,
        checks: &Arc<dyn ItemChecks>,
    ) -> Result<BTreeMap<ExtractionName, ChecklistHandle>, JournalError> {
        let lists = Arc::new(plan.checklists.clone());
        for name in self.workers.keys() {
            let context = checklist::Context {
                name: name.clone(),
                lists: Arc::clone(&lists),
                journal: Arc::clone(&self.journal),
                workers: self.workers.clone(),
                checks: Arc::clone(checks),
                retirement: self.retirements.get(name).cloned(),
            };
            let (handle, task) = checklist::start(context, self.stop.clone()).await?;
            self.tasks.spawn(async move {
                task.await;
                Ok(())
            });
            self.checklists.insert(name.clone(), handle);
        }
        Ok(self.checklists.clone())
    }

    /// Begins to take the extractions of the plan that have steps through them.
    /// `digest`: of the plan's text; it is written down with what is decided by it.
    pub async fn roll_out(
        &mut self,
        plan: &Plan,
        digest: &Arc<str>,
        publisher: &Publisher,
        guard: &Arc<dyn ShiftGuard>,
        gauges: &Arc<dyn Gauges>,
    ) -> Result<BTreeMap<ExtractionName, RolloutHandle>, JournalError> {
        let mut handles = BTreeMap::new();
        for (name, extraction) in &plan.extractions {
            let (Some(schedule), Some(worker)) = (&extraction.schedule, self.workers.get(name))
            else {
                continue;
            };
            let context = rollout::Context {
                name: name.clone(),
                schedule: schedule.clone(),
                plan: Arc::clone(digest),
                journal: Arc::clone(&self.journal),
                worker: worker.clone(),
                others: self.workers.clone(),
                gateways: Arc::clone(publisher.gateways()),
                guard: Arc::clone(guard),
                gauges: Arc::clone(gauges),
                halted: self.halt.watch(),
                checklists: self.checklists.get(name).cloned(),
            };
            let (handle, task) = rollout::start(context, self.stop.clone()).await?;
            self.tasks.spawn(async move {
                task.await;
                Ok(())
            });
            handles.insert(name.clone(), handle);
        }
        Ok(handles)
    }

    /// What has happened. Not to be kept: another process waits for it.
    pub fn journal(&self) -> Weak<Journal> {
        Arc::downgrade(&self.journal)
    }

    /// What stops all automatic steps.
    pub fn halt(&self) -> &Halt {
        &self.halt
    }

    /// The workers, by extraction.
    pub fn workers(&self) -> &BTreeMap<ExtractionName, Worker> {
        &self.workers
    }

    /// Ends when a task of ours has ended that should not have: the process
    /// must end too. Says why, if it knows.
    pub async fn failed(&mut self) -> Option<JournalError> {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => Some(error),
            Some(Err(error)) => {
                tracing::error!(%error, "a task of the conductor ended");
                None
            }
            Some(Ok(Ok(()))) | None => None,
        }
    }

    /// Stops after the step under way; what is not finished goes on at the
    /// next start.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn lease(gateways: Arc<dyn Gateways>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(RENEW);
    loop {
        tokio::select! {
            _ = ticks.tick() => gateways.renew_lease(LEASE),
            () = stop.cancelled() => return,
        }
    }
}
