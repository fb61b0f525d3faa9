//! The windows of limits: from one border of UTC to the next.

use plan::Period;
use time::{Date, Month, OffsetDateTime};

/// A window, as of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// When it began, in seconds since 1970; no other of its period did then.
    pub(crate) begin: u64,
    /// Seconds until it ends, at least one.
    pub(crate) left: u64,
}

/// The window of a moment, in seconds since 1970.
pub(crate) fn at(period: Period, now: u64) -> Window {
    let even = |length: u64| Window {
        begin: now - now % length,
        left: length - now % length,
    };
    match period {
        Period::Second => even(1),
        Period::Minute => even(60),
        Period::Hour => even(3_600),
        Period::Day => even(86_400),
        Period::Month | Period::Year => calendar(period, now).unwrap_or_else(|| even(86_400)),
    }
}

/// None beyond the calendar: a clock that is that wrong counts in days.
fn calendar(period: Period, now: u64) -> Option<Window> {
    let date = OffsetDateTime::from_unix_timestamp(i64::try_from(now).ok()?)
        .ok()?
        .date();
    let (year, month) = (date.year(), date.month());
    let (first, next) = if period == Period::Year {
        ((year, Month::January), (year + 1, Month::January))
    } else if month == Month::December {
        ((year, month), (year + 1, Month::January))
    } else {
        ((year, month), (year, month.next()))
    };
    let seconds = |(year, month)| {
        let first = Date::from_calendar_date(year, month, 1).ok()?;
        u64::try_from(first.midnight().assume_utc().unix_timestamp()).ok()
    };
    Some(Window {
        begin: seconds(first)?,
        left: seconds(next)?.saturating_sub(now).max(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    fn seconds(moment: OffsetDateTime) -> u64 {
        u64::try_from(moment.unix_timestamp()).unwrap()
    }

    #[test]
    fn windows_begin_at_the_borders_of_the_calendar() {
        let last = seconds(datetime!(2027-12-31 23:59:59 UTC));
        let first = last + 1;
        for period in Period::ALL {
            assert_eq!(at(period, last).left, 1, "{period:?}");
            assert_eq!(at(period, first).begin, first, "{period:?}");
            assert_ne!(
                at(period, first).begin,
                at(period, last).begin,
                "{period:?}"
            );
        }
        let leap = seconds(datetime!(2028-02-10 00:00 UTC));
        assert_eq!(
            at(Period::Month, leap).begin,
            seconds(datetime!(2028-02-01 00:00 UTC))
        );
        assert_eq!(at(Period::Month, leap).left, 20 * 86_400);
        assert_eq!(
            at(Period::Year, leap).begin,
            seconds(datetime!(2028-01-01 00:00 UTC))
        );
        // A clock beyond the calendar.
        assert!(at(Period::Year, u64::MAX).left > 0);
    }

    proptest! {
        #[test]
        fn a_window_holds_its_moment(now in 0..10_000_000_000_u64) {
            for period in Period::ALL {
                let window = at(period, now);
                prop_assert!(window.begin <= now && window.left >= 1);
                let end = now + window.left;
                prop_assert_eq!(at(period, end - 1).begin, window.begin);
                prop_assert_eq!(at(period, end).begin, end);
            }
        }
    }
}
