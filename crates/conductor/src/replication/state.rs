//! The state of one extraction's loop, how events change it, and what is told
//! of it: to the journal, the gateways, and those who wait for a reply.

use super::{
    context::Context, last_handovers::LastHandovers, left_readers::LeftReaders, retry::Retry,
    staleness::Staleness, timeline::Timeline,
};
use crate::{
    journal::{History, JournalError},
    ports::{Cancellation, Recopied},
    request::{Reply, Request, RequestError, ShownOwner, Waived},
    status::{ExtractionStatus, VerifyStatus},
    worker::PendingRequest,
};
use plan::{ExtractionName, Percent, TableWrites};
use protocol::{
    Millis, Side,
    lifecycle::{Command, Event, Lifecycle, Rejection},
    routing::{ExtractionRouting, Writes},
};
use std::time::Instant;
use tokio::sync::watch;

/// One extraction whose data move, as its loop knows it.
pub(super) struct Replication {
    pub(super) context: Context,
    pub(super) name: ExtractionName,
    began: Instant,
    pub(super) lifecycle: Lifecycle,
    pub(super) charge: Charge,
    pub(super) trouble: Option<String>,
    /// The work whose failure it is, by its name.
    pub(super) failed_work: Option<&'static str>,
    pub(super) last_verify: Option<VerifyStatus>,
    /// Of the hand-over under way.
    timeline: Option<Timeline>,
    pub(super) last_handovers: LastHandovers,
    left_readers: LeftReaders,
    /// What the cancel that is ending did.
    pub(super) cancelled: Option<Cancellation>,
    /// What was copied again, until it is followed.
    pub(super) recopied: Option<Recopied>,
    /// Whether the gateways are still to say how long they held.
    pub(super) report_due: bool,
    /// Whether the followers have been started.
    pub(super) following: bool,
    /// The side whose fence is known to have no triggers left.
    pub(super) unfenced: Option<Side>,
    /// Taken, and replied to when what they ask for has ended.
    pub(super) waiting: Vec<PendingRequest>,
    /// Requested before the first look at the databases had ended, or a hand-over
    /// before the streams run.
    pub(super) early: Vec<PendingRequest>,
    pub(super) retry: Retry,
    pub(super) staleness: Staleness,
    /// Whether the side that does not own is behind, because a stream is not well.
    is_behind: bool,
    status: watch::Sender<ExtractionStatus>,
}

/// Whether the extraction is this worker's to decide and to route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charge {
    /// The journal has not been compared with the rows yet. What the gateways
    /// were told last stays: it is smooth, and who may write is the databases'
    /// to say in any case. A hold that stays ends by its requests' age.
    Unknown,
    /// They may follow from one another, and nothing has been claimed yet.
    Compared,
    /// They agree: the gateways are told what follows from the state.
    Taken,
    /// The rows contradict the journal, or are another conductor's: the gateways
    /// refuse.
    Lost,
}

/// What the journal keeps for the status.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) verify: Option<VerifyStatus>,
    pub(crate) handovers: LastHandovers,
}

impl Replication {
    /// The state that the journal leads to; the rows have not been looked at.
    pub(super) fn new(
        context: Context,
        history: &History,
        reports: Reports,
        status: watch::Sender<ExtractionStatus>,
    ) -> Self {
        let events = &history.replication;
        let lifecycle = events.iter().fold(Lifecycle::Planned, Lifecycle::evolve);
        let timeline = match &lifecycle {
            Lifecycle::HandingOver { handover, .. } => {
                Some(Timeline::after_restart(handover, history.hold_began_ms))
            }
            _ => None,
        };
        Self {
            name: context.extraction.name.clone(),
            context,
            began: Instant::now(),
            lifecycle,
            charge: Charge::Unknown,
            trouble: None,
            failed_work: None,
            early: Vec::new(),
            last_verify: reports.verify,
            timeline,
            last_handovers: LastHandovers::of(events, reports.handovers),
            left_readers: LeftReaders::of(events),
            cancelled: None,
            recopied: None,
            report_due: false,
            following: false,
            unfenced: None,
            waiting: Vec::new(),
            retry: Retry::default(),
            staleness: Staleness::default(),
            is_behind: false,
            status,
        }
    }

