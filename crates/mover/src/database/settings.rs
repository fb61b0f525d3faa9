//! The settings that a session of ours owns.
//!
//! A database and a role may have defaults of their own for almost every
//! setting. Some of them end a session that only waits, hide rows, or change
//! what a text means on its way in or out: with `array_nulls = off` an array's
//! NULL becomes the text 'NULL'. So each session, also one that speaks the
//! replication protocol, begins by setting all of these, on both sides the
//! same. `mover/tests/mover/extraction/settings.rs` goes through `pg_settings`
//! and asks of each other setting why it is not here.

use super::sql;

/// Each setting and our value. One that a server does not know is left out.
const OWNED: &[(&str, &str)] = &[
    // What ends or refuses work. What waits of ours is bounded where it waits;
    // `lock_timeout` bounds what no statement of ours bounds itself.
    ("statement_timeout", "0"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
    ("exit_on_error", "off"),
    // What transactions are like.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    ("synchronous_commit", "on"),
    // Which rows and relations are seen. A row that a policy would hide is an
    // error; results that an index cuts short are not complete.
    ("search_path", "pg_catalog"),
    ("row_security", "off"),
    ("restrict_nonsystem_relation_kind", ""),
    ("gin_fuzzy_search_limit", "0"),
    // How values are written as text.
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("xmlbinary", "base64"),
    ("quote_all_identifiers", "off"),
    // How texts are read.
    ("array_nulls", "on"),
    ("xmloption", "content"),
    ("standard_conforming_strings", "on"),
    ("backslash_quote", "safe_encoding"),
    ("transform_null_equals", "off"),
    // What is said about it.
    ("escape_string_warning", "off"),
    ("client_min_messages", "warning"),
    // A server notices within half a minute that we have vanished, also while
    // a statement of ours waits.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30s"),
    ("client_connection_check_interval", "5s"),
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
