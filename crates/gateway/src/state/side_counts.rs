//! What both sides answered of an extraction, by kind and by cells of clients, so that
//! they can be compared in the same window. Counted only where the plan has a schedule or `retire`.
//!
//! Each worker counts on its own thread, without atomics, and hands over all that it has
//! in one step, so that no request is lost between two windows or counted in both.
//!
//! Only bins that are not empty are kept. 256 cells of both sides and kinds have 8 KiB
//! to begin with; with times in all of their 257 bins they would have 520 KiB, for each
//! extraction and worker. A window's usual is a tenth of it.

use crate::observe::native_histogram::bin;
use plan::MethodKind;
use protocol::Side;
use std::{cell::RefCell, time::Duration};
use xxhash_rust::xxh3::xxh3_64;

/// Into how many cells the clients of a side are told apart.
pub const CLIENT_CELLS: usize = 64;

/// What both sides answered of an extraction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SideCounts {
    /// What the monolith answered.
    pub monolith: AnswerCounts,
    /// What the service answered.
    pub service: AnswerCounts,
}

/// What one side answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerCounts {
    /// To reads.
    pub reads: ClientCells,
    /// To writes.
    pub writes: ClientCells,
}

/// Counts by cells: a client is in the same one at either side, in every worker and in
/// every gateway. A request whose client has no key is in any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCells(Vec<ClientCell>);

/// What the clients of a cell were answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientCell {
    /// All that ended at this side.
    pub requests: u32,
    /// Those that the side failed: with 5xx, or without an answer.
    pub errors: u32,
    /// How long they took, from when they were sent to the head of the answer: numbers of
    /// bins and counts, in order. Number `n` is Prometheus' of schema 3: up to 2^(n/8)
    /// seconds. What was never sent has no time.
    pub bins: Vec<(i16, u32)>,
}

/// Which cell a request counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CellIndex(u8);

impl CellIndex {
    /// That of a client, by what the split knows it by.
    pub(crate) fn of(key: &[u8]) -> Self {
        Self::any(xxh3_64(key))
    }

    /// One by a number.
    pub(crate) fn any(number: u64) -> Self {
        Self(u8::try_from(number % CLIENT_CELLS as u64).unwrap_or(0))
    }
}

impl SideCounts {
    /// Those of a side.
    pub fn of(&self, side: Side) -> &AnswerCounts {
        match side {
            Side::Monolith => &self.monolith,
            Side::Service => &self.service,
        }
    }

    /// Adds what was counted elsewhere in the same window.
    pub fn add(&mut self, other: &Self) {
        self.monolith.add(&other.monolith);
        self.service.add(&other.service);
    }

    fn cell(&mut self, side: Side, kind: MethodKind, cell: CellIndex) -> &mut ClientCell {
        let answers = match side {
            Side::Monolith => &mut self.monolith,
            Side::Service => &mut self.service,
        };
        let cells = match kind {
            MethodKind::Read => &mut answers.reads,
            MethodKind::Write => &mut answers.writes,
        };
        &mut cells.0[usize::from(cell.0)]
    }
}

impl AnswerCounts {
    fn add(&mut self, other: &Self) {
        self.reads.add(&other.reads);
        self.writes.add(&other.writes);
    }
}

impl Default for ClientCells {
    fn default() -> Self {
        Self(vec![ClientCell::default(); CLIENT_CELLS])
    }
}

impl ClientCells {
    /// All [`CLIENT_CELLS`].
    pub fn all(&self) -> &[ClientCell] {
        &self.0
    }

    fn add(&mut self, other: &Self) {
        for (cell, other) in self.0.iter_mut().zip(&other.0) {
            cell.requests = cell.requests.saturating_add(other.requests);
            cell.errors = cell.errors.saturating_add(other.errors);
            for (bin, times) in &other.bins {
                cell.add(*bin, *times);
            }
        }
    }
}

impl ClientCell {
    /// Counts one. Nobody may ever take the counts: they stay at their most then.
    fn count(&mut self, has_failed: bool, time: Option<Duration>) {
        self.requests = self.requests.saturating_add(1);
        self.errors = self.errors.saturating_add(u32::from(has_failed));
        if let Some(time) = time {
            self.add(bin(time), 1);
        }
    }

    fn add(&mut self, bin: i16, times: u32) {
        match self.bins.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => self.bins[at].1 = self.bins[at].1.saturating_add(times),
            Err(at) => self.bins.insert(at, (bin, times)),
        }
    }
}

/// Counts an extraction's requests on one worker.
#[derive(Debug, Default)]
pub(crate) struct SideCounter(RefCell<SideCounts>);

impl SideCounter {
    /// A request has ended at a side.
    pub(crate) fn count(
        &self,
        (side, kind, cell): (Side, MethodKind, CellIndex),
        has_failed: bool,
        time: Option<Duration>,
    ) {
        let mut counts = self.0.borrow_mut();
        counts.cell(side, kind, cell).count(has_failed, time);
    }

    /// What was counted since the last time.
    pub(crate) fn take(&self) -> SideCounts {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: (Side, MethodKind, CellIndex) = (Side::Service, MethodKind::Read, CellIndex(3));

    #[test]
    fn what_is_taken_is_gone_and_adds_up() {
        let counter = SideCounter::default();
        counter.count(AT, false, Some(Duration::from_secs(1)));
        counter.count(AT, true, Some(Duration::from_millis(500)));
        counter.count(AT, true, None);
        let mut all = counter.take();
        assert_eq!(counter.take(), SideCounts::default());
        counter.count(AT, false, Some(Duration::from_secs(1)));
        all.add(&counter.take());
        let cell = ClientCell {
            requests: 4,
            errors: 2,
            bins: vec![(-8, 1), (0, 2)],
        };
        assert_eq!(all.service.reads.all()[3], cell);
        *all.cell(AT.0, AT.1, AT.2) = ClientCell::default();
        assert_eq!(all, SideCounts::default());
    }

    #[test]
    fn counts_that_nobody_takes_stay_at_their_most() {
        let mut cell = ClientCell {
            requests: u32::MAX,
            errors: u32::MAX,
            bins: vec![(0, u32::MAX)],
        };
        let before = cell.clone();
        cell.count(true, Some(Duration::from_secs(1)));
        assert_eq!(cell, before);
    }

    #[test]
    fn a_clients_cell_never_changes_between_releases() {
        // From another implementation of xxh3. Gateways of two releases are added up.
        assert_eq!(CellIndex::of(b"user-1"), CellIndex(9));
        assert_eq!(CellIndex::of(b"user-2"), CellIndex(20));
    }
}
