//! Rules about the boundary between tables that move and tables that stay.
//!
//! Rows are applied with triggers off, foreign keys among them. A foreign key
//! that crosses the boundary is therefore not checked for rows that come from
//! the other side, and what it would do to rows that stay is not done.

use super::{
    cautions::UNPROVEN,
    constraints::drop_constraint,
    facts::{RoleFacts, SideFacts},
    relations::BoundaryFacts,
};
use crate::{catalog::constraints::ForeignKey, database::sql, extraction::ReplicatedExtraction};
use plan::{ColumnName, ForeignColumn, TableName};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};
use std::collections::BTreeSet;

/// Rules about one side.
pub(super) fn of_side(
    side: Side,
    facts: &SideFacts,
    extraction: &ReplicatedExtraction,
) -> Vec<Finding> {
    let moved: BTreeSet<&TableName> = extraction.tables(side).collect();
    let mut findings = Vec::new();
    sequences(side, &facts.boundary, &mut findings);
    match side {
        Side::Monolith => {
            let declared: BTreeSet<&ForeignColumn> = extraction.data.references.keys().collect();
            // With a table missing, its foreign keys are not known.
            let complete = facts
                .tables
                .iter()
                .flatten()
                .filter(|table| table.owned)
                .count()
                == facts.tables.len();
            monolith(&facts.boundary, &moved, &declared, complete, &mut findings);
            hidden_rows(&facts.boundary, &moved, &facts.role.name, &mut findings);
            readable(&facts.boundary, &moved, &facts.role, &mut findings);
        }
        Side::Service => service(&facts.boundary, &moved, &mut findings),
    }
    findings
}

fn sequences(side: Side, boundary: &BoundaryFacts, findings: &mut Vec<Finding>) {
    for shared in &boundary.shared_sequences {
        findings.push(Finding::refuse(
            Id::SharedSequence,
            format!("sequence {} in the {side}'s database", shared.sequence),
            format!(
                "{}.{}, which stays, draws from it as well: both sides would give out the same \
                 numbers",
                shared.table, shared.column
            ),
            "Give that column a sequence of its own",
        ));
    }
}

fn monolith(
    boundary: &BoundaryFacts,
    moved: &BTreeSet<&TableName>,
    declared: &BTreeSet<&ForeignColumn>,
    complete: bool,
    findings: &mut Vec<Finding>,
) {
    let mut found = BTreeSet::new();
    for key in &boundary.foreign_keys {
        match (moved.contains(&key.from), moved.contains(&key.to)) {
            (false, true) => inwards(key, declared, &mut found, findings),
            (true, false) => outwards(key, findings),
            _ => {}
        }
    }
    if !complete {
        return;
    }
    for declared in declared
        .iter()
        .filter(|declared| !found.contains(**declared))
    {
        findings.push(Finding::refuse(
            Id::DeclaredForNothing,
            declared.to_string(),
            "the plan declares it under `references:`, but no foreign key leads from it to a \
             table that moves",
            "Correct it in the plan, or take it out",
        ));
    }
}

/// Before the service's delete of a row is applied, the rows that stay are asked
/// whether they refer to it: all of them, so none may be hidden.
fn hidden_rows(
    boundary: &BoundaryFacts,
    moved: &BTreeSet<&TableName>,
    role: &str,
    findings: &mut Vec<Finding>,
) {
    let hiding: BTreeSet<&TableName> = boundary
        .foreign_keys
        .iter()
        .filter(|key| key.from_hides_rows && moved.contains(&key.to) && !moved.contains(&key.from))
        .map(|key| &key.from)
        .collect();
    for table in hiding {
        findings.push(Finding::refuse(
            Id::HiddenRows,
            format!("{table} in the monolith's database"),
            format!(
                "it stays and refers to a table that moves, and its row security hides rows from \
                 role {role}: whether a row is still referred to could not be told"
            ),
            Remedy::run(
                "Run as a superuser one of",
                [
                    format!("alter role {} bypassrls", sql::identifier(role)),
                    format!(
                        "alter table {} disable row level security",
                        sql::table(table)
                    ),
                ]
                .map(|sql| {
                    let statement = Statement::new(Side::Monolith, sql).by_superuser();
                    statement.caution("one of two ways: who may read which rows is at stake")
                }),
            ),
        ));
    }
}

