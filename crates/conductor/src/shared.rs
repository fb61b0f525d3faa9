//! The loop that runs one extraction whose data both sides share.
//!
//! There is nothing to move, so nothing takes time and nothing is half done: a
//! question is decided by `protocol::shared_data`, the decision is written down, and
//! the gateways are told. At a start the journal says it all.

use crate::{
    journal::{Journal, JournalError},
    ports::HoldReport,
    publisher::Publisher,
    status::{ExtractionStatus, HandoverStatus, kind},
    worker::{Answer, Asked, Question, Worker},
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
    let (worker, asked, status) = Worker::new(None);
    let task = Loop {
        state: history
            .iter()
            .fold(SharedDataLifecycle::default(), SharedDataLifecycle::evolve),
        name,
        journal,
        publisher,
        last_handover: None,
        status,
    };
    (worker, task.run(asked, stop))
}

struct Loop {
    name: ExtractionName,
    journal: Arc<Journal>,
    publisher: Arc<Publisher>,
    state: SharedDataLifecycle,
    last_handover: Option<HandoverStatus>,
    status: watch::Sender<ExtractionStatus>,
}

impl Loop {
    async fn run(mut self, mut asked: mpsc::Receiver<Question>, stop: CancellationToken) {
        tracing::info!(extraction = %self.name, phase = self.state.name(), "took charge");
        loop {
            self.publish();
            let question = tokio::select! {
                () = stop.cancelled() => return,
                Some(question) = asked.recv() => question,
            };
            let answer = match self.answer(question.asked).await {
                Ok(answer) => answer,
                Err(error) => {
                    // What is not written down has not happened.
                    tracing::error!(extraction = %self.name, %error, "cannot go on");
                    return;
                }
            };
            // Whoever asked may have left.
            drop(question.reply.send(answer));
        }
    }

    async fn answer(&mut self, asked: Asked) -> Result<Answer, JournalError> {
        let command = match asked {
            Asked::Start => Command::Start,
            Asked::Shift(shift) => Command::Shift {
                reads: shift.reads(),
                writes: shift.writes(),
            },
            Asked::Withdraw => Command::Shift {
                reads: Some(Percent::ZERO),
                writes: Some(Percent::ZERO),
            },
            Asked::HandOver(side) => Command::SendAll(side),
            Asked::Cancel => Command::Cancel,
            Asked::Verify => return Ok(Err(Rejection::NothingToVerify.into())),
        };
        let began = Instant::now();
        match self.state.decide(command) {
            Err(rejection) => return Ok(Err(rejection.into())),
            Ok(None) => {}
            Ok(Some(event)) => self.record(event).await?,
        }
        // Told before it is answered: who asked may count on it.
        self.publish();
        if let Asked::HandOver(to) = asked {
            self.last_handover = Some(self.sent_all(to, began));
        }
        Ok(Ok((self.snapshot(), None)))
    }

    async fn record(&mut self, event: Event) -> Result<(), JournalError> {
        self.journal.append(&self.name, &[event]).await?;
        tracing::info!(extraction = %self.name, event = ?event, "recorded");
        self.state = self.state.evolve(&event);
        Ok(())
    }

    /// Reported as a hand-over, though nobody waited for it.
    fn sent_all(&self, to: Side, began: Instant) -> HandoverStatus {
        HandoverStatus {
            kind: kind(to.other()).to_owned(),
            outcome: "committed".to_owned(),
            reason: None,
            epoch: self.state.epoch().0,
            total_ms: began.elapsed().as_secs_f64() * 1e3,
            hold: HoldReport::default(),
            steps: Vec::new(),
        }
    }

    fn publish(&self) {
        self.publisher.set(&self.name, self.state.routing());
        self.status.send_replace(self.snapshot());
    }

    fn snapshot(&self) -> ExtractionStatus {
        let Shares { reads, writes } = self.state.shares();
        let owner = match self.state {
            SharedDataLifecycle::Planned(_) => Side::Monolith.as_str(),
            SharedDataLifecycle::Split { .. } => BOTH,
        };
        ExtractionStatus {
            name: self.name.to_string(),
            phase: self.state.name().to_owned(),
            owner: owner.to_owned(),
            epoch: self.state.epoch().0,
            reads_percent: f64::from(reads.basis_points()) / 100.0,
            writes_percent: Some(f64::from(writes.basis_points()) / 100.0),
            last_handover: self.last_handover.clone(),
            ..ExtractionStatus::default()
        }
    }
}
