//! The facts of tables that stay and have to do with those that move: what the
//! rows themselves tell.
//!
//! PostgreSQL keeps with each row which transaction wrote it (`xmin`). Rows of
//! two tables with the same one were written together, whenever that was: so
//! transactions that a switch would tear apart are found before anything is
//! copied, without looking for as long as they take to come again. It is not all of
//! them: only the newest pages are read, a row shows its last writer only, a
//! deleted row none, and what was written under a savepoint has a number of its own.

use super::relations::{Emptiness, TableFacts};
use crate::{
    database::{session::Session, sql},
    error::MoverError,
    extraction::ReplicatedExtraction,
};
use plan::{TableName, TableWrites};
use protocol::Side;
use std::collections::{BTreeMap, BTreeSet};

/// The newest pages of a table that are read: two megabytes.
const PAGES_MAX: i64 = 256;

/// The most tables that stay which are read, those with the most writes first.
const TABLES_MAX: i64 = 200;

/// The most transactions that each of them is asked for, the latest: the numbers
/// are sent with each question.
const WRITERS_MAX: usize = 20_000;

/// Fewer transactions together may be a migration or a restored dump.
const FEWEST_TRANSACTIONS: usize = 3;

/// Older transactions say little about the application as it is, and their
/// numbers come again.
const AGE_MAX: i32 = 100_000_000;

/// Tables that our role may read whole, and whose rows have addresses, in a schema that is no one's of ours.
/// A partition comes with the table that it belongs to, by whose name all write it.
const STAYING: &str = "select n.nspname::text, c.relname::text, rn.nspname::text, r.relname::text \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    join pg_class r on r.oid = coalesce(pg_partition_root(c.oid)::oid, c.oid) \
    join pg_namespace rn on rn.oid = r.relnamespace \
    left join pg_stat_user_tables s on s.relid = c.oid \
    where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' \
      and c.relam = (select oid from pg_am where amname = 'heap') \
      and n.nspname not in ('information_schema', 'banyan') \
      and c.oid <> all($1::text[]::regclass[]) \
      and has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') \
      and not row_security_active(c.oid) \
    order by coalesce(s.n_tup_ins + s.n_tup_upd, 0) desc, 1, 2 limit $2";

/// Tables whose name, or that of a column with a unique index, is one of keys by
/// which a repeated request is recognised.
const IDEMPOTENCY_KEYS: &str = "select n.nspname::text, c.relname::text \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't' \
      and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'banyan') \
      and c.oid <> all($1::text[]::regclass[]) \
      and (c.relname ~* 'idempot|dedup|processed_?request' \
        or exists (select from pg_index i \
            join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey) \
            where i.indrelid = c.oid and i.indisunique \
              and a.attname ~* 'idempot|dedup|^request_?(key|uuid)$')) \
    order by 1, 2";

/// What is known of the tables that stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StayingFacts {
    /// Those written together with tables that move.
    pub(super) together: Vec<Together>,
    /// Those that look like idempotency keys.
    pub(super) idempotency_keys: Vec<TableName>,
}

/// A table that stays, and transactions that wrote it and tables that move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Together {
    pub(super) table: TableName,
    /// The tables that move.
    pub(super) with: BTreeSet<TableName>,
    /// How many transactions there were, at least.
    pub(super) transactions: usize,
}

