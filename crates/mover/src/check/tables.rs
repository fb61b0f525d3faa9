//! Rules about each moved table by itself.

use super::{
    cautions::{REWRITES, SUBSCRIBERS},
    facts::SideFacts,
    relations::{Emptiness, TableFacts},
};
use crate::{database::sql, extraction::ReplicatedExtraction};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};

/// As `server_version_num` says it.
const UNPUBLISHED_REFUSED: i32 = 180_000;

/// Rules about one side's tables.
pub(super) fn of_side(
    side: Side,
    facts: &SideFacts,
    extraction: &ReplicatedExtraction,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, table) in extraction.tables(side).zip(&facts.tables) {
        let object = format!("{name} in the {side}'s database");
        match table {
            None => findings.push(Finding::refuse(
                Id::NoTable,
                object,
                "there is no such table",
                "Create it, or correct its name in the plan",
            )),
            Some(table) if table.table.kind != 'r' => findings.push(Finding::refuse(
                Id::NotOrdinaryTable,
                object,
                format!("it is {}, not an ordinary table", kind(table.table.kind)),
                "Name ordinary tables in the plan; others are not supported yet",
            )),
            Some(table) => {
                shape(side, &object, table, &mut findings);
                computed_identity(side, facts, &object, table, &mut findings);
                triggers(side, &object, table, &mut findings);
                access(side, facts, &object, table, &mut findings);
            }
        }
    }
    findings
}

fn kind(letter: char) -> &'static str {
    match letter {
        'v' => "a view",
        'm' => "a materialized view",
        'f' => "a foreign table",
        'p' => "a partitioned table",
        'S' => "a sequence",
        _ => "something else",
    }
}

fn shape(side: Side, object: &str, facts: &TableFacts, findings: &mut Vec<Finding>) {
    let name = sql::table(&facts.table.name);
    if facts.partition || facts.inherits {
        let problem = if facts.partition {
            "it is a partition"
        } else {
            "it inherits from another table, or another from it"
        };
        findings.push(Finding::refuse(
            Id::PartitionOrInheritance,
            object,
            problem,
            "Detach it or dissolve the inheritance; both are not supported yet",
        ));
    }
    if facts.unlogged {
        findings.push(Finding::refuse(
            Id::Unlogged,
            object,
            "it is unlogged: its changes are in no change stream",
            Remedy::run("Run", [logged(side, &name)]),
        ));
    }
    if facts.table.key.is_empty() {
        findings.push(Finding::refuse(
            Id::NoPrimaryKey,
            object,
            "it has no primary key",
            "Add one: rows are found by it",
        ));
    } else if facts.deferrable_key {
        findings.push(Finding::refuse(
            Id::DeferrablePrimaryKey,
            object,
            "its primary key is deferrable, so the change stream does not name rows by it",
            "Make the primary key not deferrable",
        ));
    }
    let identity = match facts.table.replica_identity {
        'n' => Some("it has REPLICA IDENTITY NOTHING: updates of published rows would fail"),
        'i' => Some("its replica identity is an index other than the primary key"),
        _ => None,
    };
    if let Some(problem) = identity {
        findings.push(Finding::refuse(
            Id::ReplicaIdentity,
            object,
            problem,
            default_identity(side, facts),
        ));
    }
    for (column, evidence) in &facts.oid_columns {
        large_object(
            &format!("{object}, column {column}"),
            evidence.as_deref(),
            findings,
        );
    }
    for column in facts
        .table
        .columns
        .iter()
        .filter(|column| !column.generated)
    {
        let name = column.type_name.as_str();
        let bound = name == "money" || (name.starts_with("reg") && !name.contains('.'));
        if bound {
            findings.push(Finding::refuse(
                Id::TypeOfOneDatabase,
                format!("{object}, column {}", column.name),
                format!("its type {name} means something only within one database"),
                "Give it another type, or leave the table out of the plan",
            ));
        }
    }
}

/// From version 18 on PostgreSQL refuses updates and deletes of a published table
/// whose replica identity has a column that is not published.
fn computed_identity(
    side: Side,
    all: &SideFacts,
    object: &str,
    facts: &TableFacts,
    findings: &mut Vec<Finding>,
) {
    let version = all.server.version_number;
    let computed = facts.table.columns.iter().find(|column| column.generated);
    if let Some(column) = computed
        && version >= UNPUBLISHED_REFUSED
        && facts.table.replica_identity == 'f'
    {
        findings.push(Finding::refuse(
            Id::ReplicaIdentity,
            object,
            format!(
                "it has REPLICA IDENTITY FULL, and {} is computed and so not published: the \
                 application's own updates and deletes would fail",
                column.name
            ),
            default_identity(side, facts),
        ));
    }
}

