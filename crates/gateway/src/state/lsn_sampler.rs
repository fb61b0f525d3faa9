//! Finds out where answered writes lie in the owner's log.
//!
//! One task per worker and extraction. It takes all writes that were answered
//! since the last time, samples one position for all of them, and settles their
//! pins with it. While that runs, others gather.

use super::{gateway_state::GatewayState, pins::Holder};
use crate::{base::index::ExtractionIndex, routing::snapshot::Ownership};
use protocol::{Lsn, Side};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    mem,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Notify, oneshot};

/// How long a sample may take until it counts as failed.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Wait after a failed sample: the first, and the longest after doubling.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(1);

/// The most requests of a worker that wait for the next position, for their
/// tokens; others do without. As many as come in the time of a slow sample.
const ASKED_MAX: usize = 10_000;

/// Number of answered writes by pin. Bounded by the number of pins.
type Batch = HashMap<(Ownership, Holder), u64>;

/// The writes of one worker and extraction that must be settled.
pub(crate) struct LsnSampler {
    state: Arc<GatewayState>,
    extraction: ExtractionIndex,
    answered: RefCell<Batch>,
    /// Read-your-writes tokens that wait for the position of this side.
    asked: RefCell<Vec<(Side, oneshot::Sender<Lsn>)>>,
    /// Whether the last sample failed: then the next one is not waited for.
    is_failing: Cell<bool>,
    wake: Notify,
}

impl LsnSampler {
    pub(crate) fn new(state: Arc<GatewayState>, extraction: ExtractionIndex) -> Rc<Self> {
        let (answered, wake) = (RefCell::default(), Notify::new());
        Rc::new(Self {
            state,
            extraction,
            answered,
            asked: RefCell::default(),
            is_failing: Cell::default(),
            wake,
        })
    }

    /// A write was answered: a sample taken from now on covers it.
    pub(crate) fn push(&self, owner: Ownership, holder: Holder) {
        *self
            .answered
            .borrow_mut()
            .entry((owner, holder))
            .or_default() += 1;
        self.wake.notify_one();
    }

    /// The position of a side's log, sampled from now on; an error where it
    /// does not own, or cannot be asked.
    pub(crate) fn position(&self, side: Side) -> oneshot::Receiver<Lsn> {
        let (told, position) = oneshot::channel();
        let mut asked = self.asked.borrow_mut();
        if !self.is_failing.get() && asked.len() < ASKED_MAX {
            asked.push((side, told));
            self.wake.notify_one();
        }
        position
    }

    /// Settles what comes, until it is dropped.
    pub(crate) async fn run(&self) {
        loop {
            self.wake.notified().await;
            let mut retry = RETRY_FIRST;
            while !self.sample().await {
                self.is_failing.set(true);
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(RETRY_LONGEST);
            }
            self.is_failing.set(false);
        }
    }

    /// Settles what has gathered; whether it could.
    async fn sample(&self) -> bool {
        let batch = mem::take(&mut *self.answered.borrow_mut());
        let mut asked = mem::take(&mut *self.asked.borrow_mut());
        // Writes under an earlier ownership need no pin: the owner of today had
        // caught up with them.
        let Some(owner) = self.state.ownership(self.extraction) else {
            return true;
        };
        let batch: Batch = batch
            .into_iter()
            .filter(|((under, _), _)| *under == owner)
            .collect();
        asked.retain(|(side, told)| *side == owner.side && !told.is_closed());
        if batch.is_empty() && asked.is_empty() {
            return true;
        }
        let name = &self.state.extraction(self.extraction).name;
        let sample = self.state.positions.sample(name, owner.side);
        let Ok(Some(position)) = tokio::time::timeout(SAMPLE_TIMEOUT, sample).await else {
            tracing::warn!(extraction = %name, side = %owner.side, "position not sampled, trying again");
            let mut answered = self.answered.borrow_mut();
            for (pin, writes) in batch {
                *answered.entry(pin).or_default() += writes;
            }
            return false;
        };
        for (_, told) in asked {
            // Receiver dropped: the answer has gone out without a token.
            let _ = told.send(position);
        }
        let pins = &self.state.extraction(self.extraction).pins;
        for ((under, holder), writes) in batch {
            pins.settle(under, holder, writes, position);
        }
        pins.announce();
        true
    }
}

/// A write that has been entered into its client's pin. Dropping it says that
/// it was answered, or may have had an effect without an answer.
pub(crate) struct PinnedWrite {
    lsn_sampler: Rc<LsnSampler>,
    owner: Ownership,
    holder: Holder,
    sent: bool,
}

impl PinnedWrite {
    /// Enters a write, before it is sent to the owner.
    pub(crate) fn new(lsn_sampler: &Rc<LsnSampler>, owner: Ownership, key: Option<&[u8]>) -> Self {
        let pins = &lsn_sampler.state.extraction(lsn_sampler.extraction).pins;
        let holder = pins.sent(owner, key.map(|key| pins.client(key)));
        Self {
            lsn_sampler: Rc::clone(lsn_sampler),
            owner,
            holder,
            sent: true,
        }
    }

    /// It never left the gateway.
    pub(crate) fn not_sent(mut self) {
        self.sent = false;
    }
}

impl Drop for PinnedWrite {
    fn drop(&mut self) {
        let pins = &self
            .lsn_sampler
            .state
            .extraction(self.lsn_sampler.extraction)
            .pins;
        if self.sent {
            pins.answered(self.owner, self.holder);
            self.lsn_sampler.push(self.owner, self.holder);
        } else {
            pins.unsent(self.owner, self.holder);
        }
    }
}
