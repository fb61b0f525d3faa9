//! For how long a step was seen to last, whatever the calendar's clock does.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// Adds up the time in which somebody looked; kept over a restart. What nobody watched
/// does not count.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StepClock {
    lasted_ms: u64,
    /// When it was looked last, by a clock that is never set.
    #[serde(skip)]
    looked: Option<Instant>,
    /// What is less than a millisecond.
    #[serde(skip)]
    rest: Duration,
}

impl StepClock {
    pub(super) fn tick(&mut self, now: Instant) {
        if let Some(looked) = self.looked.replace(now) {
            let passed = self.rest + now.saturating_duration_since(looked);
            let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            self.rest = passed.saturating_sub(Duration::from_millis(millis));
            self.lasted_ms = self.lasted_ms.saturating_add(millis);
        }
    }

    pub(super) fn lasted(&self) -> Duration {
        Duration::from_millis(self.lasted_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_that_was_watched_counts_and_a_restart_keeps_it() {
        let zero = Instant::now();
        let mut clock = StepClock::default();
        for quarter in 0..=40 {
            clock.tick(zero + Duration::from_micros(250_100) * quarter);
        }
        assert_eq!(clock.lasted(), Duration::from_millis(10_004));
        let kept = serde_json::to_string(&clock).unwrap();
        let mut clock: StepClock = serde_json::from_str(&kept).unwrap();
        // The process was gone for an hour.
        clock.tick(zero + Duration::from_hours(1));
        clock.tick(zero + Duration::from_secs(3_601));
        assert_eq!(clock.lasted(), Duration::from_millis(11_004));
    }
}
