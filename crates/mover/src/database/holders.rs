//! Who keeps a statement of ours waiting, in words for a message.
//!
//! Asked for after the wait was given up, so whoever has ended meanwhile is not
//! named: the oldest that are still there are.

use super::{
    session::{APPLICATION_NAME, Session},
    sql,
};
use std::fmt;
use tokio_postgres::Row;

/// Transactions that have an identifier, of all databases: the making of a slot
/// waits for each.
const TRANSACTIONS: &str = "select distinct on (transactionid) pid, transactionid, \
        null::text as holds from pg_locks where locktype = 'transactionid' and mode = 'ExclusiveLock' and granted";

/// Whoever holds a lock on a table: on any of this database, or a lock of a
/// writer on one of some. A prepared transaction keeps the virtual one of the
/// session that prepared it until the server restarts, so it is found by its
/// identifier.
const TABLES: &str = "select l.pid, x.transactionid, \
        min(l.mode || ' on ' || l.relation::regclass::text) as holds from pg_locks l \
    left join pg_locks x on l.pid is null and x.pid is null \
        and x.virtualtransaction = l.virtualtransaction and x.locktype = 'transactionid' \
    where l.locktype = 'relation' and l.granted and l.relation >= 16384 \
      and ($1::text[] is null or l.relation = any($1::text[]::regclass[]) \
           and l.mode not in ('AccessShareLock', 'RowShareLock')) \
      and l.database = (select oid from pg_database where datname = current_database()) \
    group by 1, 2";

/// Whom a session of ours waits for that locks some tables against writers.
const LOCKING: &str = "select distinct b as pid, null::xid as transactionid, null::text as holds \
    from pg_locks l join pg_stat_activity w on w.pid = l.pid, unnest(pg_blocking_pids(l.pid)) b \
    where not l.granted and l.mode = 'ShareRowExclusiveLock' \
      and l.relation = any($1::text[]::regclass[]) \
      and w.application_name = $2 and w.usename = session_user";

/// What changes a table takes it.
const OF_MIGRATIONS: &str = "AccessExclusiveLock ";

/// So much of a statement is looked at for its first word.
const QUERY_MAX: i32 = 1000;

/// Named at most.
const NAMED_MAX: usize = 3;

/// The oldest first; our own transaction may be older. Those without an age are other roles' that we may not see.
fn describing(held: &str) -> String {
    format!(
        "select h.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, p.owner::text, ''), \
            coalesce(a.datname, p.database)::text, p.gid, \
            extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8, \
            coalesce(a.backend_type = 'autovacuum worker', false), \
            coalesce(a.query like '%(to prevent wraparound)%', false), h.holds, \
            left(a.query, {QUERY_MAX}), a.state like 'idle%' \
         from ({held}) h left join pg_stat_activity a on a.pid = h.pid \
         left join pg_prepared_xacts p on h.pid is null and p.transaction = h.transactionid \
         where h.pid is distinct from pg_backend_pid() and (a.pid is not null or p.gid is not null) \
         order by coalesce(a.xact_start, p.prepared) limit {NAMED_MAX}"
    )
}

/// A transaction that holds something.
struct Holder {
    /// `None`: a prepared one.
    pid: Option<i32>,
    application: String,
    role: String,
    database: String,
    gid: Option<String>,
    age: Option<f64>,
    autovacuum: bool,
    wraparound: bool,
    /// A lock on a table, where it is one.
    holds: Option<String>,
    /// Its statement, or the last one, as far as it is shown.
    query: Option<String>,
    /// Whether it is between two statements.
    idles: bool,
}

impl Holder {
    /// What it does, by the first word of its statement: what follows may hold
    /// values.
    fn does(&self) -> String {
        let word = self.query.as_deref().and_then(first_word);
        match (word, self.idles) {
            (Some(word), false) => format!(", at {word}"),
            (Some(word), true) => format!(", idle since {word}"),
            (None, true) => ", idle".to_owned(),
            (None, false) => String::new(),
        }
    }
}

/// First words of statements; any other may be anything, and is not told.
const WORDS: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CLUSTER",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DELETE",
    "DO",
    "DROP",
    "EXECUTE",
    "FETCH",
    "GRANT",
    "INSERT",
    "LOCK",
    "MERGE",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "TRUNCATE",
    "UPDATE",
    "VACUUM",
    "VALUES",
    "WITH",
];

/// The first word of a statement after comments, if it is one of SQL's.
fn first_word(query: &str) -> Option<&'static str> {
    let mut rest = query.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n')
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/")
        } else {
            break;
        };
        rest = after?.1.trim_start();
    }
    let end = rest
        .find(|one: char| !one.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let word = &rest[..end];
    WORDS
        .iter()
        .find(|known| known.eq_ignore_ascii_case(word))
        .copied()
}