fn default_identity(side: Side, facts: &TableFacts) -> Remedy {
    let name = sql::table(&facts.table.name);
    let statement = format!("alter table {name} replica identity default");
    let statement = Statement::new(side, statement);
    Remedy::run(
        "Run",
        [match side {
            Side::Service => statement,
            Side::Monolith => statement.caution(SUBSCRIBERS),
        }],
    )
}

/// The service's is empty before the copy.
fn logged(side: Side, name: &str) -> Statement {
    let statement = Statement::new(side, format!("alter table {name} set logged"));
    match side {
        Side::Service => statement.for_empty_tables(),
        Side::Monolith => statement.caution(REWRITES),
    }
}

fn large_object(object: &str, evidence: Option<&str>, findings: &mut Vec<Finding>) {
    let remedy = "Turn it into bytea (lo_get reads an object), or leave the table out of the plan";
    findings.push(match evidence {
        Some(evidence) => Finding::refuse(
            Id::LargeObjects,
            object,
            format!("{evidence}: the number would move, and the object it names would not"),
            remedy,
        ),
        None => Finding::warn(
            Id::LargeObjects,
            object,
            "its type is oid: what it numbers in this database is not moved with it",
            "Nothing, if it is an ordinary number",
        ),
    });
}

fn triggers(side: Side, object: &str, facts: &TableFacts, findings: &mut Vec<Finding>) {
    for trigger in &facts.triggers {
        let object = format!("trigger {} on {object}", trigger.name);
        if trigger.fires_for_replicas {
            findings.push(Finding::refuse(
                Id::TriggerFiresForReplicas,
                object,
                "it fires for rows that replication writes as well, so its work would be done on \
                 both sides",
                "Disable it, or make it an ordinary trigger",
            ));
        } else {
            let when = match side {
                Side::Monolith => "that come back after a switch",
                Side::Service => "that are copied and followed",
            };
            findings.push(Finding::warn(
                Id::TriggerDoesNotFire,
                object,
                format!("it does not fire for rows {when}"),
                "Check that what it does is done on the other side, or not needed",
            ));
        }
    }
    for rule in &facts.rules {
        findings.push(Finding::refuse(
            Id::Rule,
            format!("rule {rule} on {object}"),
            "rules change what is written",
            "Drop it, or turn it into a trigger",
        ));
    }
}

fn access(
    side: Side,
    facts: &SideFacts,
    object: &str,
    table: &TableFacts,
    findings: &mut Vec<Finding>,
) {
    if !table.owned {
        findings.push(Finding::refuse(
            Id::NotOwner,
            object,
            format!(
                "role {} may not do as its owner (fence, publish, copy)",
                facts.role.name
            ),
            grants(side, facts, table),
        ));
    }
    if table.table.row_security {
        findings.push(Finding::refuse(
            Id::RowSecurity,
            object,
            "row security is on: rows could be hidden from the copy",
            Remedy::run(
                "Run",
                [Statement::new(
                    side,
                    format!(
                        "alter table {} disable row level security",
                        sql::table(&table.table.name)
                    ),
                )
                .caution("everybody who may read the table then sees all of its rows")],
            ),
        ));
    }
    for publication in &table.publications {
        findings.push(Finding::refuse(
            Id::PublishedByAnother,
            object,
            format!("publication {publication}, of another extraction, has it as well"),
            "A table moves with one extraction only: take it out of one plan, or cancel the other",
        ));
    }
    for subscription in &table.subscriptions {
        findings.push(Finding::refuse(
            Id::Subscribed,
            object,
            format!("the subscription {subscription} writes it, past every fence"),
            "Replication fires no statement triggers: drop the subscription, or take the table out \
             of it, before the table moves",
        ));
    }
    if side == Side::Service && !facts.prepared && table.empty == Emptiness::HasRows {
        findings.push(Finding::refuse(
            Id::NotEmpty,
            object,
            "it is not empty",
            "Empty it (TRUNCATE; `banyan cancel --empty` does so where an extraction that went back \
             ends), or name another table in the plan: a copy starts from nothing",
        ));
    }
}

