//! One pin: what a client has written at the owner, and how far the other side
//! must get until it has seen it.
//!
//! A write goes through three states: *in flight*; *answered*, its position
//! not known yet; *settled*: it lies at or before [`Pin`]'s position, which was
//! sampled after the answer had arrived. The pin counts the last two, so that a
//! request can ask for the writes that were answered before it came, however
//! many follow meanwhile.

use crate::routing::snapshot::Ownership;
use protocol::Lsn;

/// The writes of one client under one ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    owner: Ownership,
    in_flight: u32,
    answered: u64,
    settled: u64,
    position: Lsn,
}

/// The writes that had been answered at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered(u64);

/// How far the other side must get to have seen certain writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Debt {
    /// It has: whoever owns now had caught up before it took over.
    None,
    /// Not known yet.
    Unsettled,
    /// To this position.
    Until(Lsn),
}

impl Pin {
    /// A pin without writes. Counting starts at `base`, which must not be less
    /// than what an earlier pin of the same client had counted: who waits for
    /// that one's writes, all seen when it was forgotten, must not be made to
    /// wait for this one's.
    pub(crate) fn new(owner: Ownership, base: u64) -> Self {
        Self {
            owner,
            in_flight: 0,
            answered: base,
            settled: base,
            position: Lsn(0),
        }
    }

    /// A write is about to be sent. What was written under another ownership
    /// is forgotten.
    pub(crate) fn send(&mut self, owner: Ownership) {
        if self.owner != owner {
            *self = Self::new(owner, self.answered);
        }
        self.in_flight += 1;
    }

    /// A write was not sent after all.
    pub(crate) fn unsend(&mut self, owner: Ownership) {
        if self.owner == owner {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
    }

    /// A write was answered, or will never be.
    pub(crate) fn answer(&mut self, owner: Ownership) {
        if self.owner == owner {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.answered += 1;
        }
    }

    /// So many writes lie at or before a position that was sampled after the
    /// last of them was answered.
    ///
    /// Settling out of order is right, too: among `n` settled writes there is
    /// one that was answered as the `n`-th or later, so its sample covers the
    /// first `n`.
    pub(crate) fn settle(&mut self, owner: Ownership, writes: u64, position: Lsn) {
        if self.owner == owner {
            self.settled += writes;
            self.position = self.position.max(position);
        }
    }

    /// The writes answered so far.
    pub(crate) fn answered(&self) -> Answered {
        Answered(self.answered)
    }

    /// How far the other side of `owner` must get to have seen `answered`.
    pub(crate) fn debt(&self, owner: Ownership, answered: Answered) -> Debt {
        if self.owner != owner {
            Debt::None
        } else if self.settled < answered.0 {
            Debt::Unsettled
        } else {
            Debt::Until(self.position)
        }
    }

    /// Whether a write may not have been seen yet by the other side, which is
    /// at `applied`; one in flight may not.
    pub(crate) fn binds(&self, owner: Ownership, applied: Lsn) -> bool {
        self.owner == owner
            && applied != Lsn::MAX
            && (self.in_flight > 0 || self.settled < self.answered || self.position > applied)
    }

    /// The ownership it counts under.
    pub(crate) fn owner(&self) -> Ownership {
        self.owner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::{Epoch, Side};

    fn owner(side: Side, since: u64) -> Ownership {
        Ownership {
            side,
            since: Epoch(since),
        }
    }

    #[test]
    fn a_write_binds_from_before_it_is_sent_until_it_is_applied() {
        let owner = owner(Side::Monolith, 1);
        let mut pin = Pin::new(owner, 7);
        assert!(!pin.binds(owner, Lsn(0)));
        pin.send(owner);
        assert!(pin.binds(owner, Lsn(100)));
        assert_eq!(pin.debt(owner, pin.answered()), Debt::Until(Lsn(0)));
        pin.answer(owner);
        assert!(pin.binds(owner, Lsn(100)));
        assert_eq!(pin.debt(owner, pin.answered()), Debt::Unsettled);
        pin.settle(owner, 1, Lsn(50));
        assert_eq!(pin.debt(owner, pin.answered()), Debt::Until(Lsn(50)));
        assert!(pin.binds(owner, Lsn(49)));
        assert!(!pin.binds(owner, Lsn(50)));
    }

    #[test]
    fn a_write_that_was_not_sent_binds_nothing() {
        let owner = owner(Side::Monolith, 1);
        let mut pin = Pin::new(owner, 7);
        pin.send(owner);
        pin.unsend(owner);
        assert!(!pin.binds(owner, Lsn(0)));
    }

    #[test]
    fn another_ownership_forgets() {
        let (old, new) = (owner(Side::Monolith, 1), owner(Side::Service, 2));
        let mut pin = Pin::new(old, 7);
        pin.send(old);
        assert!(!pin.binds(new, Lsn(0)));
        pin.send(new);
        pin.answer(old);
        assert_eq!(pin.answered(), Answered(7));
        assert!(pin.binds(new, Lsn(100)));
        pin.answer(new);
        pin.settle(old, 1, Lsn(7));
        assert_eq!(pin.debt(new, pin.answered()), Debt::Unsettled);
    }

    proptest! {
        /// Several workers settle in any order; each sample is taken after the
        /// answers that it settles. Whoever asks for what was answered before
        /// it never gets a position before one of those writes.
        #[test]
        fn a_debt_covers_every_write_answered_before(
            batches in proptest::collection::vec(0..3usize, 1..20),
            delays in proptest::collection::vec(0..6usize, 20),
        ) {
            let owner = owner(Side::Service, 1);
            let mut pin = Pin::new(owner, 7);
            // The log grows by one with each answer; a sample sees its end.
            let mut log = 0;
            let mut positions = Vec::new();
            let mut queue: Vec<(usize, u64, Lsn)> = Vec::new();
            for (step, writes) in batches.iter().enumerate() {
                for _ in 0..*writes {
                    pin.send(owner);
                    log += 1;
                    positions.push(Lsn(log));
                    pin.answer(owner);
                }
                queue.push((step + delays[step], *writes as u64, Lsn(log)));
                for (_, writes, sample) in queue.extract_if(.., |(due, ..)| *due <= step) {
                    pin.settle(owner, writes, sample);
                }
                for (count, position) in positions.iter().enumerate() {
                    if let Debt::Until(debt) = pin.debt(owner, Answered(7 + count as u64 + 1)) {
                        prop_assert!(debt >= *position);
                    }
                }
            }
        }
    }
}