/// From a table that stays to one that moves.
fn inwards(
    key: &ForeignKey,
    declared: &BTreeSet<&ForeignColumn>,
    found: &mut BTreeSet<ForeignColumn>,
    findings: &mut Vec<Finding>,
) {
    let object = format!("foreign key {} of {}", key.name, key.from);
    if key.columns.len() > 1 {
        found.extend(key.columns.iter().filter_map(|name| {
            Some(ForeignColumn {
                table: key.from.clone(),
                column: ColumnName::new(name).ok()?,
            })
        }));
        findings.push(Finding::refuse(
            Id::CompositeReference,
            object,
            format!(
                "{} stays and refers by {} columns to {}, which moves: when the service deletes a \
                 row, only references by one column are looked after",
                key.from,
                key.columns.len(),
                key.to
            ),
            Remedy::run(
                "Move the table as well, or run",
                [
                    Statement::new(Side::Monolith, drop_constraint(&key.from, &key.name))
                        .caution(UNPROVEN),
                ],
            ),
        ));
        return;
    }
    for name in &key.columns {
        let Ok(column) = ColumnName::new(name) else {
            continue;
        };
        let column = ForeignColumn {
            table: key.from.clone(),
            column,
        };
        if !declared.contains(&column) {
            findings.push(Finding::refuse(
                Id::UndeclaredReference,
                format!("{column}, foreign key {}", key.name),
                format!(
                    "its table stays and it refers to {}, which moves: after a switch nothing stops \
                     the service from deleting a row that it refers to",
                    key.to
                ),
                "Declare it in the plan under `references:`, as `SCHEMA.TABLE.COLUMN: restrict`, or \
                 move its table as well",
            ));
        }
        found.insert(column);
    }
    for (event, letter) in [("ON DELETE", key.on_delete), ("ON UPDATE", key.on_update)] {
        if let Some(action) = action(letter) {
            findings.push(Finding::refuse(
                Id::ActionInwards,
                object.as_str(),
                format!(
                    "it is {event} {action}: after a switch that would not be done any more for \
                     rows of {}",
                    key.from
                ),
                Remedy::run(
                    "Move the table, or let the application do it and run",
                    [Statement::new(Side::Monolith, without_actions(key))
                        .caution("the application has to do what this foreign key did")],
                ),
            ));
        }
    }
}

/// Rows that stay are looked for when a row that they may refer to is deleted.
fn readable(
    boundary: &BoundaryFacts,
    moved: &BTreeSet<&TableName>,
    role: &RoleFacts,
    findings: &mut Vec<Finding>,
) {
    let inwards = |key: &&ForeignKey| !moved.contains(&key.from) && moved.contains(&key.to);
    let mut seen = BTreeSet::new();
    for key in boundary.foreign_keys.iter().filter(inwards) {
        if key.readable || !seen.insert(&key.from) {
            continue;
        }
        let quoted = sql::identifier(&role.name);
        findings.push(Finding::refuse(
            Id::StayingTableUnreadable,
            key.from.to_string(),
            format!(
                "it refers to {}, which moves, and role {} may not read it: the first deletion at \
                 the service would stop the stream",
                key.to, role.name
            ),
            Remedy::run(
                format!("Run as {}", key.owner),
                [
                    format!("grant select on {} to {quoted}", sql::table(&key.from)),
                    format!(
                        "grant usage on schema {} to {quoted}",
                        sql::identifier(&key.from.schema)
                    ),
                ]
                .map(|sql| Statement::new(Side::Monolith, sql).by(key.owner.as_str())),
            ),
        ));
    }
}

/// From a table that moves to one that stays.
fn outwards(key: &ForeignKey, findings: &mut Vec<Finding>) {
    for (event, letter) in [("ON DELETE", key.on_delete), ("ON UPDATE", key.on_update)] {
        if let Some(action) = action(letter) {
            findings.push(Finding::warn(
                Id::ActionOutwards,
                format!("foreign key {} of {}", key.name, key.from),
                format!(
                    "it is {event} {action}: while the service owns the data, the fence refuses \
                     such a change of {}",
                    key.to
                ),
                "Make sure that the application does not depend on it after a switch",
            ));
        }
    }
}

/// The same foreign key, which only forbids.
fn without_actions(key: &ForeignKey) -> String {
    format!(
        "{}, add constraint {} foreign key ({}) references {} ({})",
        drop_constraint(&key.from, &key.name),
        sql::identifier(&key.name),
        sql::identifiers(key.columns.iter().map(String::as_str)),
        sql::table(&key.to),
        sql::identifiers(key.to_columns.iter().map(String::as_str))
    )
}

fn action(letter: char) -> Option<&'static str> {
    match letter {
        'c' => Some("CASCADE"),
        'n' => Some("SET NULL"),
        'd' => Some("SET DEFAULT"),
        _ => None,
    }
}

