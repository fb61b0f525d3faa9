//! What all clients of a workload share.

use super::known::KnownRows;
use super::record::Write;
use super::settings::Settings;
use super::tally::Tally;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What all clients share.
#[derive(Debug)]
pub(super) struct WorkloadState {
    pub(super) settings: Settings,
    pub(super) url: String,
    pub(super) known: KnownRows,
    pub(super) phase: AtomicUsize,
    pub(super) tally: Mutex<Tally>,
    pub(super) writes: Mutex<Vec<Write>>,
}

impl WorkloadState {
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn writes(&self) -> MutexGuard<'_, Vec<Write>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