/// What makes our role one that may do as the owner, who is named.
fn grants(side: Side, facts: &SideFacts, table: &TableFacts) -> Remedy {
    let (role, owner) = (sql::identifier(&facts.role.name), &table.owner);
    let name = &table.table.name;
    let mut words = "Run as a superuser".to_owned();
    let grants = match (table.not_inherited, facts.server.version_number) {
        // Who has its rights has those of a superuser: it is the table that moves.
        _ if table.owner_is_superuser => {
            words = format!(
                "Its owner {owner} is a superuser, or may become one, whose rights are not to be \
                 given away. Run as a superuser"
            );
            vec![
                format!("alter table {} owner to {role}", sql::table(name)),
                format!("grant {role} to {owner}"),
            ]
        }
        (false, _) => vec![format!("grant {owner} to {role}")],
        // From version 16 on each grant says whether it is inherited, before
        // that the role.
        (true, ..160_000) => vec![format!("alter role {role} inherit")],
        (true, _) => vec![format!("grant {owner} to {role} with inherit true")],
    };
    let at = |sql| Statement::new(side, sql);
    let grants = grants.into_iter().map(|sql| at(sql).by_superuser());
    let usage = table.closed_schema.iter().map(|owner| {
        let schema = sql::identifier(&name.schema);
        at(format!("grant usage on schema {schema} to {role}")).by(owner.as_str())
    });
    Remedy::run(words, grants.chain(usage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{fixtures, relations::Trigger};
    use protocol::finding::Severity;

    fn facts() -> TableFacts {
        fixtures::table(vec![fixtures::column("id", "bigint")])
    }

    #[test]
    fn computed_columns_of_the_whole_row_are_refused_where_the_server_refuses_them() {
        let found = |version, identity, generated| {
            let mut table = facts();
            table.table.replica_identity = identity;
            table.table.columns[0].generated = generated;
            let mut all = fixtures::side();
            all.server.version_number = version;
            let mut found = Vec::new();
            computed_identity(Side::Monolith, &all, "t", &table, &mut found);
            found.len()
        };
        assert_eq!(found(180_000, 'f', true), 1);
        assert_eq!(found(179_999, 'f', true), 0);
        assert_eq!(found(180_000, 'd', true), 0);
        assert_eq!(found(180_000, 'f', false), 0);
    }

    #[test]
    fn each_fact_about_a_table_has_its_finding() {
        type Spoil = fn(&mut TableFacts);
        let trigger = |fires_for_replicas| Trigger {
            name: "audit".into(),
            fires_for_replicas,
        };
        let (ordinary, always) = (trigger(false), trigger(true));
        let cases: &[(Spoil, &str)] = &[
            (|f| f.partition = true, "partition"),
            (|f| f.inherits = true, "inherits"),
            (|f| f.unlogged = true, "unlogged"),
            (|f| f.table.key.clear(), "no primary key"),
            (|f| f.deferrable_key = true, "deferrable"),
            (|f| f.table.replica_identity = 'n', "NOTHING"),
            (
                |f| f.table.replica_identity = 'i',
                "replica identity is an index",
            ),
            (
                |f| f.table.columns[0].type_name = "money".into(),
                "type money",
            ),
            (
                |f| f.table.columns[0].type_name = "regclass".into(),
                "type regclass",
            ),
            (|f| f.rules = vec!["r".into()], "rules change"),
        ];
        for (spoil, words) in cases {
            let mut table = facts();
            spoil(&mut table);
            let mut found = Vec::new();
            shape(Side::Service, "t", &table, &mut found);
            triggers(Side::Service, "t", &table, &mut found);
            assert_eq!(found.len(), 1, "{words}: {found:?}");
            assert_eq!(found[0].severity, Severity::Refuse, "{words}");
            assert!(found[0].problem.contains(words), "{words}: {found:?}");
        }
        for (trigger, severity) in [(ordinary, Severity::Warn), (always, Severity::Refuse)] {
            let mut table = facts();
            table.triggers = vec![trigger];
            let mut found = Vec::new();
            triggers(Side::Service, "t", &table, &mut found);
            assert_eq!((found.len(), found[0].severity), (1, severity));
        }
    }
}
