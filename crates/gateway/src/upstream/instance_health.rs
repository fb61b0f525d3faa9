//! What is thought of one instance: by asking it (active checks) and by what
//! became of requests (ejection). State machines alone; time comes in.

use plan::{Ejection as Settings, HealthChecks};
use std::time::{Duration, Instant};

/// What checks in a row have shown. An instance counts as healthy until they
/// show otherwise: a gateway that starts must not refuse all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Healthy { failed: u32 },
    Unhealthy { passed: u32 },
}

impl Health {
    pub(crate) const UNCHECKED: Self = Self::Healthy { failed: 0 };

    pub(crate) fn is_healthy(self) -> bool {
        matches!(self, Self::Healthy { .. })
    }

    /// After a check.
    pub(crate) fn after(self, passed: bool, checks: &HealthChecks) -> Self {
        match (self, passed) {
            (Self::Healthy { failed }, false) if failed + 1 < checks.fall => {
                Self::Healthy { failed: failed + 1 }
            }
            (Self::Unhealthy { passed }, true) if passed + 1 < checks.rise => {
                Self::Unhealthy { passed: passed + 1 }
            }
            (_, true) => Self::UNCHECKED,
            (Self::Healthy { .. } | Self::Unhealthy { .. }, false) => Self::Unhealthy { passed: 0 },
        }
    }
}

/// Failures in a row of one instance, and how often that got it ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ejection {
    in_a_row: u32,
    /// How often it was ejected, without a long good time in between.
    times: u32,
    until: Option<Instant>,
}

impl Ejection {
    /// A request succeeded.
    pub(crate) fn succeeded(&mut self, now: Instant, settings: &Settings) {
        self.in_a_row = 0;
        if self
            .until
            .is_some_and(|until| until + settings.longest <= now)
        {
            // It has been fine for as long as it could be ejected.
            *self = Self::default();
        }
    }

    /// A request failed. Returns until when it is ejected, where it now is.
    pub(crate) fn failed(&mut self, now: Instant, settings: &Settings) -> Option<Instant> {
        if self.until.is_some_and(|until| now < until) {
            // It was sent before, or in panic.
            return None;
        }
        self.in_a_row += 1;
        if self.in_a_row < settings.after {
            return None;
        }
        let doubled: Duration = settings.first.saturating_mul(1 << self.times.min(16));
        let until = now + doubled.min(settings.longest);
        self.in_a_row = 0;
        self.times += 1;
        self.until = Some(until);
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn checks() -> HealthChecks {
        HealthChecks {
            path: "/".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
        }
    }

    #[test]
    fn only_checks_in_a_row_change_health() {
        for (seen, healthy) in [
            ("", true),
            ("--", true),
            ("--+--", true),
            ("---", false),
            ("---+", false),
            ("---+-+", false),
            ("---++", true),
            ("---++--", true),
        ] {
            let health = seen.chars().fold(Health::UNCHECKED, |health, check| {
                health.after(check == '+', &checks())
            });
            assert_eq!(health.is_healthy(), healthy, "{seen}");
        }
    }

    const EJECTION: Settings = Settings {
        after: 3,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(6),
    };

    #[test]
    fn ejections_grow_are_bounded_and_forgotten() {
        let (mut ejection, mut now) = (Ejection::default(), Instant::now());
        let mut eject = |now: Instant| {
            assert_eq!(ejection.failed(now, &EJECTION), None);
            assert_eq!(ejection.failed(now, &EJECTION), None);
            let until = ejection.failed(now, &EJECTION).unwrap();
            assert_eq!(ejection.failed(now, &EJECTION), None);
            until
        };
        for seconds in [1, 2, 4, 6, 6] {
            let until = eject(now);
            assert_eq!(until - now, Duration::from_secs(seconds));
            now = until;
        }
        now += EJECTION.longest;
        ejection.succeeded(now, &EJECTION);
        assert_eq!(ejection, Ejection::default());
    }

    proptest! {
        #[test]
        fn fewer_failures_in_a_row_never_eject(seen in prop::collection::vec(any::<bool>(), 0..99)) {
            let (mut ejection, now) = (Ejection::default(), Instant::now());
            let mut in_a_row = 0;
            for good in seen {
                if good || in_a_row == 2 {
                    ejection.succeeded(now, &EJECTION);
                    in_a_row = 0;
                } else {
                    prop_assert_eq!(ejection.failed(now, &EJECTION), None);
                    in_a_row += 1;
                }
            }
        }
    }
}
