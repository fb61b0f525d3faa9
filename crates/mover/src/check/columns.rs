//! Rules about how the tables of both sides fit together.

use super::{
    facts::SideFacts,
    relations::{TableFacts, UniqueIndex},
};
use crate::{catalog::Column, extraction::ReplicatedExtraction};
use plan::TableMapping;
use protocol::finding::Finding;
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

fn pair(mapping: &TableMapping, old: &TableFacts, new: &TableFacts, findings: &mut Vec<Finding>) {
    renames(mapping, old, findings);
    for column in &old.table.columns {
        let name = mapping.service_column(&column.name);
        let twin = new.table.columns.iter().find(|twin| twin.name == name);
        if column.generated {
            generated(mapping, column, twin, findings);
        } else {
            counterpart(mapping, column, name, twin, findings);
        }
    }
    for column in new.table.columns.iter().filter(|column| !column.generated) {
        let from = |old: &Column| mapping.service_column(&old.name) == column.name;
        if !old.table.columns.iter().any(from) {
            unmatched(mapping, column, findings);
        }
    }
    keys(mapping, old, new, findings);
    unique(mapping, old, new, findings);
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
    findings: &mut Vec<Finding>,
) {
    if twin.is_some_and(|twin| !twin.generated) {
        findings.push(Finding::refuse(
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

fn counterpart(
    mapping: &TableMapping,
    column: &Column,
    name: &str,
    twin: Option<&Column>,
    findings: &mut Vec<Finding>,
) {
    let object = format!("{}.{}", mapping.monolith, column.name);
    let Some(twin) = twin else {
        findings.push(Finding::refuse(
            object,
            format!(
                "the service's table {} has no column `{name}`",
                mapping.service
            ),
            "Add it there, or map it under `columns:` in the plan",
        ));
        return;
    };
    let there = format!("{}.{name}", mapping.service);
    if twin.generated {
        findings.push(Finding::refuse(
            there,
            "the service computes this column, but the monolith stores it",
            "Make it a plain column in the service",
        ));
        return;
    }
    if !column.fits(twin) {
        findings.push(Finding::refuse(
            object,
            format!(
                "its type is {}, that of {there} is {}",
                column.type_name, twin.type_name
            ),
            "Give both the same type",
        ));
    } else if column.type_name != twin.type_name && column.labels.is_empty() {
        findings.push(Finding::warn(
            object,
            format!(
                "its type is {}, that of {there} is {}",
                column.type_name, twin.type_name
            ),
            "Make sure that no side accepts values that the other refuses",
        ));
    }
    if twin.not_null && !column.not_null {
        findings.push(Finding::refuse(
            there.as_str(),
            "it is NOT NULL, but the monolith's column may be null",
            "Drop NOT NULL there, or set it in the monolith",
        ));
    } else if column.not_null && !twin.not_null {
        findings.push(Finding::warn(
            there.as_str(),
            "it may be null, but the monolith's column may not: a null would close the way back",
            "Set it NOT NULL in the service",
        ));
    }
    sequence(&there, column, twin, findings);
}

fn sequence(there: &str, column: &Column, twin: &Column, findings: &mut Vec<Finding>) {
    if column.sequence.is_some() && twin.sequence.is_none() {
        findings.push(Finding::refuse(
            there,
            "the monolith's column draws from a sequence, this one has none",
            "Give it one, such as: alter column ... add generated by default as identity",
        ));
    } else if column.sequence.is_none() && twin.sequence.is_some() {
        findings.push(Finding::warn(
            there,
            "it draws from a sequence, the monolith's column does not",
            "Make sure that the sequence starts past the monolith's values before a switch",
        ));
    }
}

fn unmatched(mapping: &TableMapping, column: &Column, findings: &mut Vec<Finding>) {
    let object = format!("{}.{}", mapping.service, column.name);
    if column.not_null && !column.has_default {
        findings.push(Finding::refuse(
            object,
            "it is NOT NULL without a default, and the monolith has no such column",
            "Give it a default, drop NOT NULL, or map it under `columns:` in the plan",
        ));
    } else {
        findings.push(Finding::warn(
            object,
            "the monolith has no such column: what the service writes there does not go back",
            "Nothing, if that may be lost in a rollback",
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
            object,
            problem,
            "Use the same order: verify is slow otherwise",
        )
    } else {
        Finding::refuse(object, problem, "Use the same columns")
    });
}

/// A unique index on one side only makes the other side's rows fail there.
fn unique(mapping: &TableMapping, old: &TableFacts, new: &TableFacts, findings: &mut Vec<Finding>) {
    let here: Vec<UniqueIndex> = old
        .unique
        .iter()
        .map(|index| UniqueIndex {
            columns: index
                .columns
                .iter()
                .map(|name| mapping.service_column(name).to_owned())
                .collect(),
            ..index.clone()
        })
        .collect();
    for index in &new.unique {
        if !here.iter().any(|twin| same(twin, index)) {
            findings.push(Finding::warn(
                format!("unique index {} on {}", index.name, mapping.service),
                "the monolith has none like it: rows that it accepts may stop the copy",
                "Add it to the monolith, or drop it until after the switch",
            ));
        }
    }
    for index in &here {
        if !new.unique.iter().any(|twin| same(twin, index)) {
            findings.push(Finding::warn(
                format!("unique index {} on {}", index.name, mapping.monolith),
                "the service has none like it: rows that it accepts may close the way back",
                "Add it to the service",
            ));
        }
    }
}

fn same(one: &UniqueIndex, other: &UniqueIndex) -> bool {
    let set = |index: &UniqueIndex| index.columns.iter().cloned().collect::<BTreeSet<_>>();
    set(one) == set(other)
        && one.predicate.is_empty() == other.predicate.is_empty()
        && one.expressions.is_empty() == other.expressions.is_empty()
}

#[cfg(test)]
mod tests;
