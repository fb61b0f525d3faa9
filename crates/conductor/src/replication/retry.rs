//! When failed work is tried again.

use std::time::{Duration, Instant};

/// Pauses before failed work is tried again: the first, doubled to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// The pause before the next try; none after a success.
#[derive(Default)]
pub(super) struct Retry {
    pause: Duration,
    not_before: Option<Instant>,
}

impl Retry {
    /// Work failed: the next try waits, longer each time.
    pub(super) fn failed(&mut self) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
        self.not_before = Some(Instant::now() + self.pause);
    }

    /// Somebody wants the next try at once.
    pub(super) fn now(&mut self) {
        *self = Self::default();
    }

    /// Whether the pause has not passed.
    pub(super) fn waits(&self) -> bool {
        self.not_before.is_some_and(|at| Instant::now() < at)
    }
}
