//! Whether and when a request is sent once more to the same side, and the
//! budget that keeps repeats from becoming a storm.

use super::breaker::share;
use plan::Retries;
use resilience::{Repeats, budget::Deposits};
use std::time::{Duration, Instant};

pub(crate) use resilience::Budget;

/// The most repeats that may be saved up: a burst of this size does no harm,
/// one of an hour's savings would.
const SAVED_MAX: Repeats = Repeats::new(100);

/// One budget of `of` that share what the plan allows. It begins with the
/// repeats of a second.
pub(crate) fn budget(settings: &Retries, of: usize, now: Instant) -> Budget {
    let per_second = Repeats::new(settings.per_second).divided_by(of);
    let deposits = Deposits {
        per_request: share(settings.budget),
        per_second,
        saved_max: SAVED_MAX,
    };
    Budget::new(deposits, per_second, now)
}

/// How a try ended that may be repeated without harm: nothing was sent, or the
/// request is one that may be executed twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Not a byte was sent, or the connection broke before an answer.
    NoAnswer,
    /// A gateway error, with what `Retry-After` says.
    Refused(RetryAfter),
}

/// What an upstream says about when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    Absent,
    Wait(Duration),
    /// At a date, or unreadable.
    Unknown,
}

impl RetryAfter {
    pub(crate) fn read(header: Option<&[u8]>) -> Self {
        let Some(header) = header else {
            return Self::Absent;
        };
        std::str::from_utf8(header)
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok())
            .map_or(Self::Unknown, |seconds| {
                Self::Wait(Duration::from_secs(seconds.into()))
            })
    }
}

/// How long to wait before try `attempt + 1`; `None`: there is none.
pub(crate) fn pause(
    settings: &Retries,
    attempt: u32,
    ending: Ending,
    random: u64,
) -> Option<Duration> {
    if attempt >= settings.attempts {
        return None;
    }
    let backoff = backoff(settings, attempt, random);
    match ending {
        Ending::NoAnswer | Ending::Refused(RetryAfter::Absent) => Some(backoff),
        Ending::Refused(RetryAfter::Wait(wait)) if wait <= settings.backoff_max => {
            Some(wait.max(backoff))
        }
        // It knows best when it can; longer than we may wait.
        Ending::Refused(RetryAfter::Wait(_) | RetryAfter::Unknown) => None,
    }
}

/// Anything from nothing to twice as long each time ("full jitter"): clients
/// that failed together do not come back together.
fn backoff(settings: &Retries, attempt: u32, random: u64) -> Duration {
    let doubled = settings
        .backoff
        .saturating_mul(1 << attempt.saturating_sub(1).min(16));
    let most = doubled.min(settings.backoff_max);
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random % nanos.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Percent;
    use proptest::prelude::*;

    fn settings() -> Retries {
        Retries {
            attempts: 3,
            budget: Percent::parse("20%").unwrap(),
            per_second: 2,
            backoff: Duration::from_millis(20),
            backoff_max: Duration::from_secs(1),
            idempotency_keys: false,
        }
    }

    #[test]
    fn what_may_be_repeated_is_so_within_the_tries() {
        use Ending::{NoAnswer, Refused};
        let second = Duration::from_secs(1);
        for (attempt, ending, repeated) in [
            (1, NoAnswer, true),
            (2, NoAnswer, true),
            (3, NoAnswer, false),
            (1, Refused(RetryAfter::Absent), true),
            (1, Refused(RetryAfter::Wait(second)), true),
            (1, Refused(RetryAfter::Wait(second * 2)), false),
            (1, Refused(RetryAfter::Unknown), false),
            (3, Refused(RetryAfter::Absent), false),
        ] {
            let pause = pause(&settings(), attempt, ending, 7);
            assert_eq!(pause.is_some(), repeated, "{attempt} {ending:?}");
        }
        let wait = Refused(RetryAfter::Wait(second));
        assert_eq!(pause(&settings(), 1, wait, u64::MAX), Some(second));
    }

    #[test]
    fn retry_after_is_read() {
        let read = |text: &str| RetryAfter::read(Some(text.as_bytes()));
        assert_eq!(RetryAfter::read(None), RetryAfter::Absent);
        assert_eq!(read(" 2"), RetryAfter::Wait(Duration::from_secs(2)));
        for text in ["Fri, 31 Dec 1999 23:59:59 GMT", "-1", "1.5", ""] {
            assert_eq!(read(text), RetryAfter::Unknown, "{text}");
        }
    }

    proptest! {
        #[test]
        fn waits_are_bounded(attempt in 1_u32..50, random: u64) {
            let wait = backoff(&settings(), attempt, random);
            let doubled = Duration::from_millis(20 << (attempt - 1).min(16));
            prop_assert!(wait < doubled.min(Duration::from_secs(1)));
        }

        /// Of requests that all want repeats, only the share and what time adds
        /// gets them.
        #[test]
        fn repeats_stay_a_share(
            steps in prop::collection::vec((1_u32..50, 0_u64..3000), 1..60),
            of in 1_usize..4,
        ) {
            let now = Instant::now();
            let (mut requests, mut repeats, mut millis) = (0_u64, 0_u64, 0);
            let mut budget = budget(&settings(), of, now);
            for (burst, wait) in steps {
                for _ in 0..burst {
                    budget.deposit();
                    requests += 1;
                    repeats += u64::from(budget.withdraw(now + Duration::from_millis(millis)));
                }
                millis += wait;
            }
            let timely = 2 * (1000 + millis) / (1000 * of as u64) + 1;
            prop_assert!(repeats <= requests / 5 + timely, "{} of {}", repeats, requests);
            prop_assert!(repeats >= (requests / 5).saturating_sub(1));
        }
    }
}
