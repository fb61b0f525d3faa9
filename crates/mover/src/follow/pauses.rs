//! The pauses between two attempts.

use std::time::Duration;

/// The pause after the first error that may pass; it doubles with each that
/// follows.
pub const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause after errors that may pass.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The pause after the first error that a person must mend; it doubles, too.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest pause after errors that a person must mend.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The next pauses.
pub(super) struct Pauses {
    passing: Duration,
    person: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            passing: SHORTEST_PAUSE,
            person: FIRST_WAIT,
        }
    }
}

impl Pauses {
    /// After an error that may pass.
    pub(super) fn passing(&mut self) -> Duration {
        let pause = self.passing;
        self.passing = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// After an error that a person must mend.
    pub(super) fn for_a_person(&mut self) -> Duration {
        let pause = self.person;
        self.person = (pause * 2).min(LONGEST_WAIT);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bounds() {
        let mut pauses = Pauses::default();
        let seconds: Vec<_> = (0..7).map(|_| pauses.for_a_person().as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        let last = (0..10).map(|_| pauses.passing()).last();
        assert_eq!(last, Some(LONGEST_PAUSE));
    }
}
