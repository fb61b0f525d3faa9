//! Rules about unique indexes and foreign keys that both sides do not have
//! alike.
//!
//! Rows are applied with `session_replication_role = replica`. Plain unique
//! indexes, checks and NOT NULL are enforced then, so one that only the target
//! has stops the stream. Foreign keys, and unique and exclusion constraints
//! that are deferrable, are triggers, and are not: those that only the service
//! has are refused, as nothing else would show what they forbid.

use super::{
    cautions::{IF_NOT_MEANT, REPLACES, UNPROVEN},
    facts::SideFacts,
    relations::TableFacts,
};
use crate::{
    catalog::constraints::{ForeignKey, UniqueIndex, names_of},
    database::sql,
    extraction::ReplicatedExtraction,
};
use plan::{TableMapping, TableName};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};
use std::collections::BTreeMap;

/// Rules about the unique indexes of two tables.
pub(super) fn of_pair(
    mapping: &TableMapping,
    old: &TableFacts,
    new: &TableFacts,
    findings: &mut Vec<Finding>,
) {
    for index in &new.unique {
        match old.unique.iter().find(|twin| twin.is_like(index, mapping)) {
            Some(twin) if twin.deferrable != index.deferrable => {
                findings.push(deferrability(mapping, twin, index));
            }
            Some(_) => {}
            None => findings.push(only_at_service(mapping, index)),
        }
    }
    for index in &old.unique {
        if !new.unique.iter().any(|twin| index.is_like(twin, mapping)) {
            findings.push(Finding::warn(
                Id::UniqueAtMonolith,
                format!("unique index {} on {}", index.name, mapping.monolith),
                "the service has none like it: rows that it accepts may close the way back",
                add_unique(mapping, index).map_or_else(
                    || "Add it to the service".into(),
                    |add| Remedy::run("Run at the service", [at_service(add)]),
                ),
            ));
        }
    }
}

fn only_at_service(mapping: &TableMapping, index: &UniqueIndex) -> Finding {
    let object = format!("unique index {} on {}", index.name, mapping.service);
    let drop = at_service(drop_unique(mapping, index))
        .caution("the service then accepts rows that it refuses now");
    if index.deferrable {
        Finding::refuse(
            Id::UniqueAtService,
            object,
            "the monolith has none like it, and as it is deferrable it is not enforced while rows \
             are applied: duplicates would be stored",
            Remedy::run("Add it to the monolith, or run at the service", [drop]),
        )
    } else {
        Finding::warn(
            Id::UniqueAtService,
            object,
            "the monolith has none like it: rows that it accepts may stop the copy",
            Remedy::run(
                "Add it to the monolith, or until after the switch run at the service",
                [drop],
            ),
        )
    }
}

fn deferrability(mapping: &TableMapping, old: &UniqueIndex, new: &UniqueIndex) -> Finding {
    let word = |index: &UniqueIndex| {
        if index.deferrable {
            "deferrable"
        } else {
            "not deferrable"
        }
    };
    let statements = [Some(drop_unique(mapping, new)), add_unique(mapping, old)];
    let statements = statements.into_iter().flatten().map(at_service);
    Finding::refuse(
        Id::DeferrabilityDiffers,
        format!("unique index {} on {}", new.name, mapping.service),
        format!(
            "it is {}, the monolith's {} is {}: values that are exchanged within one transaction \
             stop the stream",
            word(new),
            old.name,
            word(old)
        ),
        Remedy::run(
            "Run at the service",
            statements.map(|one| one.caution(REPLACES)),
        ),
    )
}

fn at_service(sql: String) -> Statement {
    Statement::new(Side::Service, sql)
}

fn drop_unique(mapping: &TableMapping, index: &UniqueIndex) -> String {
    if index.is_constraint {
        drop_constraint(&mapping.service, &index.name)
    } else {
        let name = TableName {
            schema: mapping.service.schema.clone(),
            table: index.name.clone(),
        };
        format!("drop index {}", sql::table(&name))
    }
}

/// What makes one of the monolith's at the service, if it is over columns.
fn add_unique(mapping: &TableMapping, index: &UniqueIndex) -> Option<String> {
    let plain = index.expressions.is_empty() && !index.columns.iter().any(String::is_empty);
    if !plain || index.without_overlaps {
        return None;
    }
    let columns = index
        .columns
        .iter()
        .map(|name| mapping.service_column(name));
    let columns = sql::identifiers(columns);
    let nulls = if index.nulls_not_distinct {
        " nulls not distinct"
    } else {
        ""
    };
    let table = sql::table(&mapping.service);
    Some(if index.deferrable {
        format!("alter table {table} add unique{nulls} ({columns}) deferrable initially deferred")
    } else if index.predicate.is_empty() {
        format!("create unique index on {table} ({columns}){nulls}")
    } else {
        let predicate = names_of(mapping, Side::Service, &index.predicate);
        format!("create unique index on {table} ({columns}){nulls} where {predicate}")
    })
}

