//! How an external service is, by the checks so far. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum State {
    /// No check has ended yet.
    Unknown,
    /// Checks pass.
    Healthy,
    /// The last one was slow or failed, or it is on its way back.
    Degraded,
    /// So many checks in a row have failed.
    Unhealthy,
}

impl State {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self::Unknown,
        Self::Healthy,
        Self::Degraded,
        Self::Unhealthy,
    ];

    /// As it is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// How one check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// As it should, but not as fast.
    Slow,
    /// It did not, and why.
    Failed(String),
}

impl Outcome {
    /// What an answer that came after `time` says.
    pub fn of_answer(status: u16, time: Duration, slow: Duration) -> Self {
        match status {
            200..300 if time > slow => Self::Slow,
            200..300 => Self::Passed,
            300..400 => Self::Failed(format!(
                "it answered {status}; redirections are not followed"
            )),
            _ => Self::Failed(format!("it answered {status}")),
        }
    }

    /// As it is stored.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Slow => "slow",
            Self::Failed(_) => "failed",
        }
    }

    /// Why it failed.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            Self::Passed | Self::Slow => None,
        }
    }
}

/// How many checks in a row change what is thought of a service.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// Failures until it is unhealthy.
    pub unhealthy_after: i32,
    /// Passes until it is healthy again.
    pub healthy_after: i32,
}

/// What is known of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// How it is.
    pub state: State,
    /// Checks in a row that did not fail.
    pub passes: i32,
    /// Checks in a row that did.
    pub failures: i32,
}

impl Health {
    /// What is known after one more check.
    #[must_use]
    pub fn after(self, outcome: &Outcome, thresholds: Thresholds) -> Self {
        let (passes, failures) = match outcome {
            Outcome::Failed(_) => (0, self.failures.saturating_add(1)),
            Outcome::Passed | Outcome::Slow => (self.passes.saturating_add(1), 0),
        };
        let is_back = passes >= thresholds.healthy_after;
        let state = match (self.state, outcome) {
            (_, Outcome::Failed(_)) if failures >= thresholds.unhealthy_after => State::Unhealthy,
            // One that is down is so until it has passed often enough.
            (State::Unhealthy, Outcome::Failed(_)) => State::Unhealthy,
            (State::Unhealthy, _) if !is_back => State::Unhealthy,
            (State::Degraded, Outcome::Passed) if !is_back => State::Degraded,
            (_, Outcome::Failed(_) | Outcome::Slow) => State::Degraded,
            (_, Outcome::Passed) => State::Healthy,
        };
        Self {
            state,
            passes,
            failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Health = Health {
        state: State::Unknown,
        passes: 0,
        failures: 0,
    };
    const USUAL: Thresholds = Thresholds {
        unhealthy_after: 3,
        healthy_after: 2,
    };

    /// `.` passes, `s` is slow, `x` fails.
    fn after(checks: &str) -> State {
        let outcome = |check| match check {
            '.' => Outcome::Passed,
            's' => Outcome::Slow,
            _ => Outcome::Failed(String::new()),
        };
        let step = |health: Health, check| health.after(&outcome(check), USUAL);
        checks.chars().fold(START, step).state
    }

    #[test]
    fn states_follow_the_checks() {
        for (checks, state) in [
            ("", State::Unknown),
            (".", State::Healthy),
            ("s", State::Degraded),
            ("x", State::Degraded),
            ("xx", State::Degraded),
            ("xxx", State::Unhealthy),
            (".xxx", State::Unhealthy),
            (".xx.", State::Degraded),
            (".xx..", State::Healthy),
            (".s.", State::Healthy),
            ("xxx.", State::Unhealthy),
            ("xxx.x", State::Unhealthy),
            ("xxx.x.x", State::Unhealthy),
            ("xxx..", State::Healthy),
            ("xxxss", State::Degraded),
        ] {
            assert_eq!(after(checks), state, "{checks}");
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let slow = Duration::from_millis(100);
        let of = |status, time| Outcome::of_answer(status, Duration::from_millis(time), slow);
        assert_eq!(of(204, 100), Outcome::Passed);
        assert_eq!(of(200, 101), Outcome::Slow);
        for status in [100, 199, 301, 404, 500, 599] {
            assert_eq!(of(status, 1).name(), "failed", "{status}");
        }
    }

    proptest! {
        #[test]
        fn enough_in_a_row_decide(checks in "[.sx]{0,30}") {
            prop_assert_eq!(after(&format!("{checks}xxx")), State::Unhealthy);
            prop_assert_eq!(after(&format!("{checks}..")), State::Healthy);
            prop_assert_ne!(after(&format!("{checks}x")), State::Healthy);
        }

        #[test]
        fn nobody_is_unhealthy_without_enough_failures(checks in "(x{0,2}[.s]){0,20}x{0,2}") {
            prop_assert_ne!(after(&checks), State::Unhealthy);
        }
    }
}
