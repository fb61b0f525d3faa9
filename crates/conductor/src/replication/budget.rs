//! The time that the steps of a hand-over share while requests are held.

use super::context::Context;
use crate::ports::WorkError;
use protocol::handover::before_commit;
use std::time::Duration;

/// At the end of a step's time, to find out what has kept it: whoever waits for it
/// would be too late past that time.
const NAMING: Duration = Duration::from_millis(250);

/// What is left of it for a step that begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Until the commit may not be asked for any more.
    pub(super) left: Duration,
    hold: Duration,
    drain: Duration,
}

impl Budget {
    pub(super) fn of(context: &Context, left: Duration) -> Self {
        Self {
            left,
            hold: context.hold,
            drain: context.drain,
        }
    }

    fn used(&self) -> Duration {
        before_commit(self.hold).saturating_sub(self.left)
    }

    /// What is left of `switch.drain`, with the time to say what has kept it.
    pub(super) fn drain_left(&self) -> Duration {
        let of_drain = self.drain.saturating_sub(self.used());
        let of_all = self.left.saturating_sub(NAMING.min(self.left / 10));
        of_drain.min(of_all)
    }

    /// How long it may take to say it.
    pub(super) fn naming(&self) -> Duration {
        NAMING.min(self.left / 10)
    }

    /// The bounds, for a text about writes that did not end.
    pub(super) fn drain_text(&self) -> String {
        format!(
            "`switch.drain` ({:?}; `switch.hold`, {:?}, bounds drain, fence and catching up)",
            self.drain, self.hold
        )
    }

    /// A failure of a step that was out of time, perhaps, because of those before it.
    pub(super) fn told(&self, error: WorkError, before: &str) -> WorkError {
        let WorkError::Transient(text) = error else {
            return error;
        };
        WorkError::Transient(format!(
            "{text}. Of the {:?} that `switch.hold` ({:?}) gives before the commit, {before} had \
             taken {:?} (`switch.drain`: {:?}). Raise `switch.hold` if that is as it should be",
            before_commit(self.hold),
            self.hold,
            self.used(),
            self.drain
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn budget(left: u64, hold: u64, drain: u64) -> Budget {
        Budget {
            left: Duration::from_millis(left),
            hold: Duration::from_millis(hold),
            drain: Duration::from_millis(drain),
        }
    }

    #[test]
    fn a_drain_ends_by_its_own_bound_and_never_later_than_the_hold_allows() {
        for (left, hold, drain, wanted) in [
            // 1.5 s of 2 s are there before the commit.
            (1500, 2000, 1000, 1000),
            (1100, 2000, 1000, 600),
            (400, 2000, 1000, 0),
            // A drain that the hold cannot give: some is left to name what has kept it.
            (1500, 2000, 1999, 1350),
            (7500, 10_000, 9_000, 7250),
        ] {
            let found = budget(left, hold, drain).drain_left();
            assert_eq!(
                found,
                Duration::from_millis(wanted),
                "{left} {hold} {drain}"
            );
        }
    }

    #[test]
    fn a_step_without_time_says_who_has_used_it() {
        let late = WorkError::Transient("fencing took longer than 2ms".to_owned());
        let told = budget(2, 2000, 1490).told(late, "the drain").to_string();
        for part in [
            "fencing took longer than 2ms",
            "1.5s that `switch.hold` (2s)",
            "the drain had taken 1.498s",
            "`switch.drain`: 1.49s",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }
}
