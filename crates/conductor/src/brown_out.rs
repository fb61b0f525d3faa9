//! The loop that begins and ends the brown-outs of one extraction: what was begun is written
//! down, and over a restart neither longer nor forgotten.
//!
//! The gateway refuses nothing unless the service owns the data for sure, and stops by a
//! clock of its own; the loop tells it, and writes down why it ended.

use crate::{
    journal::{Journal, JournalError, now_ms},
    ports::{BrownOutNotice, Gateways},
    precondition::Precondition,
    request::STOPPING,
    status::{BrownOutStatus, ExtractionStatus},
    worker::Worker,
};
use plan::ExtractionName;
use protocol::{
    Side,
    brown_out::{BrownOut, Ending, Event},
    rollout::{Actor, UnixMillis},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether one is over.
const TURN: Duration = Duration::from_millis(250);

/// Orders that may wait.
const ORDERS_MAX: usize = 4;

/// A brown-out that somebody wants.
pub(crate) struct WantedBrownOut {
    pub(crate) lasts: Duration,
    pub(crate) sunset: UnixMillis,
    pub(crate) by: Actor,
    /// A digest of the plan's text.
    pub(crate) plan: Arc<str>,
    /// How the extraction stood when it was decided on.
    pub(crate) expected: Option<Precondition>,
}

enum BrownOutOrder {
    Begin(WantedBrownOut),
    End(Actor),
}

type GivenOrder = (BrownOutOrder, oneshot::Sender<Result<(), String>>);

/// The way to the brown-outs of one extraction. Cheap to clone; does not keep the journal.
#[derive(Clone)]
pub(crate) struct BrownOutHandle {
    orders: mpsc::Sender<GivenOrder>,
    state: watch::Receiver<BrownOut>,
}

impl BrownOutHandle {
    /// The one that lasts.
    pub(crate) fn status(&self) -> Option<BrownOutStatus> {
        match &*self.state.borrow() {
            BrownOut::Idle => None,
            BrownOut::Running(running) => Some(BrownOutStatus {
                since_ms: running.at.0,
                until_ms: running.until.0,
                sunset_ms: running.sunset.0,
                by: running.by.to_string(),
            }),
        }
    }

    /// Begins one. The error says why not; nothing was changed then.
    pub(crate) async fn begin(&self, wanted: WantedBrownOut) -> Result<(), String> {
        self.order(BrownOutOrder::Begin(wanted)).await
    }

    /// Ends the one that lasts. The error says why not.
    pub(crate) async fn end(&self, by: Actor) -> Result<(), String> {
        self.order(BrownOutOrder::End(by)).await
    }

    async fn order(&self, order: BrownOutOrder) -> Result<(), String> {
        let gone = || STOPPING.to_owned();
        let (reply, result) = oneshot::channel();
        self.orders.send((order, reply)).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

/// What it needs.
pub(crate) struct Context {
    pub(crate) name: ExtractionName,
    pub(crate) journal: Arc<Journal>,
    pub(crate) worker: Worker,
    pub(crate) gateways: Arc<dyn Gateways>,
}

/// Makes a handle and the loop behind it, which the caller spawns.
pub(crate) async fn start(
    context: Context,
    stop: CancellationToken,
) -> Result<(BrownOutHandle, impl Future<Output = ()> + Send + use<>), JournalError> {
    let history = context.journal.read(&context.name).await?.brown_out;
    let kept = history.iter().fold(BrownOut::Idle, BrownOut::evolve);
    let (orders, receiver) = mpsc::channel(ORDERS_MAX);
    let (sender, state) = watch::channel(kept);
    let running = Running {
        context,
        state: sender,
    };
    Ok((
        BrownOutHandle { orders, state },
        running.run(receiver, stop),
    ))
}

struct Running {
    context: Context,
    state: watch::Sender<BrownOut>,
}

impl Running {
    async fn run(self, mut orders: mpsc::Receiver<GivenOrder>, stop: CancellationToken) {
        self.tell();
        loop {
            if let Err(error) = self.turn().await {
                // It is due again; the gateway has stopped by itself.
                let extraction = &self.context.name;
                tracing::warn!(%extraction, %error, "end of a brown-out not written down");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some((order, reply)) = orders.recv() => {
                    let result = self.carry_out(order).await;
                    drop(reply.send(result));
                }
                () = tokio::time::sleep(TURN) => {}
            }
        }
        // Whoever decides next tells its own gateway.
        self.context.gateways.brown_out(&self.context.name, None);
    }

    async fn turn(&self) -> Result<(), JournalError> {
        let is_owned = is_owned(&self.context.worker.status());
        let due = self.state.borrow().due(UnixMillis(now_ms()), is_owned);
        match due {
            Some(event) => self.record(event).await,
            None => Ok(()),
        }
    }

    async fn carry_out(&self, order: BrownOutOrder) -> Result<(), String> {
        let event = match order {
            BrownOutOrder::End(by) => match &*self.state.borrow() {
                BrownOut::Idle => return Err(format!("`{}` has no brown-out", self.context.name)),
                BrownOut::Running(_) => Event::Ended {
                    why: Ending::Person(by),
                },
            },
            BrownOutOrder::Begin(wanted) => self.begun(wanted)?,
        };
        let recorded = self.record(event).await;
        recorded.map_err(|error| error.unwritten())
    }

    fn begun(&self, wanted: WantedBrownOut) -> Result<Event, String> {
        let status = self.context.worker.status();
        let expected = wanted.expected.as_ref();
        if let Some(refusal) = expected.and_then(|expected| expected.refusal(&status)) {
            return Err(refusal);
        }
        if is_owned(&status) != Some(true) {
            let name = &self.context.name;
            return Err(format!(
                "`{name}` is {}, its owner {}, with {} % of the reads at the service. Only once the \
                 service owns the data and gets all requests is the other side an old one: `banyan \
                 switch {name}`, `banyan shift {name} --reads 100%`",
                status.phase, status.owner, status.reads_percent
            ));
        }
        let begun = self.state.borrow().begin(
            UnixMillis(now_ms()),
            (wanted.lasts, wanted.sunset),
            wanted.by,
            &wanted.plan,
        );
        begun.map_err(|error| error.to_string())
    }

    /// What ends is ended at the gateway first, what begins is written down first.
    async fn record(&self, event: Event) -> Result<(), JournalError> {
        let (name, gateways) = (&self.context.name, &self.context.gateways);
        if matches!(event, Event::Ended { .. }) {
            gateways.brown_out(name, None);
        }
        let written = self
            .context
            .journal
            .append(name, std::slice::from_ref(&event));
        if let Err(error) = written.await {
            // It lasts on, as the status says.
            self.tell();
            return Err(error);
        }
        tracing::info!(extraction = %name, ?event, "recorded");
        self.state.send_modify(|state| {
            *state = std::mem::take(state).evolve(&event);
        });
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        let notice = match &*self.state.borrow() {
            BrownOut::Idle => None,
            BrownOut::Running(running) => Some(BrownOutNotice {
                left: running.left(UnixMillis(now_ms())),
                deprecated: running.at,
                sunset: running.sunset,
            }),
        };
        self.context.gateways.brown_out(&self.context.name, notice);
    }
}

/// Whether the service owns the data and gets all requests; `None`: nobody knows for now.
fn is_owned(status: &ExtractionStatus) -> Option<bool> {
    let wanted = status.wanted_reads();
    match status.phase.as_str() {
        "finished" | "finishing" => Some(true),
        "switched" if status.owner == Side::Service.as_str() => Some(wanted >= 100.0),
        // Its row cannot be read, or it has said nothing yet.
        "switched" if status.owner != Side::Monolith.as_str() => None,
        // While a rollback is rehearsed it is held, and given back as it was.
        "" | "unknown" | "rehearsing" => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_with_all_requests_has_an_old_side() {
        for (phase, owner, reads, wanted) in [
            ("switched", "service", 100.0, Some(true)),
            ("switched", "service", 99.99, Some(false)),
            ("switched", "monolith", 100.0, Some(false)),
            ("switched", "unknown", 100.0, None),
            ("finished", "service", 100.0, Some(true)),
            ("rolling-back", "nobody", 100.0, Some(false)),
            ("following", "monolith", 100.0, Some(false)),
            ("shared", "both", 100.0, Some(false)),
            ("", "", 0.0, None),
        ] {
            let status = ExtractionStatus {
                phase: phase.to_owned(),
                owner: owner.to_owned(),
                reads_percent: reads,
                ..ExtractionStatus::default()
            };
            assert_eq!(is_owned(&status), wanted, "{phase} {owner} {reads}");
        }
    }
}
