//! Rules about how the tables of both sides fit together.

use super::{
    cautions::{IRREVERSIBLE, OTHER_WAY},
    constraints,
    definitions::{self, Texts},
    facts::SideFacts,
    relations::TableFacts,
    row_rules,
};
use crate::{catalog::Column, database::sql, extraction::ReplicatedExtraction};
use plan::TableMapping;
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};
use std::collections::BTreeSet;

/// Rules about each pair of tables.
pub(super) fn of_both(
    monolith: &SideFacts,
    service: &SideFacts,
    extraction: &ReplicatedExtraction,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let pairs = monolith.tables.iter().zip(&service.tables);
    for (mapping, (old, new)) in extraction.data.tables.iter().zip(pairs) {
        if let (Some(old), Some(new)) = (old, new)
            && old.table.kind == 'r'
            && new.table.kind == 'r'
        {
            pair(mapping, old, new, &mut findings);
        }
    }
    findings
}

/// Words before statements of this module.
const AT_SERVICE: &str = "Run at the service";

/// A change of a column of the service's.
struct Alter<'a> {
    mapping: &'a TableMapping,
    column: &'a str,
}

impl Alter<'_> {
    fn to(&self, changes: &[&str]) -> Statement {
        let column = sql::identifier(self.column);
        let changes = changes.iter();
        let changes: Vec<String> = changes
            .map(|change| format!("alter column {column} {change}"))
            .collect();
        let table = sql::table(&self.mapping.service);
        let sql = format!("alter table {table} {}", changes.join(", "));
        Statement::new(Side::Service, sql)
    }

    fn run(&self, change: &str) -> Remedy {
        Remedy::run(AT_SERVICE, [self.to(&[change])])
    }
}

/// Which of two columns is meant to be the other is known to a person alone.
const PERHAPS_RENAMED: &str =
    "it may be that one column has two names: then map it under `columns:` in the plan instead";

fn pair(mapping: &TableMapping, old: &TableFacts, new: &TableFacts, findings: &mut Vec<Finding>) {
    renames(mapping, old, findings);
    let is_matched = |column: &&Column| {
        let mut columns = old.table.columns.iter();
        columns.any(|one| mapping.service_column(&one.name) == column.name)
    };
    let stored = new.table.columns.iter().filter(|column| !column.generated);
    let unmatched: Vec<&Column> = stored.filter(|column| !is_matched(column)).collect();
    for column in &old.table.columns {
        let name = mapping.service_column(&column.name);
        let twin = new.table.columns.iter().find(|twin| twin.name == name);
        if column.generated {
            let texts = Texts::of(mapping, &old.table, &new.table);
            generated(mapping, column, twin, &texts, findings);
        } else {
            let in_key = old.table.key.contains(&column.name);
            match twin {
                Some(twin) => counterpart(mapping, column, twin, in_key, findings),
                None => findings.push(none(mapping, column, name, &unmatched)),
            }
        }
    }
    for column in &unmatched {
        only_at_service(mapping, column, findings);
    }
    keys(mapping, old, new, findings);
    constraints::of_pair(mapping, old, new, findings);
    row_rules::of_pair(mapping, old, new, findings);
}

fn renames(mapping: &TableMapping, old: &TableFacts, findings: &mut Vec<Finding>) {
    for rename in &mapping.renames {
        if !old
            .table
            .columns
            .iter()
            .any(|column| column.name == rename.monolith.as_str())
        {
            findings.push(Finding::refuse(
                Id::RenameOfNothing,
                format!("{}.{}", mapping.monolith, rename.monolith),
                "the plan renames this column, but the monolith's table has none of that name",
                "Correct it under `columns:` in the plan",
            ));
        }
    }
    let mut seen = BTreeSet::new();
    for column in &old.table.columns {
        let name = mapping.service_column(&column.name);
        if !seen.insert(name) {
            findings.push(Finding::refuse(
                Id::TwoColumnsForOne,
                format!("{}.{name}", mapping.service),
                "two columns of the monolith map to it",
                "Map them to different columns under `columns:` in the plan",
            ));
        }
    }
}

/// A column that the monolith computes moves nowhere.
fn generated(
    mapping: &TableMapping,
    column: &Column,
    twin: Option<&Column>,
    texts: &Texts<'_>,
    findings: &mut Vec<Finding>,
) {
    if let Some(twin) = twin.filter(|twin| twin.generated) {
        definitions::computed(mapping, column, twin, texts, findings);
    } else if twin.is_some() {
        findings.push(Finding::refuse(
            Id::GeneratedOnOneSide,
            format!(
                "{}.{}",
                mapping.service,
                mapping.service_column(&column.name)
            ),
            "the monolith computes this column, so it is not copied and would stay empty",
            "Make it a generated column in the service as well, or drop it there",
        ));
    }
}

