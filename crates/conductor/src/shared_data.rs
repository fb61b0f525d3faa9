//! The loop that runs one extraction whose data both sides share.
//!
//! There is nothing to move, so nothing takes time and nothing is half done: a
//! request is decided by `protocol::shared_data`, the decision is written down,
//! and the gateways are told. At a start the journal says it all.

use crate::{
    journal::Journal,
    publisher::Publisher,
    request::{Reply, Request, RequestError},
    status::{ExtractionStatus, HandoverStatus, kind},
    worker::{PendingRequest, Worker},
};
use plan::{ExtractionName, Percent};
use protocol::{
    Side,
    shared_data::{Command, Event, Rejection, SharedDataLifecycle, Shares},
};
use std::{sync::Arc, time::Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The word in `banyan status` for who may write.
pub(crate) const BOTH: &str = "both";

/// Makes a worker and the loop behind it, which the caller spawns.
pub(crate) fn start(
    name: ExtractionName,
    journal: Arc<Journal>,
    publisher: Arc<Publisher>,
    history: &[Event],
    stop: CancellationToken,
) -> (Worker, impl Future<Output = ()> + Send + use<>) {
    let (worker, requests, status) = Worker::new(None);
    let shared_data = SharedData {
        lifecycle: history
            .iter()
            .fold(SharedDataLifecycle::default(), SharedDataLifecycle::evolve),
        name,
        journal,
        publisher,
        last_handover: None,
        trouble: None,
        status,
    };
    (worker, shared_data.run(requests, stop))
}

/// One extraction whose data both sides share, as its loop knows it.
struct SharedData {
    name: ExtractionName,
    journal: Arc<Journal>,
    publisher: Arc<Publisher>,
    lifecycle: SharedDataLifecycle,
    last_handover: Option<HandoverStatus>,
    /// Why the last decision was not written down.
    trouble: Option<String>,
    status: watch::Sender<ExtractionStatus>,
}

impl SharedData {
    async fn run(mut self, mut requests: mpsc::Receiver<PendingRequest>, stop: CancellationToken) {
        tracing::info!(extraction = %self.name, phase = self.lifecycle.name(), "took charge");
        loop {
            self.publish();
            let pending = tokio::select! {
                () = stop.cancelled() => return,
                Some(pending) = requests.recv() => pending,
            };
            let result = match pending.is_late(&self.snapshot()) {
                Some(late) => Err(late),
                None => self.carry_out(pending.request).await,
            };
            pending.reply(result);
        }
    }

    async fn carry_out(&mut self, request: Request) -> Result<Reply, RequestError> {
        let command = match request {
            Request::Start => Command::Start,
            Request::Shift(shift) => Command::Shift {
                reads: shift.reads(),
                writes: shift.writes(),
            },
            Request::Withdraw => Command::Shift {
                reads: Some(Percent::ZERO),
                writes: Some(Percent::ZERO),
            },
            Request::Switch => Command::SendAll(Side::Service),
            Request::RollBack(_) => Command::SendAll(Side::Monolith),
            Request::Cancel { .. } => Command::Cancel,
            Request::Finish => return Err(Rejection::NothingToFinish.into()),
            // Nothing follows, so nothing waits to be tried again.
            Request::Resume => return Ok(Reply::with(self.snapshot())),
            Request::Recopy(_) | Request::Verify => return Err(Rejection::NothingToVerify.into()),
            Request::Rehearse => return Err(Rejection::NothingToRehearse.into()),
        };
        let began = Instant::now();
        if let Some(event) = self.lifecycle.decide(command)? {
            self.record(event).await?;
        }
        // Told before the reply: who requested it may count on it.
        self.publish();
        if let Some(to) = request.hands_over_to() {
            self.last_handover = Some(self.sent_all(to, began));
        }
        Ok(Reply::with(self.snapshot()))
    }

    /// What cannot be written down has not happened: the shares stay, and so does this
    /// worker, without which the gateway would end.
    async fn record(&mut self, event: Event) -> Result<(), RequestError> {
        if let Err(error) = self.journal.append(&self.name, &[event]).await {
            tracing::error!(extraction = %self.name, %error, "the journal cannot be written");
            let text = error.unwritten();
            self.trouble = Some(text.clone());
            self.status.send_replace(self.snapshot());
            return Err(RequestError::Failed(text));
        }
        self.trouble = None;
        tracing::info!(extraction = %self.name, event = ?event, "recorded");
        self.lifecycle = self.lifecycle.evolve(&event);
        Ok(())
    }

    /// Reported as a hand-over, though nobody waited for it.
    fn sent_all(&self, to: Side, began: Instant) -> HandoverStatus {
        HandoverStatus {
            kind: kind(to.other()).to_owned(),
            outcome: "committed".to_owned(),
            epoch: self.lifecycle.epoch().0,
            total_ms: began.elapsed().as_secs_f64() * 1e3,
            ..HandoverStatus::default()
        }
    }

    fn publish(&self) {
        self.publisher.set(&self.name, self.lifecycle.routing());
        self.status.send_replace(self.snapshot());
    }

    fn snapshot(&self) -> ExtractionStatus {
        let Shares { reads, writes } = self.lifecycle.shares();
        let owner = match self.lifecycle {
            SharedDataLifecycle::Planned(_) => Side::Monolith.as_str(),
            SharedDataLifecycle::Split { .. } => BOTH,
        };
        ExtractionStatus {
            name: self.name.to_string(),
            phase: self.lifecycle.name().to_owned(),
            owner: owner.to_owned(),
            epoch: self.lifecycle.epoch().0,
            reads_percent: reads.percent(),
            writes_percent: Some(writes.percent()),
            last_handover: self.last_handover.clone(),
            trouble: self.trouble.clone(),
            ..ExtractionStatus::default()
        }
    }
}
