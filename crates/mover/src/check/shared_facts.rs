//! The facts of tables that both sides write, and of those that look so.

use super::relations::TableFacts;
use crate::{
    database::{session::Session, sql},
    error::MoverError,
    extraction::ReplicatedExtraction,
    objects::key_range::KeySequence,
};
use plan::{TableName, TableWrites};
use protocol::Side;
use std::collections::BTreeMap;

/// A table with fewer rows added says nothing about who adds them.
const FEWEST_INSERTS: i64 = 1000;

/// The most that are proposed.
const MOST_PROPOSED: i64 = 5;

/// Tables that stay, and to which rows are only ever added, at least as many
/// as there are writes of the tables that move.
const LOGS: &str = "select s.schemaname::text, s.relname::text, s.n_tup_ins \
    from pg_stat_user_tables s \
    where s.n_tup_upd = 0 and s.n_tup_del = 0 and s.n_tup_ins >= $2 \
      and s.relid <> all($1::text[]::regclass[]) and s.schemaname <> 'banyan' \
      and s.n_tup_ins >= (select sum(m.n_tup_ins + m.n_tup_upd + m.n_tup_del) \
          from pg_stat_user_tables m where m.relid = any($1::text[]::regclass[])) \
    order by s.n_tup_ins desc limit $3";

/// How many rows of a table were updated and deleted.
const CHANGES: &str = "select s.n_tup_upd, s.n_tup_del from pg_stat_user_tables s \
    where s.relid = $1::text::regclass and s.n_tup_upd + s.n_tup_del > 0";

/// What is known of them besides what is known of every table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SharedFacts {
    /// The sequences of tables that both sides append to, by name.
    pub(super) sequences: BTreeMap<String, KeySequence>,
    /// Tables that stay and look like logs.
    pub(super) logs: Vec<TableName>,
    /// Tables that both sides append to and whose rows are changed all the same, with
    /// how many were updated and deleted.
    pub(super) changed: Vec<(TableName, i64, i64)>,
}

/// Looks at one side.
pub(super) async fn gather(
    session: &Session,
    extraction: &ReplicatedExtraction,
    tables: &[Option<TableFacts>],
) -> Result<SharedFacts, MoverError> {
    let side = session.side();
    let mut facts = SharedFacts::default();
    let mappings = extraction.data.tables.iter();
    for (_, table) in mappings
        .zip(tables)
        .filter(|(mapping, _)| mapping.writes == TableWrites::Append)
    {
        // A sequence of a table that is not ours to use may not be readable.
        let Some(table) = table.as_ref().filter(|table| table.owned) else {
            continue;
        };
        for sequence in table
            .table
            .columns
            .iter()
            .filter_map(|one| one.sequence.as_ref())
        {
            let read = KeySequence::read(&**session, side, sequence).await?;
            facts.sequences.insert(sequence.clone(), read);
        }
        if side == Side::Monolith {
            let name = &table.table.name;
            let changes = session
                .query_opt(CHANGES, &[&sql::table(name)])
                .await
                .map_err(MoverError::sql(side, "looking for changes of a table"))?;
            let changes = changes.map(|row| (name.clone(), row.get(0), row.get(1)));
            facts.changed.extend(changes);
        }
    }
    let owned = tables.iter().flatten().filter(|table| table.owned);
    let moved: Vec<String> = owned.map(|table| sql::table(&table.table.name)).collect();
    if side == Side::Monolith && !moved.is_empty() {
        let logs = session
            .query(LOGS, &[&moved, &FEWEST_INSERTS, &MOST_PROPOSED])
            .await
            .map_err(MoverError::sql(side, "looking for logs"))?;
        facts.logs = logs
            .iter()
            .map(|row| TableName {
                schema: row.get(0),
                table: row.get(1),
            })
            .collect();
    }
    Ok(facts)
}