/// Looks at the monolith's side; the service has no such tables.
pub(super) async fn gather(
    session: &Session,
    extraction: &ReplicatedExtraction,
    tables: &[Option<TableFacts>],
) -> Result<StayingFacts, MoverError> {
    let side = session.side();
    if side == Side::Service {
        return Ok(StayingFacts::default());
    }
    let wrap = || MoverError::sql(side, "looking at the tables that stay");
    let mappings = extraction.data.tables.iter();
    let ours: Vec<(&TableFacts, TableWrites)> = mappings
        .zip(tables)
        .filter_map(|(mapping, table)| Some((table.as_ref()?, mapping.writes)))
        .filter(|(table, _)| table.owned)
        .collect();
    let named: Vec<String> = ours
        .iter()
        .map(|(table, _)| sql::table(&table.table.name))
        .collect();
    let keys = session
        .query(IDEMPOTENCY_KEYS, &[&named])
        .await
        .map_err(wrap())?;
    let staying = session
        .query(STAYING, &[&named, &TABLES_MAX])
        .await
        .map_err(wrap())?;
    let is_read = |table: &TableFacts| table.empty != Emptiness::Unknown;
    let moved = ours
        .iter()
        .filter(|(table, writes)| *writes == TableWrites::Owner && is_read(table))
        .map(|(table, _)| &table.table.name);
    let writers = writers(session, moved).await?;
    let mut together: Vec<Together> = Vec::new();
    for row in &staying {
        let Some(found) = shared(session, &name(row, 0), name(row, 2), &writers).await? else {
            continue;
        };
        match together.iter_mut().find(|one| one.table == found.table) {
            Some(one) => {
                // One transaction may have written several partitions.
                one.transactions = one.transactions.max(found.transactions);
                one.with.extend(found.with);
            }
            None => together.push(found),
        }
    }
    Ok(StayingFacts {
        together,
        idempotency_keys: keys.iter().map(|row| name(row, 0)).collect(),
    })
}

fn name(row: &tokio_postgres::Row, at: usize) -> TableName {
    TableName {
        schema: row.get(at),
        table: row.get(at + 1),
    }
}

/// The transactions that wrote the newest pages of these tables, with the tables.
async fn writers<'a>(
    session: &Session,
    tables: impl Iterator<Item = &'a TableName>,
) -> Result<BTreeMap<i64, BTreeSet<&'a TableName>>, MoverError> {
    let mut found: BTreeMap<i64, BTreeSet<&TableName>> = BTreeMap::new();
    for table in tables {
        let rows = session
            .query(&newest(table), &[&PAGES_MAX, &AGE_MAX])
            .await
            .map_err(MoverError::sql(session.side(), "looking who wrote a table"))?;
        for row in rows {
            found.entry(row.get(0)).or_default().insert(table);
        }
    }
    Ok(found)
}

/// Those of the transactions that wrote this table as well, `within` another one
/// or by itself.
async fn shared(
    session: &Session,
    table: &TableName,
    within: TableName,
    writers: &BTreeMap<i64, BTreeSet<&TableName>>,
) -> Result<Option<Together>, MoverError> {
    if writers.is_empty() {
        return Ok(None);
    }
    let numbers: Vec<i64> = writers.keys().rev().copied().take(WRITERS_MAX).collect();
    let query = format!(
        "select writer from ({}) newest where writer = any($3)",
        newest(table)
    );
    let rows = session
        .query(&query, &[&PAGES_MAX, &AGE_MAX, &numbers])
        .await
        .map_err(MoverError::sql(session.side(), "looking who wrote a table"))?;
    if rows.len() < FEWEST_TRANSACTIONS {
        return Ok(None);
    }
    let with = rows.iter().filter_map(|row| writers.get(&row.get(0)));
    Ok(Some(Together {
        table: within,
        with: with.flatten().copied().cloned().collect(),
        transactions: rows.len(),
    }))
}

/// Who wrote the newest `$1` pages of a table, not longer than `$2` transactions
/// ago. The range is one of row addresses, known before the table is read:
/// nothing else of it is.
fn newest(table: &TableName) -> String {
    let table = sql::table(table);
    let name = sql::literal(&table);
    format!(
        "select distinct xmin::text::bigint as writer from only {table} \
         where ctid >= (select format('(%s,0)', greatest(0, \
             pg_relation_size({name}::regclass) / current_setting('block_size')::bigint \
             - $1::bigint))::tid) \
           and age(xmin) < $2::integer"
    )
}