/// Rules about foreign keys between tables that move.
pub(super) fn of_both(
    monolith: &SideFacts,
    service: &SideFacts,
    extraction: &ReplicatedExtraction,
) -> Vec<Finding> {
    let mappings = &extraction.data.tables;
    let (old, new) = (
        &monolith.boundary.foreign_keys,
        &service.boundary.foreign_keys,
    );
    let moved = |side: Side, key: &ForeignKey| {
        let has = |name: &TableName| extraction.tables(side).any(|table| table == name);
        has(&key.from) && has(&key.to)
    };
    let mut findings = Vec::new();
    let mut otherwise: BTreeMap<[&str; 2], Vec<&ForeignKey>> = BTreeMap::new();
    for key in new.iter().filter(|key| moved(Side::Service, key)) {
        let is_twin = |twin: &&ForeignKey| twin.is_like(key, mappings) && twin.proves_as_much(key);
        if let Some(twin) = old.iter().find(is_twin) {
            if actions(twin) != actions(key) {
                findings.push(other_actions(twin, key, mappings));
            } else if moment(twin) != moment(key) {
                let both = [moment(key), moment(twin)];
                otherwise.entry(both).or_default().push(key);
            }
        } else {
            findings.push(Finding::refuse(
                Id::ForeignKeyAtService,
                format!("foreign key {} of {} in the service's database", key.name, key.from),
                "the monolith proves no such thing, and it is not enforced while rows are applied: \
                 rows that refer to nothing would be stored",
                Remedy::run(
                    "Add it to the monolith (and validate it), or until after the switch run at the \
                     service",
                    [at_service(drop_constraint(&key.from, &key.name)).caution(UNPROVEN)],
                ),
            ));
        }
    }
    findings.extend(
        otherwise
            .iter()
            .map(|(both, keys)| other_moments(both, keys)),
    );
    for key in old
        .iter()
        .filter(|key| moved(Side::Monolith, key) && key.proven)
    {
        let is_twin = |twin: &ForeignKey| key.is_like(twin, mappings) && twin.proves_as_much(key);
        if !new.iter().any(is_twin) {
            findings.push(Finding::warn(
                Id::ForeignKeyAtMonolith,
                format!("foreign key {} of {}", key.name, key.from),
                "the service has none like it, and it is not enforced for what comes back: rows \
                 that refer to nothing would close the way back",
                match add_foreign_key(key, mappings) {
                    Some(add) => Remedy::run("Run at the service", [at_service(add)]),
                    None => "Add it to the service".into(),
                },
            ));
        }
    }
    findings
}

/// What is done with rows that refer, beside what is proven.
fn actions(key: &ForeignKey) -> String {
    let action = |letter| match letter {
        'r' => "restrict",
        'c' => "cascade",
        'n' => "set null",
        'd' => "set default",
        _ => "no action",
    };
    format!(
        "on delete {} on update {}",
        action(key.on_delete),
        action(key.on_update)
    )
}

/// When it is looked whether they do.
fn moment(key: &ForeignKey) -> &'static str {
    match (key.deferrable, key.deferred) {
        (false, _) => "not deferrable",
        (true, false) => "deferrable initially immediate",
        (true, true) => "deferrable initially deferred",
    }
}

/// Both sides have it, and a deletion does other things.
fn other_actions(old: &ForeignKey, new: &ForeignKey, mappings: &[TableMapping]) -> Finding {
    Finding::warn(
        Id::ForeignKeyActionsDiffer,
        format!(
            "foreign key {} of {} in the service's database",
            new.name, new.from
        ),
        format!(
            "it is {}, the monolith's {} is {}: after a switch the same deletion does something else",
            actions(new),
            old.name,
            actions(old)
        ),
        Remedy::run(
            "If that is not meant, run at the service",
            [
                Some(drop_constraint(&new.from, &new.name)),
                add_foreign_key(old, mappings),
            ]
            .into_iter()
            .flatten()
            .map(|sql| at_service(sql).caution(REPLACES)),
        ),
    )
}

/// These of the service's are looked at at another moment than the monolith's.
fn other_moments([here, there]: &[&str; 2], keys: &[&ForeignKey]) -> Finding {
    let object = match keys {
        [key] => format!("foreign key {} of {}", key.name, key.from),
        [key, ..] => format!(
            "{} foreign keys, the first {} of {},",
            keys.len(),
            key.name,
            key.from
        ),
        [] => String::new(),
    };
    let sooner = if there.ends_with("initially deferred") {
        "a transaction that has them broken until its end fails at the service, at once"
    } else if here.ends_with("initially deferred") {
        "what the monolith refuses at once the service refuses at the end of the transaction"
    } else {
        "`set constraints` has an effect on one side only"
    };
    let alter = |key: &&ForeignKey| {
        format!(
            "alter table {} alter constraint {} {there}",
            sql::table(&key.from),
            sql::identifier(&key.name)
        )
    };
    Finding::warn(
        Id::ForeignKeyActionsDiffer,
        format!("{object} in the service's database"),
        format!(
            "{here}, in the monolith {there}: after a switch {sooner}. What is carried over does not \
             meet it"
        ),
        Remedy::run(
            "If that is not meant, run at the service",
            keys.iter()
                .map(alter)
                .map(|sql| at_service(sql).caution(IF_NOT_MEANT)),
        ),
    )
}

/// What makes a foreign key of the monolith's at the service.
fn add_foreign_key(key: &ForeignKey, mappings: &[TableMapping]) -> Option<String> {
    let of = |name: &TableName| mappings.iter().find(|mapping| mapping.monolith == *name);
    let (from, to) = (of(&key.from)?, of(&key.to)?);
    let columns = key.columns.iter().map(|name| from.service_column(name));
    let others = key.to_columns.iter().map(|name| to.service_column(name));
    let full = if key.match_full { "match full " } else { "" };
    Some(format!(
        "alter table {} add foreign key ({}) references {} ({}) {full}{} {}",
        sql::table(&from.service),
        sql::identifiers(columns),
        sql::table(&to.service),
        sql::identifiers(others),
        actions(key),
        moment(key)
    ))
}

/// Takes a constraint away.
pub(super) fn drop_constraint(table: &TableName, name: &str) -> String {
    format!(
        "alter table {} drop constraint {}",
        sql::table(table),
        sql::identifier(name)
    )
}
