//! Why a statement that mends a finding is left to a person, where several rules
//! have the same reason, or none can know.

use crate::{catalog::text::unqualified, database::sql};
use plan::TableMapping;
use protocol::{Side, finding::Finding};
use std::collections::BTreeSet;

/// A table of the monolith's is in use.
pub(super) const REWRITES: &str = "it rewrites the table, which nobody can read or write meanwhile";

/// Somebody may have wanted another replica identity.
pub(super) const SUBSCRIBERS: &str = "another subscriber of the table may need what it is";

/// Of a foreign key.
pub(super) const UNPROVEN: &str = "nothing proves any more that these rows refer to something";

/// What only the service has may be what is wanted.
pub(super) const REPLACES: &str =
    "it drops what the service has, and puts the monolith's in its place";

/// Both ways work.
pub(super) const IF_NOT_MEANT: &str = "the sides may differ on purpose";

/// It cannot be undone.
pub(super) const IRREVERSIBLE: &str = "it cannot be undone";

/// Two ways lead out.
pub(super) const OTHER_WAY: &str = "it is one way of two";

/// The tables at the service have rows, or are written by now.
const IN_USE: &str =
    "the service's tables are in use: it locks them, and may rewrite or cut values";

/// Leaves to a person what changes the service's tables, where they have rows.
pub(super) fn of_use(findings: &mut [Finding]) {
    let statements = findings
        .iter_mut()
        .flat_map(|finding| &mut finding.remedy.statements);
    for statement in statements.filter(|one| one.for_empty_tables && one.caution.is_none()) {
        statement.caution = Some(IN_USE.to_owned());
    }
}

/// Statements of one finding are run together or not at all.
pub(super) fn of_the_whole(findings: &mut [Finding]) {
    for finding in findings {
        let statements = &mut finding.remedy.statements;
        let caution = statements.iter().find_map(|one| one.caution.clone());
        for statement in statements.iter_mut().filter(|one| one.caution.is_none()) {
            statement.caution.clone_from(&caution);
        }
    }
}

/// What is called so on one side may be called otherwise on the other.
const NAMED_OTHERWISE: &str =
    "it names something in a schema of the other side's: correct that first";

/// Leaves to a person what names a schema that only the other side's tables are in:
/// a function or a type in a definition that was taken from there.
pub(super) fn of_names(findings: &mut [Finding], tables: &[TableMapping]) {
    let schemas = |side: Side| -> BTreeSet<&str> {
        let names = tables.iter().map(|mapping| match side {
            Side::Monolith => &mapping.monolith,
            Side::Service => &mapping.service,
        });
        names.map(|name| name.schema.as_str()).collect()
    };
    let statements = findings
        .iter_mut()
        .flat_map(|finding| &mut finding.remedy.statements);
    for statement in statements.filter(|statement| statement.caution.is_none()) {
        let (own, others) = (
            schemas(statement.database),
            schemas(statement.database.other()),
        );
        let names = |schema: &&str| {
            let quoted = sql::identifier(schema);
            let sql = &statement.sql;
            unqualified(sql, schema) != *sql || unqualified(sql, &quoted) != *sql
        };
        if others.difference(&own).any(names) {
            statement.caution = Some(NAMED_OTHERWISE.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{TableName, TableWrites};
    use protocol::finding::{FindingId, Remedy, Statement};

    #[test]
    fn what_belongs_together_is_left_to_a_person_together() {
        let at_service = |sql: &str| Statement::new(Side::Service, sql);
        let finding = |statements: [Statement; 2]| {
            Finding::warn(
                FindingId::TypesDiffer,
                "o",
                "p",
                Remedy::run("Run", statements),
            )
        };
        let retype = at_service("alter table t alter c type date").for_empty_tables();
        let mut found = [
            finding([at_service("create type a"), retype]),
            finding([at_service("grant a to b"), at_service("grant c to d")]),
        ];
        of_use(&mut found);
        of_the_whole(&mut found);
        for (one, caution) in found.iter().zip([Some(IN_USE), None]) {
            for statement in &one.remedy.statements {
                assert_eq!(statement.caution.as_deref(), caution, "{}", statement.sql);
            }
        }
    }

    #[test]
    fn what_names_the_other_sides_schema_is_left_to_a_person() {
        let name = |schema: &str| TableName {
            schema: schema.into(),
            table: "t".into(),
        };
        let tables = [TableMapping {
            monolith: name("public"),
            service: name("svc"),
            writes: TableWrites::Owner,
            renames: Vec::new(),
        }];
        for (side, sql, left) in [
            (
                Side::Service,
                "alter table \"svc\".\"t\" add check (public.f(x))",
                true,
            ),
            (
                Side::Service,
                "alter table \"svc\".\"t\" add check (\"public\".f(x))",
                true,
            ),
            (
                Side::Service,
                "alter table \"svc\".\"t\" add check (x <> 'public.f')",
                false,
            ),
            (
                Side::Monolith,
                "alter table \"public\".\"t\" add check (svc.f(x))",
                true,
            ),
            (
                Side::Monolith,
                "grant usage on schema \"public\" to banyan",
                false,
            ),
        ] {
            let statements = [Statement::new(side, sql)];
            let remedy = Remedy::run("Run", statements);
            let mut found = [Finding::warn(FindingId::CheckAtMonolith, "o", "p", remedy)];
            of_names(&mut found, &tables);
            let caution = &found[0].remedy.statements[0].caution;
            assert_eq!(caution.is_some(), left, "{sql}");
        }
    }
}