fn service(boundary: &BoundaryFacts, moved: &BTreeSet<&TableName>, findings: &mut Vec<Finding>) {
    let drop = |key: &ForeignKey| {
        let statement = drop_constraint(&key.from, &key.name);
        Statement::new(Side::Service, statement).caution(UNPROVEN)
    };
    for key in &boundary.foreign_keys {
        let object = format!(
            "foreign key {} of {} in the service's database",
            key.name, key.from
        );
        match (moved.contains(&key.from), moved.contains(&key.to)) {
            (true, false) => findings.push(Finding::refuse(
                Id::ServiceRefersOutwards,
                object,
                format!(
                    "it refers to {}, which is not moved: copied rows would not be checked",
                    key.to
                ),
                Remedy::run(
                    "Move that table as well, or run at the service",
                    [drop(key)],
                ),
            )),
            (false, true) => findings.push(Finding::refuse(
                Id::ServiceReferredTo,
                object,
                format!(
                    "it refers to {}, whose rows come and go with the monolith's, and which cannot \
                     be emptied while it is there",
                    key.to
                ),
                Remedy::run(
                    "Move that table as well, or until after the switch run at the service",
                    [drop(key)],
                ),
            )),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::relations::SharedSequence;
    use protocol::finding::Severity;

    fn name(table: &str) -> TableName {
        TableName {
            schema: "s".into(),
            table: table.into(),
        }
    }

    /// Side, from, to, on delete, declared: what is found.
    type Case<'a> = (
        Side,
        &'a str,
        &'a str,
        char,
        bool,
        &'a [(Severity, &'a str)],
    );

    fn key(from: &str, to: &str, on_delete: char) -> BoundaryFacts {
        let key = ForeignKey {
            match_full: false,
            name: "k".into(),
            from: name(from),
            columns: vec!["x".into()],
            to: name(to),
            to_columns: vec!["id".into()],
            on_delete,
            on_update: 'a',
            from_hides_rows: false,
            deferrable: false,
            deferred: false,
            proven: true,
            readable: true,
            owner: "app".into(),
        };
        BoundaryFacts {
            foreign_keys: vec![key],
            shared_sequences: Vec::new(),
        }
    }

    #[test]
    fn foreign_keys_across_the_boundary() {
        use Severity::{Refuse, Warn};
        let declared = ForeignColumn {
            table: name("stays"),
            column: ColumnName::new("x").unwrap(),
        };
        let cases: &[Case<'_>] = &[
            (Side::Monolith, "stays", "moves", 'a', true, &[]),
            (Side::Monolith, "stays", "moves", 'r', true, &[]),
            (
                Side::Monolith,
                "stays",
                "moves",
                'a',
                false,
                &[(Refuse, "which moves")],
            ),
            (
                Side::Monolith,
                "stays",
                "moves",
                'c',
                true,
                &[(Refuse, "CASCADE")],
            ),
            (
                Side::Monolith,
                "stays",
                "moves",
                'n',
                true,
                &[(Refuse, "SET NULL")],
            ),
            (
                Side::Monolith,
                "stays",
                "moves",
                'd',
                true,
                &[(Refuse, "SET DEFAULT")],
            ),
            (Side::Monolith, "moves", "stays", 'a', false, &[]),
            (
                Side::Monolith,
                "moves",
                "stays",
                'c',
                false,
                &[(Warn, "the fence refuses")],
            ),
            (Side::Monolith, "moves", "moves", 'c', false, &[]),
            (
                Side::Monolith,
                "moves",
                "moves",
                'c',
                true,
                &[(Refuse, "no foreign key leads")],
            ),
            (Side::Service, "moves", "moves", 'c', false, &[]),
            (
                Side::Service,
                "moves",
                "stays",
                'a',
                false,
                &[(Refuse, "not moved")],
            ),
            (
                Side::Service,
                "stays",
                "moves",
                'a',
                false,
                &[(Refuse, "emptied")],
            ),
        ];
        let table = name("moves");
        let moved = BTreeSet::from([&table]);
        for (side, from, to, on_delete, is_declared, expected) in cases {
            let boundary = key(from, to, *on_delete);
            let declared = if *is_declared {
                BTreeSet::from([&declared])
            } else {
                BTreeSet::new()
            };
            let mut found = Vec::new();
            match side {
                Side::Monolith => monolith(&boundary, &moved, &declared, true, &mut found),
                Side::Service => service(&boundary, &moved, &mut found),
            }
            let case = format!("{side} {from} {to} {on_delete} {is_declared}: {found:?}");
            assert_eq!(found.len(), expected.len(), "{case}");
            for (finding, (severity, words)) in found.iter().zip(*expected) {
                assert_eq!(finding.severity, *severity, "{case}");
                assert!(finding.problem.contains(words), "{case}");
            }
        }
    }

    #[test]
    fn a_sequence_that_others_use_is_refused() {
        let shared = SharedSequence {
            sequence: "s.ids".into(),
            table: name("stays"),
            column: "id".into(),
        };
        let boundary = BoundaryFacts {
            foreign_keys: Vec::new(),
            shared_sequences: vec![shared],
        };
        let mut found = Vec::new();
        sequences(Side::Monolith, &boundary, &mut found);
        assert_eq!(found[0].severity, Severity::Refuse);
        assert!(found[0].problem.contains("s.stays.id"));
    }
}
