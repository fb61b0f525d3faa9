//! The time range of a query, and its steps. Pure.

use kit::Problem;
use time::OffsetDateTime;

/// What is asked for, as it comes.
#[derive(Debug, Clone, Copy, Default)]
pub struct RangeQuery {
    /// One hour before `to`, unless said.
    pub from: Option<OffsetDateTime>,
    /// Now, unless said.
    pub to: Option<OffsetDateTime>,
    /// In seconds.
    pub step_seconds: Option<u32>,
}

/// Which roll-ups answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Resolution {
    Minute,
    Hour,
}

impl Resolution {
    fn seconds(self) -> i64 {
        match self {
            Self::Minute => MINUTE,
            Self::Hour => HOUR,
        }
    }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Longer than hours are kept by default.
pub const MAX_SPAN_DAYS: i64 = 400;
/// What a chart can show, and more.
pub const MAX_POINTS: i64 = 1500;
/// Up to here minutes answer, beyond it hours unless a step needs minutes.
const MINUTES_BY_CHOICE: i64 = 6 * HOUR;
/// Beyond it they would be too many to add up within a request.
const MINUTES_AT_MOST: i64 = 2 * DAY;
/// 2000 and 2100, so that no sum runs over.
const EARLIEST: i64 = 946_684_800;
const LATEST: i64 = 4_102_444_800;

/// From and to are in seconds since 1970, and begin a minute or an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub from: i64,
    pub to: i64,
    pub step: i64,
    pub resolution: Resolution,
}

impl Range {
    /// Widens what is asked for to whole minutes or hours.
    pub fn of(asked: RangeQuery, now: OffsetDateTime, minute_days: u32) -> Result<Self, Problem> {
        let now = now.unix_timestamp();
        let to = asked.to.map_or(now, OffsetDateTime::unix_timestamp);
        let from = asked.from.map_or(to - HOUR, OffsetDateTime::unix_timestamp);
        for (name, at) in [("from", from), ("to", to)] {
            if !(EARLIEST..LATEST).contains(&at) {
                let detail = "must be between 2000 and 2100";
                return Err(Problem::invalid_field(name, detail));
            }
        }
        let span = to - from;
        if span <= 0 || span > MAX_SPAN_DAYS * DAY {
            let detail = format!("must be before `to`, by at most {MAX_SPAN_DAYS} days");
            return Err(Problem::invalid_field("from", detail));
        }
        let has_minutes = span <= MINUTES_AT_MOST && from >= now - i64::from(minute_days) * DAY;
        let step = asked
            .step_seconds
            .map_or(usual_step(span, has_minutes), i64::from);
        let resolution = match step % HOUR == 0 {
            false if has_minutes => Resolution::Minute,
            true if has_minutes && span <= MINUTES_BY_CHOICE => Resolution::Minute,
            _ => Resolution::Hour,
        };
        let unit = resolution.seconds();
        if step <= 0 || step % unit != 0 {
            let detail = format!("must be a multiple of {unit} for this time");
            return Err(Problem::invalid_field("step", detail));
        }
        let range = Self {
            from: from.div_euclid(unit) * unit,
            to: (to + unit - 1).div_euclid(unit) * unit,
            step,
            resolution,
        };
        if range.points() > MAX_POINTS {
            let detail = format!("must be longer: it makes more than {MAX_POINTS} points");
            return Err(Problem::invalid_field("step", detail));
        }
        Ok(range)
    }

    /// How many steps there are; the last one may be shorter.
    pub fn points(&self) -> i64 {
        (self.to - self.from + self.step - 1) / self.step
    }

    /// When each step begins.
    pub fn steps(&self) -> impl Iterator<Item = i64> + use<> {
        let (from, step) = (self.from, self.step);
        (0..self.points()).map(move |point| from + point * step)
    }

    /// The seconds of a step that are over, at least one.
    pub fn passed(&self, begins: i64, now: OffsetDateTime) -> i64 {
        let end = (begins + self.step).min(self.to).min(now.unix_timestamp());
        (end - begins).max(1)
    }

    /// The same as one step.
    pub fn whole(self) -> Self {
        Self {
            step: self.to - self.from,
            ..self
        }
    }
}

fn usual_step(span: i64, has_minutes: bool) -> i64 {
    let steps = [
        (2 * HOUR, MINUTE),
        (MINUTES_BY_CHOICE, 5 * MINUTE),
        (4 * DAY, HOUR),
        (30 * DAY, 6 * HOUR),
    ];
    let mut possible = steps
        .iter()
        .filter(|(_, step)| has_minutes || *step >= HOUR);
    let found = possible.find(|(longest, _)| span <= *longest);
    found.map_or(DAY, |(_, step)| *step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_042;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn range(from: i64, to: i64, step_seconds: Option<u32>) -> Result<Range, Problem> {
        let asked = RangeQuery {
            from: Some(at(from)),
            to: Some(at(to)),
            step_seconds,
        };
        Range::of(asked, at(NOW), 30)
    }

    #[test]
    fn the_last_hour_is_what_is_asked_for_without_a_word() {
        let range = Range::of(RangeQuery::default(), at(NOW), 30).unwrap();
        assert_eq!((range.from, range.to), (1_799_996_400, 1_800_000_060));
        assert_eq!((range.step, range.resolution), (60, Resolution::Minute));
        assert_eq!(range.points(), 61);
        // The last minute has just begun.
        assert_eq!(range.passed(1_800_000_000, at(NOW)), 42);
    }

    #[test]
    fn the_roll_ups_that_answer_are_chosen() {
        let old = NOW - 40 * DAY;
        for (from, to, step, expected) in [
            (NOW - DAY, NOW, None, Ok((Resolution::Hour, HOUR))),
            (NOW - DAY, NOW, Some(300), Ok((Resolution::Minute, 300))),
            (NOW - 3 * DAY, NOW, Some(300), Err("step")),
            (old, old + 60, None, Ok((Resolution::Hour, HOUR))),
            (old, old + HOUR, Some(60), Err("step")),
            (NOW - HOUR, NOW, Some(90), Err("step")),
            (NOW - HOUR, NOW, Some(0), Err("step")),
            (NOW - 2 * DAY, NOW, Some(60), Err("step")),
            (NOW, NOW, None, Err("from")),
            (NOW, NOW - 1, None, Err("from")),
            (NOW - 401 * DAY, NOW, None, Err("from")),
            (NOW - 399 * DAY, NOW, None, Ok((Resolution::Hour, DAY))),
            (0, 1, None, Err("from")),
        ] {
            let range = range(from, to, step);
            match (range, expected) {
                (Ok(range), Ok(expected)) => {
                    assert_eq!((range.resolution, range.step), expected);
                }
                (Err(problem), Err(pointer)) => {
                    assert!(format!("{problem:?}").contains(&format!("{pointer:?}")));
                }
                (range, _) => panic!("{from} {to} {step:?}: {range:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn a_range_holds_what_is_asked_for_and_is_bounded(
            from in -1_000_000_000..5_000_000_000_i64,
            span in -10..40_000_000_i64,
            step in prop::option::of(0..200_000_u32),
        ) {
            if let Ok(range) = range(from, from + span, step) {
                prop_assert!(range.from <= from && from + span <= range.to);
                prop_assert!((1..=MAX_POINTS).contains(&range.points()));
                prop_assert_eq!(range.from % range.resolution.seconds(), 0);
                prop_assert_eq!(range.to % range.resolution.seconds(), 0);
                let last = range.steps().last().unwrap();
                prop_assert!(last < range.to && last + range.step >= range.to);
                prop_assert_eq!(range.whole().points(), 1);
            }
        }
    }
}
