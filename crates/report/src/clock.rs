//! Times for people, in UTC.

use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const MINUTE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]");
const SECOND: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// To the minute, as `2026-11-30 18:05 UTC`; the number itself where it is no time.
pub fn minute(at_ms: i64) -> String {
    format(at_ms, MINUTE).map_or_else(|| at_ms.to_string(), |text| format!("{text} UTC"))
}

/// To the second, without the zone: for tables.
pub fn second(at_ms: i64) -> String {
    format(at_ms, SECOND).unwrap_or_else(|| at_ms.to_string())
}

/// How long, roughly: `41 ms`, `3.2 s`, `12 min`, `5 h`, `14 d`.
pub fn length(ms: i64) -> String {
    const SECOND: i64 = 1_000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    match ms {
        ..SECOND => format!("{ms} ms"),
        SECOND..10_000 => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        10_000..120_000 => format!("{} s", ms / SECOND),
        120_000..7_200_000 => format!("{} min", ms / MINUTE),
        7_200_000..172_800_000 => format!("{} h", ms / HOUR),
        _ => format!("{} d", ms / (24 * HOUR)),
    }
}

fn format(at_ms: i64, form: &[BorrowedFormatItem<'_>]) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000)).ok()?;
    at.format(form).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_what_is_none_is_a_number() {
        assert_eq!(minute(1_795_996_859_999), "2026-11-30 00:00 UTC");
        assert_eq!(second(1_795_996_859_999), "2026-11-30 00:00:59");
        assert_eq!(minute(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn lengths_have_the_unit_that_fits() {
        for (ms, text) in [
            (41, "41 ms"),
            (3_250, "3.2 s"),
            (59_000, "59 s"),
            (12 * 60_000, "12 min"),
            (5 * 3_600_000, "5 h"),
            (14 * 86_400_000, "14 d"),
        ] {
            assert_eq!(length(ms), text);
        }
    }
}