impl Holder {
    /// Who it is, by what stays the same while it is waited for.
    fn who(&self) -> String {
        match (self.pid, self.autovacuum) {
            (Some(pid), true) => format!("autovacuum (pid {pid})"),
            (Some(pid), false) => format!(
                "a transaction of `{}` (pid {pid}, role {})",
                self.application, self.role
            ),
            (None, _) => "a prepared transaction".to_owned(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut age = match self.age {
            Some(age) => format!("{age:.0} s old"),
            None => "of unknown age".to_owned(),
        };
        if let Some(holds) = &self.holds {
            let whose = if holds.starts_with(OF_MIGRATIONS) {
                ", as a migration has it"
            } else {
                ""
            };
            age = format!("{age}, with {holds}{whose}");
        }
        let (role, database) = (&self.role, &self.database);
        match (self.pid, &self.gid) {
            (_, Some(gid)) => {
                let literal = sql::literal(gid);
                let literal = literal.trim_start();
                write!(
                    f,
                    "the prepared transaction `{gid}` of role {role} in {database}, {age} (in \
                     {database}, `commit prepared {literal}` or `rollback prepared {literal}` ends it)"
                )
            }
            (Some(pid), None) if self.autovacuum && self.wraparound => {
                write!(
                    f,
                    "autovacuum against wraparound (pid {pid}), {age}: let it end"
                )
            }
            (Some(pid), None) if self.autovacuum => write!(f, "autovacuum (pid {pid}), {age}"),
            (Some(pid), None) => write!(
                f,
                "a transaction of `{}` (pid {pid}, role {role}, in {database}), {age}{}: wait until it \
                 ends; if it never does, `select pg_terminate_backend({pid})` undoes what it has done",
                self.application,
                self.does()
            ),
            (None, None) => write!(f, "a transaction in {database}"),
        }
    }
}

/// Who keeps a slot from being made.
pub(crate) async fn of_transactions(session: &Session) -> Result<String, tokio_postgres::Error> {
    let rows = session.query(&describing(TRANSACTIONS), &[]).await?;
    Ok(named(&rows))
}

/// Who writes one of the tables; without tables whoever holds any.
pub(crate) async fn of_tables(
    session: &Session,
    tables: Option<&[String]>,
) -> Result<String, tokio_postgres::Error> {
    let rows = session.query(&describing(TABLES), &[&tables]).await?;
    Ok(named(&rows))
}

/// Whom a session of ours waits for at this moment to lock these tables against writers:
/// nobody where none waits.
pub(crate) async fn of_locking(
    session: &Session,
    tables: &[String],
) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = session
        .query(&describing(LOCKING), &[&tables, &APPLICATION_NAME])
        .await?;
    Ok(rows.iter().map(|row| holder(row).who()).collect())
}

fn holder(row: &Row) -> Holder {
    Holder {
        pid: row.get(0),
        application: row.get(1),
        role: row.get(2),
        database: row.get(3),
        gid: row.get(4),
        age: row.get(5),
        autovacuum: row.get(6),
        wraparound: row.get(7),
        holds: row.get(8),
        query: row.get(9),
        idles: row.get::<_, Option<bool>>(10).unwrap_or_default(),
    }
}

fn named(rows: &[Row]) -> String {
    let holders: Vec<String> = rows.iter().map(|row| holder(row).to_string()).collect();
    if holders.is_empty() {
        "somebody who has ended meanwhile".to_owned()
    } else {
        holders.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_named_with_what_ends_it() {
        let session = Holder {
            pid: Some(12),
            application: "cron".to_owned(),
            role: "shop".to_owned(),
            database: "shop".to_owned(),
            gid: None,
            age: Some(61.4),
            autovacuum: false,
            wraparound: false,
            holds: Some("RowExclusiveLock on orders".to_owned()),
            query: Some("alter table orders add note text default 'secret'".to_owned()),
            idles: false,
        };
        let said = |does: &str| {
            format!(
                "a transaction of `cron` (pid 12, role shop, in shop), 61 s old, with \
                 RowExclusiveLock on orders{does}: wait until it ends; if it never does, `select \
                 pg_terminate_backend(12)` undoes what it has done"
            )
        };
        assert_eq!(session.to_string(), said(", at ALTER"));
        let session = Holder {
            idles: true,
            ..session
        };
        assert_eq!(session.to_string(), said(", idle since ALTER"));
        let session = Holder {
            query: None,
            idles: false,
            ..session
        };
        assert_eq!(session.to_string(), said(""));
        let session = Holder {
            holds: Some("AccessExclusiveLock on orders".to_owned()),
            ..session
        };
        let said = session.to_string();
        assert!(
            said.contains("with AccessExclusiveLock on orders, as a migration has it: wait"),
            "{said}"
        );
        let prepared = Holder {
            pid: None,
            gid: Some("it's".to_owned()),
            age: None,
            holds: None,
            ..session
        };
        assert_eq!(
            prepared.to_string(),
            "the prepared transaction `it's` of role shop in shop, of unknown age (in shop, `commit \
             prepared 'it''s'` or `rollback prepared 'it''s'` ends it)"
        );
    }

    #[test]
    fn of_a_statement_only_a_word_of_sql_is_told() {
        for (query, word) in [
            ("alter table a add b text default 'secret'", Some("ALTER")),
            (
                "/* who: 'x' */ -- it\n  Create index on a (b)",
                Some("CREATE"),
            ),
            ("select", Some("SELECT")),
            ("(select 'secret')", None),
            ("secret", None),
            ("selects", None),
            ("/* cut off", None),
            ("", None),
            ("\u{e9}t\u{e9}", None),
        ] {
            assert_eq!(first_word(query), word, "{query}");
        }
    }
}
