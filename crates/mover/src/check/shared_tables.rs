//! Rules about tables that both sides write: appended to by both, or split.

use super::{cautions::REWRITES, facts::SideFacts, relations::TableFacts};
use crate::{
    catalog::Column,
    database::sql,
    extraction::ReplicatedExtraction,
    objects::key_range::{self, KeySequence},
};
use plan::{TableMapping, TableName, TableWrites};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};
use std::collections::BTreeMap;

/// Rules about both sides.
pub(super) fn of_both(
    monolith: &SideFacts,
    service: &SideFacts,
    extraction: &ReplicatedExtraction,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let pairs = monolith.tables.iter().zip(&service.tables);
    for (mapping, (old, new)) in extraction.data.tables.iter().zip(pairs) {
        let (Some(old), Some(new)) = (old, new) else {
            continue;
        };
        match mapping.writes {
            TableWrites::Owner => {}
            TableWrites::Append => {
                let sequences = [&monolith.shared.sequences, &service.shared.sequences];
                appended(mapping, old, new, sequences, &mut findings);
            }
            TableWrites::Split => findings.push(Finding::warn(
                Id::SplitTable,
                mapping.monolith.to_string(),
                "each side keeps its own from the first switch on: from then on nothing of it \
                 flows, also not after a rollback",
                "Nothing, if each side can do without the other's rows",
            )),
        }
    }
    for (table, updated, deleted) in &monolith.shared.changed {
        findings.push(Finding::warn(
            Id::AppendedChanged,
            table.to_string(),
            format!(
                "both sides insert into it, and the owner alone changes rows; in the monolith \
                 {updated} were updated and {deleted} deleted since its statistics began"
            ),
            "If it is not only the routes that move which change them, let each side keep its own \
             rows: `writes: split`",
        ));
    }
    references(monolith, extraction, &mut findings);
    findings
}

/// Tables that stay and look as if every write added a row to them.
pub(super) fn proposals(monolith: &SideFacts) -> Vec<Finding> {
    // One that is known to be written together is told of in `staying`.
    let together = &monolith.staying.together;
    let unknown = |log: &&TableName| together.iter().all(|one| one.table != **log);
    let logs = monolith.shared.logs.iter().filter(unknown);
    logs.map(|table| {
        Finding::warn(
            Id::LooksLikeLog,
            format!("{table}, which stays"),
            "rows are only ever added to it, at least as many as there are writes of the tables \
             that move: it looks like a log",
            format!(
                "If transactions that write tables which move add rows to it, a switch is refused \
                 for them: list it under `tables:` as `{table}: {{ writes: append }}`"
            ),
        )
    })
    .collect()
}

fn appended(
    mapping: &TableMapping,
    old: &TableFacts,
    new: &TableFacts,
    sequences: [&BTreeMap<String, KeySequence>; 2],
    findings: &mut Vec<Finding>,
) {
    let name = &mapping.monolith;
    let twin = |column: &Column| -> Option<&Column> {
        let name = mapping.service_column(&column.name);
        new.table.columns.iter().find(|twin| twin.name == name)
    };
    // Neither side gives out what the other does.
    let disjoint = |column: &Column| {
        column.type_name == "uuid"
            || (column.sequence.is_some()
                && twin(column).is_some_and(|twin| twin.sequence.is_some()))
    };
    let is_disjoint = |name: &String| {
        let mut columns = old.table.columns.iter();
        columns.any(|column| column.name == *name && disjoint(column))
    };
    if !old.table.key.is_empty() && !old.table.key.iter().any(is_disjoint) {
        findings.push(Finding::refuse(
            Id::AppendedKey,
            format!("the primary key of {name}"),
            format!(
                "both sides insert into it, but nothing keeps its key ({}) from being given out by \
                 both: it has neither a sequence on both sides nor the type uuid",
                old.table.key.join(", ")
            ),
            "Give it a key of its own, or let each side keep its own rows: `writes: split`",
        ));
    }
    for column in &old.table.columns {
        let Some(twin) = twin(column) else { continue };
        let (Some(theirs), Some(ours)) = (
            column
                .sequence
                .as_ref()
                .and_then(|name| sequences[0].get(name)),
            twin.sequence
                .as_ref()
                .and_then(|name| sequences[1].get(name)),
        ) else {
            continue;
        };
        let types = [column.type_name.as_str(), twin.type_name.as_str()];
        if let Err(problem) = key_range::begin(theirs, ours, types) {
            findings.push(Finding::refuse(
                Id::AppendedKeyRange,
                format!("{name}.{}", column.name),
                format!("both sides insert into {name}, and there is no room for two: {problem}"),
                Remedy::run(
                    "Give it the type bigint and a sequence that counts upwards and does not begin \
                     again, on both sides",
                    [
                        (Side::Monolith, name, column),
                        (Side::Service, &mapping.service, twin),
                    ]
                    .into_iter()
                    .filter(|(_, _, column)| column.type_name != "bigint")
                    .map(|(side, table, column)| {
                        let widen = format!(
                            "alter table {} alter column {} type bigint",
                            sql::table(table),
                            sql::identifier(&column.name)
                        );
                        Statement::new(side, widen).caution(REWRITES)
                    }),
                ),
            ));
        }
    }
    for index in &old.unique {
        if !index.columns.iter().any(is_disjoint) {
            findings.push(Finding::refuse(
                Id::AppendedUnique,
                format!("unique index {} on {name}", index.name),
                "both sides insert into the table, and each could give out a value that the other \
                 has given out: the row would not come over",
                "Drop it, or let each side keep its own rows: `writes: split`",
            ));
        }
    }
}

/// Foreign keys between tables whose rows flow differently.
fn references(
    monolith: &SideFacts,
    extraction: &ReplicatedExtraction,
    findings: &mut Vec<Finding>,
) {
    let writes = |name: &TableName| {
        let mut mappings = extraction.data.tables.iter();
        mappings
            .find(|mapping| mapping.monolith == *name)
            .map(|mapping| mapping.writes)
    };
    for key in &monolith.boundary.foreign_keys {
        let object = format!("foreign key {} of {}", key.name, key.from);
        match (writes(&key.from), writes(&key.to)) {
            (Some(TableWrites::Owner | TableWrites::Append), Some(TableWrites::Split)) => {
                findings.push(Finding::refuse(
                    Id::ReferenceToSplit,
                    object,
                    format!(
                        "{} flows after a switch, but {} does not: its rows would refer to none",
                        key.from, key.to
                    ),
                    "Drop it, or let both tables be written alike",
                ));
            }
            (Some(TableWrites::Append | TableWrites::Split), Some(TableWrites::Owner)) => {
                findings.push(Finding::warn(
                    Id::ReferenceFromShared,
                    object,
                    format!(
                        "both sides add rows to {}: one that is added on one side while the owner \
                         deletes its row of {} refers to none",
                        key.from, key.to
                    ),
                    "Nothing, if rows of that table are not deleted",
                ));
            }
            _ => {}
        }
    }
}
