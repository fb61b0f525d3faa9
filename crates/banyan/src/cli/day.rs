//! A day or a moment as it is written on the command line.

use time::{
    Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description,
};

/// The midnight with which a day begins, or a moment, in milliseconds since 1970.
pub(super) fn day(text: &str) -> Result<i64, String> {
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
    let at = day
        .map(|day| day.midnight().assume_utc())
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339));
    at.map(|at| at.unix_timestamp() * 1000)
        .map_err(|_| "write 2027-01-31 or 2027-01-31T18:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_are_read() {
        assert_eq!(day("1970-01-02"), Ok(86_400_000));
        assert_eq!(day("1970-01-01T00:00:01Z"), Ok(1000));
        assert!(day("soon").is_err());
    }
}
