//! The step whose gates protect what is so.

use super::recorded::Recorded;
use protocol::rollout::{Position, UnixMillis};

/// Until the next step is entered, it is the one before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guarding {
    /// Which one, and since when it is entered.
    pub(super) step: (usize, UnixMillis),
    /// Whether it has passed: then its gates stay as they were.
    has_passed: bool,
}

impl Guarding {
    /// By the journal, so that it is the same after a restart.
    pub(super) fn of(position: &Position, recorded: &Recorded) -> Option<Self> {
        let present = position.entered.map(|at| Self {
            step: (position.step, at),
            has_passed: false,
        });
        present.or_else(|| {
            recorded.entered.map(|step| Self {
                step,
                has_passed: true,
            })
        })
    }

    /// Whether gates of the step `known` are the ones that count: with other limits only
    /// those of a step that has passed are.
    pub(super) fn goes_on(&self, known: Option<(usize, UnixMillis)>, same_limits: bool) -> bool {
        known == Some(self.step) && (same_limits || self.has_passed)
    }
}