    /// The loop's own monotonic clock.
    pub(super) fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn handing_over(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::HandingOver { .. })
    }

    /// Who was seen to be waited for in the step of the hand-over that has ended.
    pub(super) fn waited_for(&mut self, whom: Vec<String>) {
        if let Some(timeline) = &mut self.timeline {
            timeline.waited_for(whom);
        }
    }

    /// Takes a command: writes its events down, then changes the state.
    pub(super) async fn apply(
        &mut self,
        command: Command,
    ) -> Result<Result<(), Rejection>, JournalError> {
        match self.lifecycle.decide(command) {
            Ok(events) => self.record(events).await.map(Ok),
            Err(rejection) => Ok(Err(rejection)),
        }
    }

    /// The same where nobody requested it: what does not fit the state is late.
    pub(super) async fn feed(&mut self, command: Command) -> Result<(), JournalError> {
        if let Err(rejection) = self.apply(command).await? {
            tracing::debug!(extraction = %self.name, %rejection, "a result came too late");
        }
        Ok(())
    }

    pub(super) async fn record(&mut self, events: Vec<Event>) -> Result<(), JournalError> {
        if events.is_empty() {
            return Ok(());
        }
        self.context.journal.append(&self.name, &events).await?;
        for event in events {
            tracing::info!(extraction = %self.name, event = ?event, "recorded");
            self.lifecycle = std::mem::take(&mut self.lifecycle).evolve(&event);
            self.left_readers = self.left_readers.evolve(&event, &self.lifecycle);
            self.recorded(&event);
        }
        self.retry = Retry::default();
        self.trouble = None;
        Ok(())
    }

    /// What the loop itself notes of an event, and to whom it is a reply.
    fn recorded(&mut self, event: &Event) {
        match event {
            Event::HandoverBegan { epoch, from, .. } => {
                self.timeline = Some(Timeline::begin(*epoch, *from, false));
                self.unfenced = None;
            }
            Event::RehearsalBegan { epoch, from, .. } => {
                self.timeline = Some(Timeline::begin(*epoch, *from, true));
                self.unfenced = None;
            }
            Event::HandoverEnded { outcome, reason } => {
                self.unfenced = None;
                if let Some(timeline) = self.timeline.take() {
                    self.last_handovers.end(timeline, *outcome, reason.clone());
                    self.report_due = true;
                }
            }
            Event::CancelBegan => {
                self.following = false;
                self.recopied = None;
                self.waiting.append(&mut self.early);
                let cancelled = Err(RequestError::Failed("it was cancelled".to_owned()));
                self.reply(|request| !request.is_cancel(), &cancelled);
            }
            Event::Cancelled => {
                // Nothing of the life before is shown of the next.
                self.last_verify = None;
                self.last_handovers = LastHandovers::default();
                self.report_due = false;
                self.unfenced = None;
                let cancelled = self.cancelled.take();
                let done = Ok(Reply {
                    cancelled,
                    ..Reply::with(self.snapshot())
                });
                self.reply(Request::is_cancel, &done);
            }
            Event::FinishBegan => {
                self.context.mover.nothing_flows_back();
                self.following = false;
                self.waiting.append(&mut self.early);
                let finished = Err(RequestError::Failed("it was finished".to_owned()));
                self.reply(|request| request != Request::Finish, &finished);
            }
            Event::Finished => self.reply_done(|request| request == Request::Finish),
            _ => {}
        }
        if let (Some(timeline), Lifecycle::HandingOver { handover, .. }) =
            (&mut self.timeline, &self.lifecycle)
        {
            timeline.at(handover.stage().name());
        }
    }

    /// Whether a request like this waits for its reply.
    pub(super) fn waits_for(&self, request: Request) -> bool {
        self.waiting
            .iter()
            .any(|pending| pending.request == request)
    }

    /// What whoever waits for a rollback does without.
    pub(super) fn waived(&self) -> Waived {
        let waived = |pending: &PendingRequest| match pending.request {
            Request::RollBack(waived) => Some(waived),
            _ => None,
        };
        // The last one: it began this hand-over, those before wait for their report.
        self.waiting
            .iter()
            .rev()
            .find_map(waived)
            .unwrap_or_default()
    }

    /// What was agreed to by whoever waits for rows to be copied again.
    pub(super) fn agreed_recopy(&self) -> Option<ShownOwner> {
        self.waiting
            .iter()
            .find_map(|pending| match pending.request {
                Request::Recopy(shown) => Some(shown),
                _ => None,
            })
    }

    /// Replies to those who wait for something.
    pub(super) fn reply(
        &mut self,
        which: impl Fn(Request) -> bool,
        result: &Result<Reply, RequestError>,
    ) {
        let (replied, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|pending| which(pending.request));
        self.waiting = kept;
        for pending in replied {
            pending.reply(result.clone());
        }
    }

    /// Replies that it is done, with the status of now.
    pub(super) fn reply_done(&mut self, which: impl Fn(Request) -> bool) {
        let done = Ok(Reply::with(self.snapshot()));
        self.reply(which, &done);
    }

    /// Tells the gateways and whoever asks for the status.
    pub(super) fn publish(&mut self) {
        self.look_at_streams();
        let publisher = &self.context.publisher;
        match self.charge {
            Charge::Unknown | Charge::Compared => {}
            Charge::Taken => publisher.set(&self.name, self.routing()),
            Charge::Lost => publisher.refuse(&self.name),
        }
        self.status.send_replace(self.snapshot());
    }

    /// What follows from the state and the streams. A side that is behind does not
    /// follow, and all reads go to the owner unless the plan takes stale ones.
    fn routing(&self) -> ExtractionRouting {
        let routing = self.lifecycle.routing();
        let owner = match routing.writes {
            Writes::To(owner) | Writes::Hold { from: owner } => owner,
            Writes::Refuse | Writes::Split(_) => return routing,
        };
        let reads = match owner {
            _ if !self.reads_withdrawn() => routing.reads,
            Side::Monolith => Percent::ZERO,
            Side::Service => Percent::ALL,
        };
        // Tables that are split do not flow back.
        let lacks_split = owner == Side::Service && self.splits_tables();
        ExtractionRouting {
            reads,
            follows: routing.follows && !self.is_behind && !lacks_split,
            ..routing
        }
    }

    fn splits_tables(&self) -> bool {
        let data = self.context.extraction.data.replicate();
        data.is_some_and(|data| {
            let mut tables = data.tables.iter();
            tables.any(|table| table.writes == TableWrites::Split)
        })
    }

    /// Whether reads go to the owner alone because a stream is not well.
    fn reads_withdrawn(&self) -> bool {
        self.is_behind && !self.context.extraction.stale_reads
    }

    /// While a hand-over is under way reads stay where they are: its streams
    /// were well when it began, and it ends by itself.
    fn look_at_streams(&mut self) {
        let Lifecycle::Owned(owned) = &self.lifecycle else {
            if !self.handing_over() {
                self.is_behind = false;
            }
            return;
        };
        let lag = self.context.lag;
        let progress = self.context.mover.progress();
        if !self.context.mover.joining().is_empty() {
            // Of these the other side has nothing, or not all.
            self.staleness.withdraw();
        }
        let is_behind = self
            .staleness
            .withdraws(&progress, owned.by, lag, Instant::now());
        let changed = is_behind != self.is_behind;
        self.is_behind = is_behind;
        if changed {
            let withdrawn = self.reads_withdrawn();
            tracing::warn!(
                extraction = %self.name, is_behind, withdrawn,
                "reads go by the stream's state"
            );
        }
    }

    pub(super) fn snapshot(&self) -> ExtractionStatus {
        let under_way = self.timeline.as_ref().map(Timeline::under_way);
        let (last_handover, handover_before_rehearsal) = self.last_handovers.shown(under_way);
        ExtractionStatus {
            name: self.name.to_string(),
            phase: self.lifecycle.name().to_owned(),
            owner: match self.charge {
                Charge::Taken => owner(&self.lifecycle),
                Charge::Unknown | Charge::Compared | Charge::Lost => "unknown",
            }
            .to_owned(),
            instance: self.lifecycle.instance().map(|id| id.to_string()),
            epoch: self.lifecycle.epoch().0,
            reads_percent: self.routing().reads.percent(),
            reads_withdrawn: self.reads_withdrawn(),
            reads_wanted_percent: self
                .reads_withdrawn()
                .then(|| self.lifecycle.routing().reads.percent()),
            left_readers: self.left_readers.0,
            trouble: self.trouble.clone(),
            joining: self.context.mover.joining(),
            progress: self.context.mover.progress(),
            last_verify: self.last_verify.clone(),
            last_handover,
            handover_before_rehearsal,
            ..ExtractionStatus::default()
        }
    }
}

/// The owner's word.
fn owner(state: &Lifecycle) -> &'static str {
    match state {
        Lifecycle::Owned(owned) => owned.by.as_str(),
        Lifecycle::HandingOver { before, handover } if !handover.holds() => before.by.as_str(),
        Lifecycle::HandingOver { .. } => "nobody",
        Lifecycle::Finishing(_) | Lifecycle::Finished(_) => Side::Service.as_str(),
        _ => Side::Monolith.as_str(),
    }
}