/// One that the service's table lacks.
fn none(mapping: &TableMapping, column: &Column, name: &str, unmatched: &[&Column]) -> Finding {
    let add = Statement::new(
        Side::Service,
        format!(
            "alter table {} add column {} {}",
            sql::table(&mapping.service),
            sql::identifier(name),
            column.declared()
        ),
    );
    let add = if unmatched.is_empty() {
        add
    } else {
        add.caution(PERHAPS_RENAMED)
    };
    Finding::refuse(
        Id::NoCounterpart,
        format!("{}.{}", mapping.monolith, column.name),
        format!(
            "the service's table {} has no column for it",
            mapping.service
        ),
        Remedy::run(
            "Map it under `columns:` in the plan, or run at the service",
            [add],
        ),
    )
}

fn counterpart(
    mapping: &TableMapping,
    column: &Column,
    twin: &Column,
    in_key: bool,
    findings: &mut Vec<Finding>,
) {
    let name = twin.name.as_str();
    let alter = Alter {
        mapping,
        column: name,
    };
    let there = format!("{}.{name}", mapping.service);
    if twin.generated {
        findings.push(Finding::refuse(
            Id::GeneratedOnOneSide,
            there,
            "the service computes this column, but the monolith stores it",
            Remedy::run(
                "Run at the service",
                [alter.to(&["drop expression"]).caution(IRREVERSIBLE)],
            ),
        ));
        return;
    }
    definitions::stored(mapping, column, twin, in_key, findings);
    if twin.not_null && !column.not_null {
        findings.push(Finding::refuse(
            Id::NotNullAtService,
            there.as_str(),
            "it is NOT NULL, but the monolith's column may be null",
            Remedy::run(
                "Set it NOT NULL in the monolith, or run at the service",
                [alter.to(&["drop not null"]).caution(OTHER_WAY)],
            ),
        ));
    } else if column.not_null && !twin.not_null {
        findings.push(Finding::warn(
            Id::NullableAtService,
            there.as_str(),
            "it may be null, but the monolith's column may not: a null would close the way back",
            alter.run("set not null"),
        ));
    }
    sequence(&there, &alter, column, twin, findings);
}

fn sequence(
    there: &str,
    alter: &Alter<'_>,
    column: &Column,
    twin: &Column,
    findings: &mut Vec<Finding>,
) {
    if column.sequence.is_some() && twin.sequence.is_none() {
        // An identity may neither be null nor have another default.
        let mut changes = Vec::new();
        changes.extend(twin.has_default.then_some("drop default"));
        changes.extend((!twin.not_null).then_some("set not null"));
        changes.push("add generated by default as identity");
        findings.push(Finding::refuse(
            Id::NoSequence,
            there,
            "the monolith's column draws from a sequence, this one has none",
            Remedy::run(AT_SERVICE, [alter.to(&changes)]),
        ));
    } else if column.sequence.is_none() && twin.sequence.is_some() {
        findings.push(Finding::warn(
            Id::SequenceAtService,
            there,
            "it draws from a sequence, the monolith's column does not",
            "Make sure that the sequence starts past the monolith's values before a switch",
        ));
    }
}

fn only_at_service(mapping: &TableMapping, column: &Column, findings: &mut Vec<Finding>) {
    let object = format!("{}.{}", mapping.service, column.name);
    if column.not_null && !column.has_default {
        let alter = Alter {
            mapping,
            column: &column.name,
        };
        findings.push(Finding::refuse(
            Id::RequiredAtService,
            object,
            "it is NOT NULL without a default, and the monolith has no such column",
            Remedy::run(
                "Map it under `columns:` in the plan, give it a default, or run at the service",
                [alter.to(&["drop not null"]).caution(PERHAPS_RENAMED)],
            ),
        ));
    } else {
        findings.push(Finding::warn(
            Id::ColumnAtService,
            object,
            "the monolith has no such column: what the service writes there does not go back",
            "Nothing, if that may be lost in a rollback and it is there before `start`. One that is \
             added later stops the way back: add it to the monolith, too",
        ));
    }
}

fn keys(mapping: &TableMapping, old: &TableFacts, new: &TableFacts, findings: &mut Vec<Finding>) {
    let (old, new) = (&old.table.key, &new.table.key);
    if old.is_empty() || new.is_empty() {
        return;
    }
    let mapped: Vec<&str> = old
        .iter()
        .map(|name| mapping.service_column(name))
        .collect();
    if mapped == *new {
        return;
    }
    let object = format!("the primary key of {}", mapping.service);
    let problem = format!(
        "it is ({}), the monolith's is ({})",
        new.join(", "),
        old.join(", ")
    );
    let set = |names: &[&str]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    findings.push(if set(&mapped) == new.iter().cloned().collect() {
        Finding::warn(
            Id::KeyOrderDiffers,
            object,
            problem,
            "Use the same order: verify is slow otherwise",
        )
    } else {
        Finding::refuse(Id::KeysDiffer, object, problem, "Use the same columns")
    });
}

#[cfg(test)]
mod tests;
