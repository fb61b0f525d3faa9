//! What is sent to another service in batches: requests put it into a bounded
//! queue, and one task sends it. What does not fit is lost and counted: no
//! request waits.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// How long the first of a batch waits for others.
const WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// What became of them.
#[derive(Debug, Clone)]
pub(crate) struct BatchCounters {
    pub(crate) sent: Counter,
    pub(crate) lost: Counter,
}

/// Where requests put theirs.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    sender: mpsc::Sender<T>,
    lost: Counter,
}

/// Where the task takes them from.
#[derive(Debug)]
pub(crate) struct Batches<T> {
    receiver: mpsc::Receiver<T>,
    /// Taken, and not given out yet.
    pending: Vec<T>,
    most: usize,
}

/// Some of them, none only at the end.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    pub(crate) items: Vec<T>,
    pub(crate) is_last: bool,
}

/// Both ends, for so many that wait and so many in a batch; their fates are
/// told under this name.
pub(crate) fn queue<T>(
    (waiting, most): (usize, usize),
    metrics: &Metrics,
    (name, help): (&str, &str),
) -> (Queue<T>, Batches<T>, BatchCounters) {
    let counters = Family::<OutcomeLabel, Counter>::default();
    metrics.register(name, help, counters.clone());
    let counter = |outcome| counters.get_or_create_owned(&OutcomeLabel { outcome });
    let counters = BatchCounters {
        sent: counter("sent"),
        lost: counter("lost"),
    };
    let (sender, receiver) = mpsc::channel(waiting);
    let lost = counters.lost.clone();
    let batches = Batches {
        receiver,
        pending: Vec::new(),
        most,
    };
    (Queue { sender, lost }, batches, counters)
}

impl<T> Queue<T> {
    /// Has one sent, if there is room.
    pub(crate) fn add(&self, one: T) {
        if self.sender.try_send(one).is_err() {
            self.lost.inc();
        }
    }
}

impl<T> Batches<T> {
    /// The next ones; the last once `ended` says that no more come. Cancel
    /// safe: what was taken comes with the next call.
    pub(crate) async fn next(&mut self, ended: &CancellationToken) -> Batch<T> {
        let is_last = tokio::select! {
            () = self.fill() => false,
            () = ended.cancelled() => true,
        };
        if is_last {
            while let Ok(one) = self.receiver.try_recv() {
                self.pending.push(one);
            }
        }
        let items = std::mem::take(&mut self.pending);
        Batch { items, is_last }
    }

    async fn fill(&mut self) {
        let Self {
            receiver,
            pending,
            most,
        } = self;
        // For the first it waits as long as it takes.
        if pending.is_empty() && receiver.recv_many(pending, *most).await == 0 {
            // All senders dropped.
            return std::future::pending().await;
        }
        let more = async {
            while pending.len() < *most {
                let room = *most - pending.len();
                if receiver.recv_many(pending, room).await == 0 {
                    return;
                }
            }
        };
        // Late: then it is not a full one.
        let _ = timeout(WAIT, more).await;
    }
}
