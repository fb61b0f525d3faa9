//! Databases and roles whose defaults are not PostgreSQL's: sessions of ours
//! set what matters, and rows arrive as they are.

use crate::{
    extraction::databases::{MOVER, Pair, clusters, pair},
    follow::scene::{LIMIT, caught_up},
    queries::lines,
};
use anyhow::{Context, Result, ensure};
use mover::{
    database::{session::Session, settings},
    follow::Follower,
};
use protocol::{Side, stream::Direction};
use std::collections::BTreeSet;
use tokio::sync::watch;

/// A value for each setting of ours that is neither ours nor the default.
const HOSTILE: &[(&str, &str)] = &[
    ("statement_timeout", "900ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "100ms"),
    // On a busy machine some time passes from the log-in to the first statement, which sets it.
    ("idle_session_timeout", "900ms"),
    ("transaction_timeout", "900ms"),
    ("exit_on_error", "on"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("synchronous_commit", "off"),
    ("search_path", "nowhere"),
    ("row_security", "on"),
    ("restrict_nonsystem_relation_kind", "view, foreign-table"),
    ("gin_fuzzy_search_limit", "1"),
    ("client_encoding", "LATIN1"),
    ("DateStyle", "SQL, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("TimeZone", "Pacific/Apia"),
    ("extra_float_digits", "-15"),
    ("bytea_output", "escape"),
    ("lc_monetary", "POSIX"),
    ("xmlbinary", "hex"),
    ("quote_all_identifiers", "on"),
    ("array_nulls", "off"),
    ("xmloption", "document"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "off"),
    ("transform_null_equals", "on"),
    ("escape_string_warning", "on"),
    ("client_min_messages", "error"),
    ("tcp_keepalives_idle", "7200"),
    ("tcp_keepalives_interval", "75"),
    ("tcp_keepalives_count", "9"),
    ("tcp_user_timeout", "0"),
    ("client_connection_check_interval", "0"),
    ("session_replication_role", "replica"),
];

/// Categories of settings none of which changes what a statement of ours reads
/// or writes, or whether it may run.
const HARMLESS_CATEGORIES: &[(&str, &str)] = &[
    ("Autovacuum", "when the server cleans up"),
    (
        "Customized Options",
        "of modules, whose types no core text depends on",
    ),
    ("Query Tuning", "how, not what"),
    ("Reporting and Logging", "what the server's log says"),
    (
        "Resource Usage",
        "how much, not what; a limit that is met is an error",
    ),
    ("Statistics", "what is counted"),
    ("Vacuuming", "when the server cleans up"),
    (
        "Write-Ahead Log",
        "how it is written; `synchronous_commit` is ours",
    ),
];

/// The other settings that a database or role may set, and why they may.
const HARMLESS: &[(&str, &str)] = &[
    (
        "application_name",
        "the startup message says it, which wins",
    ),
    ("allow_alter_system", "no statement of ours"),
    ("allow_in_place_tablespaces", "no tablespace is made"),
    ("allow_system_table_mods", "no system table is changed"),
    ("backtrace_functions", "the server's log"),
    ("check_function_bodies", "ours are correct"),
    ("createrole_self_grant", "no role is made"),
    (
        "deadlock_timeout",
        "read where it matters (`handover::source_lock`)",
    ),
    ("default_table_access_method", "only for our own few tables"),
    ("default_tablespace", "only for our own few tables"),
    (
        "default_text_search_config",
        "no text of a tsvector depends on it",
    ),
    ("default_toast_compression", "how, not what"),
    ("dynamic_library_path", "no library is loaded by name"),
    ("event_triggers", "of a superuser's, for repairs"),
    ("extension_control_path", "no extension is made"),
    ("extension_destdir", "no extension is made"),
    ("file_copy_method", "no database is made"),
    ("force_parallel_mode", "how, not what"),
    ("gin_pending_list_limit", "how, not what"),
    ("icu_validation_level", "no collation is made"),
    ("ignore_checksum_failure", "a superuser's, for repairs"),
    ("jit_debugging_support", "how, not what"),
    ("jit_dump_bitcode", "how, not what"),
    ("jit_expressions", "how, not what"),
    ("jit_profiling_support", "how, not what"),
    ("jit_tuple_deforming", "how, not what"),
    ("lc_messages", "messages are told apart by SQLSTATE"),
    (
        "lc_numeric",
        "only to_char and to_number, which no statement of ours calls",
    ),
    ("lc_time", "only to_char, which no statement of ours calls"),
    ("lo_compat_privileges", "no large object is touched"),
    (
        "local_preload_libraries",
        "what is loaded decides for itself",
    ),
    ("log_btree_build_stats", "the server's log"),
    ("md5_password_warnings", "no password is set"),
    ("password_encryption", "no password is set"),
    ("scram_iterations", "no password is set"),
    (
        "session_preload_libraries",
        "what is loaded decides for itself",
    ),
    (
        "synchronize_seqscans",
        "nothing relies on an order that it did not ask for",
    ),
    ("temp_tablespaces", "where, not what"),
    ("timezone_abbreviations", "zones are written as offsets"),
    ("trace_notify", "the server's log"),
    ("trace_recovery_messages", "the server's log"),
    ("trace_sort", "the server's log"),
    (
        "transaction_deferrable",
        "of one transaction, which begins with the default that is ours",
    ),
    (
        "transaction_isolation",
        "of one transaction, which begins with the default that is ours",
    ),
    (
        "transaction_read_only",
        "of one transaction, which begins with the default that is ours",
    ),
    ("vacuum_failsafe_age", "when the server cleans up"),
    ("vacuum_freeze_min_age", "when the server cleans up"),
    ("vacuum_freeze_table_age", "when the server cleans up"),
    ("vacuum_multixact_failsafe_age", "when the server cleans up"),
    (
        "vacuum_multixact_freeze_min_age",
        "when the server cleans up",
    ),
    (
        "vacuum_multixact_freeze_table_age",
        "when the server cleans up",
    ),
    ("wal_consistency_checking", "how, not what"),
    (
        "wal_sender_timeout",
        "set where changes are followed (`FOLLOWING`)",
    ),
    ("zero_damaged_pages", "a superuser's, for repairs"),
];

/// Developer's options that pg_settings does not hide from us.
const DEVELOPER: &str = "Developer Options";

const MONOLITH: &str = "
    create table odd (
        id bigint primary key, words text[], nested text[][], raw bytea, f float8, r real,
        span interval, at timestamptz, plain timestamp, day date, clock timetz, doc xml, j jsonb,
        n numeric, bits bit varying, during tstzrange, t text
    );
";

const SERVICE: &str = "
    create schema svc;
    create table svc.odd (
        id bigint primary key, words text[], nested text[][], raw bytea, f float8, r real,
        span interval, at timestamptz, plain timestamp, day date, clock timetz, doc xml, j jsonb,
        n numeric, bits bit varying, during tstzrange, t text
    );
";

const TABLES: &[&str] = &["public.odd: {}"];

/// Rows from `$1` on; more than a batch that is inserted row by row.
fn rows(first: i32, count: i32) -> String {
    let last = first + count - 1;
    format!(
        r#"insert into odd select id, array[null, 'NULL', 'null', '', '\', '"', 'it''s'],
            array[[null, 'x'], ['NULL', null]], '\x00ff5c27'::bytea, 0.1::float8 + 0.2,
            0.1::real / 3, '-1 year -2 mons +3 days -04:05:06.789'::interval,
            '2026-03-04 05:06:07.000891+00'::timestamptz, '2026-03-04 05:06:07.000891'::timestamp,
            '0044-03-04 BC'::date, '04:05:06-08'::timetz,
            case when id % 2 = 0 then xmlparse(content 'a<b/>c') else xmlparse(content '<b/>') end,
            '{{"k": [null, "\\ \u00e9", 1.10]}}', 1.10, B'0101',
            tstzrange('2026-03-04 05:06:07+00', null), E'\\N a\\b ''c'' \t Ünï'
        from generate_series({first}, {last}) id"#
    )
}

/// What the table holds, read by a session whose settings are PostgreSQL's own.
async fn held(pair: &Pair, side: Side, table: &str) -> Result<Vec<String>> {
    let reader = pair.superuser(side).await?;
    reader
        .batch_execute(
            "set extra_float_digits = 1; set bytea_output = hex; set array_nulls = on; \
             set standard_conforming_strings = on; set search_path = public; \
             set intervalstyle = postgres; set datestyle = iso; set timezone = 'UTC'",
        )
        .await?;
    lines(&reader, &format!("select * from {table} order by id")).await
}

/// Sets them all, some for the database and some for our role in it.
async fn make_hostile(pair: &Pair) -> Result<()> {
    for side in Side::BOTH {
        let superuser = pair.superuser(side).await?;
        let known: BTreeSet<String> = superuser
            .query("select name from pg_settings", &[])
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let database = &pair.database;
        for (number, (name, value)) in HOSTILE.iter().enumerate() {
            if !known.contains(*name) {
                continue;
            }
            let target = if number % 2 == 0 {
                format!("database {database}")
            } else {
                format!("role {MOVER} in database {database}")
            };
            let value = if *name == "search_path" {
                (*value).to_owned()
            } else {
                format!("'{value}'")
            };
            // The database's own defaults must not stop the test itself.
            superuser
                .batch_execute(&format!(
                    "set default_transaction_read_only = off; \
                     alter {target} set {name} = {value}"
                ))
                .await
                .context(*name)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_setting_is_ours_or_known_to_be_harmless() -> Result<()> {
    let superuser = clusters().await?.monolith.superuser("postgres").await?;
    let ours: BTreeSet<&str> = settings::names().collect();
    for (name, why) in HARMLESS.iter().chain(HARMLESS_CATEGORIES) {
        ensure!(!ours.contains(name) && !why.is_empty(), "{name}");
    }
    let hostile: BTreeSet<&str> = HOSTILE.iter().map(|(name, _)| *name).collect();
    ensure!(hostile == ours, "a setting of ours has no hostile value");
    let mut undecided = Vec::new();
    for row in superuser
        .query(
            "select name, category from pg_settings where context in ('user', 'superuser')",
            &[],
        )
        .await?
    {
        let (name, category): (&str, &str) = (row.get(0), row.get(1));
        let by_category = HARMLESS_CATEGORIES
            .iter()
            .any(|(known, _)| category.starts_with(known));
        let by_name = HARMLESS.iter().any(|(known, _)| *known == name);
        let debugging = category == DEVELOPER && name.starts_with("debug_");
        if !(ours.contains(name) || by_category || by_name || debugging) {
            undecided.push(format!("{name} ({category})"));
        }
    }
    ensure!(
        undecided.is_empty(),
        "neither ours nor known to be harmless: {undecided:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_session_is_the_same_whatever_the_database_and_the_role_set() -> Result<()> {
    let usual = pair("settings_usual", MONOLITH, SERVICE, TABLES).await?;
    let hostile = pair("settings_hostile", MONOLITH, SERVICE, TABLES).await?;
    make_hostile(&hostile).await?;
    for side in Side::BOTH {
        let one = Session::open(side, usual.mover.database(side)).await?;
        let other = Session::open(side, hostile.mover.database(side)).await?;
        for name in settings::names() {
            let query = "select current_setting($1::text, true), \
                (select setting is distinct from reset_val from pg_settings \
                 where name = $1::text)";
            let expected = one.query_one(query, &[&name]).await?;
            let found = other.query_one(query, &[&name]).await?;
            let value: Option<String> = found.get(0);
            ensure!(
                value == expected.get::<_, Option<String>>(0),
                "{side} {name}: {value:?}"
            );
            // That the hostile value would have been in force without us; but
            // what a startup message says is in force before.
            let changed: Option<bool> = found.get(1);
            ensure!(
                changed != Some(false) || name == "client_encoding",
                "{side} {name} was not hostile"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_arrive_as_they_are_whatever_the_databases_set() -> Result<()> {
    let pair = pair("settings_rows", MONOLITH, SERVICE, TABLES).await?;
    pair.monolith.batch_execute(&rows(1, 10)).await?;
    make_hostile(&pair).await?;
    let claims = pair.prepare_and_copy().await?;
    let copied = held(&pair, Side::Service, "svc.odd").await?;
    ensure!(copied == held(&pair, Side::Monolith, "public.odd").await?);
    ensure!(copied.len() == 10);

    let follower = Follower::start(&pair.mover, Direction::Forward, &claims);
    // One by one, then by COPY, and changed.
    pair.monolith.batch_execute(&rows(11, 3)).await?;
    pair.monolith.batch_execute(&rows(14, 200)).await?;
    pair.monolith
        .batch_execute(
            "update odd set words = words || array[null, 'NULL'], f = f / 3 where id < 5",
        )
        .await?;
    caught_up(&pair.mover, Side::Monolith, &follower, LIMIT).await?;
    let now = held(&pair, Side::Service, "svc.odd").await?;
    ensure!(now.len() == 213);
    assert_eq!(now, held(&pair, Side::Monolith, "public.odd").await?);

    let report = pair
        .mover
        .verify(
            Side::Monolith,
            follower.applied(),
            &watch::Sender::default(),
        )
        .await?;
    ensure!(report.differences_total == 0 && report.rows == 213);
    Ok(())
}
