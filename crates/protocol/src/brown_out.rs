//! Brown-outs: for a short time, requests for an old side get 410, so that who still calls
//! is found before it goes.
//!
//! One is for as long as it was begun for and no longer, whatever restarts meanwhile: its
//! end is written down with its beginning. It is over as soon as the service does not own
//! the data any more.

use crate::rollout::{Actor, UnixMillis};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest: somebody watches it.
pub const LASTS_MAX: Duration = Duration::from_hours(1);

/// The shortest.
const LASTS_MIN: Duration = Duration::from_secs(1);

/// The latest day on which an old side may be said to go.
const SUNSET_MAX: Duration = Duration::from_hours(10 * 366 * 24);

/// What has happened. Persisted: never edited; a changed meaning is a new variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// It began.
    #[serde(rename = "brown-out-began")]
    Began {
        /// When.
        at: UnixMillis,
        /// When it ends by itself.
        until: UnixMillis,
        /// When the old side goes for good, as clients are told.
        sunset: UnixMillis,
        /// Who wanted it.
        by: Actor,
        /// A digest of the plan's text.
        plan: String,
    },
    /// It ended.
    #[serde(rename = "brown-out-ended")]
    Ended {
        /// Why.
        why: Ending,
    },
}

/// Why one ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Its time was over.
    Time,
    /// A person ended it.
    Person(Actor),
    /// Not all requests go to the service any more.
    Owner,
}

/// Whether there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BrownOut {
    /// There is none.
    #[default]
    Idle,
    /// There is one.
    Running(Running),
}

/// One that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Since when.
    pub at: UnixMillis,
    /// When it ends by itself.
    pub until: UnixMillis,
    /// When the old side goes for good.
    pub sunset: UnixMillis,
    /// Who wanted it.
    pub by: Actor,
}

/// Why none is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrownOutError {
    /// There is one.
    #[error("there is one already: `--end` ends it")]
    Running,
    /// Nobody watches it for so long, or it finds nobody.
    #[error("it lasts for one second to one hour: `--for 10m`")]
    Length,
    /// What clients are told makes no sense.
    #[error("the old side goes after the brown-out, within ten years: `--sunset 2027-01-31`")]
    Sunset,
}

impl BrownOut {
    /// The state after an event.
    #[must_use]
    pub fn evolve(self, event: &Event) -> Self {
        match event.clone() {
            Event::Began {
                at,
                until,
                sunset,
                by,
                plan: _,
            } => Self::Running(Running {
                at,
                until,
                sunset,
                by,
            }),
            Event::Ended { .. } => Self::Idle,
        }
    }

    /// The event that begins one now.
    pub fn begin(
        &self,
        now: UnixMillis,
        (lasts, sunset): (Duration, UnixMillis),
        by: Actor,
        plan: &str,
    ) -> Result<Event, BrownOutError> {
        if *self != Self::Idle {
            return Err(BrownOutError::Running);
        }
        if !(LASTS_MIN..=LASTS_MAX).contains(&lasts) {
            return Err(BrownOutError::Length);
        }
        let until = now.after(lasts);
        if sunset <= until || sunset > now.after(SUNSET_MAX) {
            return Err(BrownOutError::Sunset);
        }
        Ok(Event::Began {
            at: now,
            until,
            sunset,
            by,
            plan: plan.to_owned(),
        })
    }

    /// The event that is due. `is_owned`: whether the service owns the data and gets all
    /// requests; `None`: nobody knows for now.
    pub fn due(&self, now: UnixMillis, is_owned: Option<bool>) -> Option<Event> {
        let Self::Running(running) = self else {
            return None;
        };
        let why = if is_owned == Some(false) {
            Ending::Owner
        } else if running.left(now).is_zero() {
            Ending::Time
        } else {
            return None;
        };
        Some(Event::Ended { why })
    }
}

impl Running {
    /// How much of it is left: never more than it was begun for, though the clock was set
    /// back.
    pub fn left(&self, now: UnixMillis) -> Duration {
        let left = self.until.0.saturating_sub(now.0.max(self.at.0));
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never edited: what these lines say was written by some release.
    const GOLDEN: &str = include_str!("../tests/golden/brown_out_events.jsonl");

    const MINUTE: Duration = Duration::from_mins(1);
    const DAY_MS: i64 = 86_400_000;

    fn ada() -> Actor {
        Actor::Person("ada".to_owned())
    }

    fn begun(lasts: Duration, sunset: i64) -> Result<Event, BrownOutError> {
        let at = UnixMillis(1_700_000_000_000);
        let sunset = UnixMillis(at.0 + sunset);
        BrownOut::Idle.begin(at, (lasts, sunset), ada(), "digest")
    }

    fn running() -> BrownOut {
        BrownOut::Idle.evolve(&begun(10 * MINUTE, DAY_MS).unwrap())
    }

    #[test]
    fn journals_of_earlier_releases_are_read_as_they_were_written() {
        let ended = |why| Event::Ended { why };
        let written = [
            begun(10 * MINUTE, DAY_MS).unwrap(),
            ended(Ending::Time),
            ended(Ending::Person(ada())),
            ended(Ending::Owner),
        ];
        let read = GOLDEN
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(read.collect::<Vec<Event>>(), written);
        let lines = written.map(|event| serde_json::to_string(&event).unwrap());
        assert_eq!(lines.join("\n"), GOLDEN.trim_end());
    }

    #[test]
    fn one_is_short_and_told_with_a_day_that_comes() {
        let hour = 60 * MINUTE;
        assert!(begun(hour, DAY_MS).is_ok());
        for lasts in [Duration::ZERO, hour + MINUTE] {
            assert_eq!(begun(lasts, DAY_MS), Err(BrownOutError::Length));
        }
        for sunset in [-DAY_MS, 60_000, 4000 * DAY_MS] {
            assert_eq!(begun(MINUTE, sunset), Err(BrownOutError::Sunset));
        }
        let now = UnixMillis(1_700_000_000_000);
        let again = running().begin(now, (MINUTE, now.after(hour)), ada(), "d");
        assert_eq!(again, Err(BrownOutError::Running));
    }

    #[test]
    fn it_ends_in_time_or_with_the_ownership_and_never_later() {
        let BrownOut::Running(one) = running() else {
            panic!("it has begun")
        };
        let at = |minutes: i64| UnixMillis(one.at.0 + minutes * 60_000);
        assert_eq!(one.left(at(3)), 7 * MINUTE);
        // The clock was set back by a day, over a restart.
        assert_eq!(one.left(at(-1440)), 10 * MINUTE);
        let ended = |why| Some(Event::Ended { why });
        for (minutes, is_owned, due) in [
            (9, Some(true), None),
            // A restart does not know yet.
            (9, None, None),
            (9, Some(false), ended(Ending::Owner)),
            (10, Some(true), ended(Ending::Time)),
            (10, None, ended(Ending::Time)),
        ] {
            assert_eq!(running().due(at(minutes), is_owned), due, "{minutes}");
        }
        let over = running().evolve(&ended(Ending::Time).unwrap());
        assert_eq!(over.due(at(99), Some(false)), None);
    }
}
