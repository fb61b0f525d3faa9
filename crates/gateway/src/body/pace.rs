//! How slowly a body may come.

use plan::ClientLimits;
use std::{num::NonZeroU64, time::Duration};

/// How slowly a body may come: each part may take `gateway.client.body`, but
/// all of them together no more than that and what `body-rate` allows for what has
/// come. So a pause costs, and what comes earns the next one; no more can be saved
/// up than one pause. Only the time counts in which the client is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pause: Duration,
    bytes_per_second: Option<NonZeroU64>,
    left: Duration,
}

impl Pace {
    pub(super) fn new(limits: &ClientLimits) -> Self {
        Self {
            pause: limits.body,
            bytes_per_second: limits.body_rate,
            left: limits.body,
        }
    }

    /// One without a least rate.
    pub(super) fn steady(limits: &ClientLimits) -> Self {
        Self {
            bytes_per_second: None,
            ..Self::new(limits)
        }
    }

    /// How long the next part may take.
    pub(super) fn longest(&self) -> Duration {
        self.left
    }

    /// So many bytes came after such a wait.
    pub(super) fn came(&mut self, bytes: usize, waited: Duration) {
        let Some(rate) = self.bytes_per_second else {
            return;
        };
        let micros = (bytes as u64).saturating_mul(1_000_000) / rate;
        let earned = Duration::from_micros(micros);
        let left = self.left.saturating_sub(waited).saturating_add(earned);
        self.left = left.min(self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_costs_and_bytes_earn_the_next_one() {
        let seconds = Duration::from_secs;
        let mut pace = Pace {
            pause: seconds(60),
            bytes_per_second: NonZeroU64::new(1024),
            left: seconds(60),
        };
        assert_eq!(pace.longest(), seconds(60));
        pace.came(1, seconds(26));
        assert!(pace.longest() > seconds(34));
        // Bytes that drip do not earn what they cost.
        pace.came(1, seconds(19));
        pace.came(1, seconds(15));
        assert!(pace.longest() < seconds(1));
        pace.came(10 << 10, Duration::ZERO);
        assert!(pace.longest() > seconds(10) && pace.longest() < seconds(11));
        pace.came(1 << 30, Duration::ZERO);
        assert_eq!(
            pace.longest(),
            seconds(60),
            "one pause is saved up, no more"
        );
        let mut steady = Pace {
            bytes_per_second: None,
            ..pace
        };
        steady.came(1, seconds(59));
        assert_eq!(steady.longest(), seconds(60));
    }
}
