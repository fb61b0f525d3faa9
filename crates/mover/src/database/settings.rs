//! The settings that a session of ours owns.
//!
//! A database and a role may have defaults of their own for almost every
//! setting. Some of them end a session that only waits, hide rows, or change
//! what a text means on its way in or out: with `array_nulls = off` an array's
//! NULL becomes the text 'NULL'. So each session, also one that speaks the
//! replication protocol, begins by setting all of these, on both sides the
//! same.

use super::sql;

/// Each setting and our value. One that a server does not know is left out.
const OWNED: &[(&str, &str)] = &[
    // What ends or refuses work. What waits of ours is bounded where it waits;
    // `lock_timeout` bounds what no statement of ours bounds itself.
    ("statement_timeout", "0"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "0"),
    // What transactions are like.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("synchronous_commit", "on"),
    // Which rows and relations are seen.
    ("search_path", "pg_catalog"),
    // How values are written as text.
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    // What is said about it.
    ("client_min_messages", "warning"),
];

/// As the others, but setting it needs a right of its own. So it is set only
/// where it is not so already; `apply` and `copy` set it to `replica`.
const OWNED_BY_RIGHT: (&str, &str) = ("session_replication_role", "origin");

/// On a connection whose changes are followed: a server that sends keepalives
/// every ten seconds.
pub(crate) const FOLLOWING: &str = "set wal_sender_timeout = '20s'";

/// The names of all settings that a session of ours owns.
pub fn names() -> impl Iterator<Item = &'static str> {
    OWNED
        .iter()
        .map(|(name, _)| *name)
        .chain([OWNED_BY_RIGHT.0])
}

/// The statements that a session begins with, for the simple protocol. Only
/// what every server knows stands alone: the time that the rest may take, and
/// where its functions are looked for.
pub(crate) fn statements() -> String {
    let values: Vec<String> = OWNED.iter().map(values).collect();
    // Of servers that cannot watch a socket while they work, those that are
    // not Linux, some refuse an interval.
    format!(
        "set statement_timeout = 0; set search_path = pg_catalog; \
         select set_config(s.name, s.value, false) from (values {}) s (name, value) \
         where current_setting(s.name, true) is not null \
           and (s.name <> 'client_connection_check_interval' or version() like '%linux%'); \
         select set_config(s.name, s.value, false) from (values {}) s (name, value) \
         where current_setting(s.name, true) <> s.value",
        values.join(", "),
        self::values(&OWNED_BY_RIGHT),
    )
}

fn values((name, value): &(&str, &str)) -> String {
    format!("({}, {})", sql::literal(name), sql::literal(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_there_twice_and_none_needs_an_escape() {
        let mut all: Vec<&str> = names().collect();
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!(all.len(), before);
        // Whatever `standard_conforming_strings` is when they are read.
        assert!(!statements().contains('\\'));
    }
}
