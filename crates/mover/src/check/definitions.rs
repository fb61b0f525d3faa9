//! Rules about how two columns are defined: types down to their parts, what is
//! computed, defaults, identities, collations; and the SQL that mends it.

use super::cautions::IF_NOT_MEANT;
use crate::{
    catalog::{
        Column, Identity, Table,
        collation::Collation,
        constraints::common_names,
        definition::{Effect, Shape, TypeDefinition},
        is_text,
        labels::{self, MissingLabels},
        text::{unqualified, without_text_casts},
    },
    database::sql,
};
use plan::{TableMapping, TableName};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};
use std::collections::BTreeSet;

/// Rules about a column that both sides store.
pub(super) fn stored(
    mapping: &TableMapping,
    column: &Column,
    twin: &Column,
    in_key: bool,
    findings: &mut Vec<Finding>,
) {
    types(mapping, column, twin, findings);
    if !in_key {
        identities(mapping, column, twin, findings);
    }
    defaults(mapping, column, twin, findings);
    collations(mapping, column, twin, findings);
}

/// Rules about a column that both sides compute.
pub(super) fn computed(
    mapping: &TableMapping,
    column: &Column,
    twin: &Column,
    texts: &Texts<'_>,
    findings: &mut Vec<Finding>,
) {
    let (old, new) = expressions(mapping, column, twin);
    // What both sides have in the monolith's schema is not in that of the service's
    // table, where it is printed with it.
    if texts.same(mapping, &old, &new) {
        return;
    }
    let (table, name) = (sql::table(&mapping.service), sql::identifier(&twin.name));
    findings.push(Finding::refuse(
        Id::ExpressionsDiffer,
        format!("{}.{}", mapping.service, twin.name),
        format!(
            "it is computed as {}, in the monolith as {}: after a switch its values are others",
            twin.expression, column.expression
        ),
        Remedy::run(
            "Its indexes go with it (`pg_indexes` has their definitions). Run at the service",
            [at_service(format!(
                "alter table {table} drop column {name}, add column {name} {} generated always as \
                 ({old}) stored",
                twin.type_name
            ))
            .caution("the indexes of the column go with it")],
        ),
    ));
}

/// The columns of a pair of tables that hold text, by the service's names.
pub(super) struct Texts<'a>(BTreeSet<&'a str>);

impl<'a> Texts<'a> {
    pub(super) fn of(mapping: &'a TableMapping, old: &'a Table, new: &'a Table) -> Self {
        let texts = |table: &'a Table| {
            let columns = table.columns.iter();
            columns.filter(|column| is_text(&column.type_name))
        };
        let there: BTreeSet<&str> = texts(new).map(|column| column.name.as_str()).collect();
        let here = texts(old).map(|column| mapping.service_column(&column.name));
        Self(here.filter(|name| there.contains(name)).collect())
    }

    /// Whether SQL of both sides, with the service's names, means the same: but for
    /// casts of text, and for the schemas of the pair.
    pub(super) fn same(&self, mapping: &TableMapping, old: &str, new: &str) -> bool {
        let is_text = |name: &str| self.0.contains(name.trim_matches('"'));
        let plain = |text: &str| without_text_casts(text, is_text);
        plain(old) == plain(new) || plain(old) == plain(&without_schemas(mapping, new.to_owned()))
    }
}

/// What both sides compute or set by default, with the service's names.
fn expressions(mapping: &TableMapping, column: &Column, twin: &Column) -> (String, String) {
    (
        common_names(mapping, Side::Monolith, &column.expression),
        common_names(mapping, Side::Service, &twin.expression),
    )
}

/// The text without the schemas of the pair, as they may be spelled.
fn without_schemas(mapping: &TableMapping, text: String) -> String {
    let schemas = [&mapping.monolith.schema, &mapping.service.schema];
    schemas.into_iter().fold(text, |text, schema| {
        unqualified(&unqualified(&text, schema), &sql::identifier(schema))
    })
}

fn types(mapping: &TableMapping, column: &Column, twin: &Column, findings: &mut Vec<Finding>) {
    let object = format!("{}.{}", mapping.monolith, column.name);
    let there = format!("{}.{}", mapping.service, twin.name);
    let remedy = || mend(&mapping.service, twin, column);
    let both = format!(
        "its type is {}, that of {there} is {}",
        column.type_name, twin.type_name
    );
    if let Some(difference) = column.unfitness(twin) {
        let problem = if difference.part.is_empty() {
            both
        } else {
            format!("{both}: {difference}")
        };
        findings.push(Finding::refuse(Id::TypesDiffer, object, problem, remedy()));
        return;
    }
    let differences = column.definition.differences(&twin.definition);
    let named = |effect| differences.iter().find(|one| one.effect == effect);
    if let Some(difference) = named(Effect::Order) {
        let problem = format!("it sorts differently in {there}: {difference}");
        findings.push(Finding::refuse(
            Id::EnumOrderDiffers,
            object.as_str(),
            problem,
            remedy(),
        ));
    }
    if let Some(difference) = named(Effect::Equality) {
        let problem = format!("other values are equal in {there}: {difference}");
        findings.push(Finding::refuse(
            Id::CollationsDiffer,
            object.as_str(),
            problem,
            remedy(),
        ));
    } else if let Some(difference) = named(Effect::Collation) {
        let problem = format!("it sorts differently in {there}: {difference}");
        findings.push(Finding::warn(
            Id::CollationsDiffer,
            object.as_str(),
            problem,
            remedy(),
        ));
    }
    if let Some(difference) = named(Effect::Rules) {
        findings.push(Finding::warn(
            Id::TypesDifferHarmlessly,
            object.as_str(),
            format!("{both}: {difference}; what one side refuses stops the stream"),
            remedy(),
        ));
    }
    // Texts of different lengths.
    if named(Effect::Values).is_some() {
        findings.push(Finding::warn(
            Id::TypesDifferHarmlessly,
            object,
            both,
            "Make sure that no side accepts values that the other refuses",
        ));
    }
}

fn identities(mapping: &TableMapping, column: &Column, twin: &Column, findings: &mut Vec<Finding>) {
    let always = |column: &Column| column.identity == Identity::Always;
    if always(column) == always(twin) {
        return;
    }
    let (side, table, name) = if always(column) {
        (Side::Monolith, &mapping.monolith, &column.name)
    } else {
        (Side::Service, &mapping.service, &twin.name)
    };
    findings.push(Finding::refuse(
        Id::IdentityAlways,
        format!("{table}.{name}"),
        format!(
            "it is GENERATED ALWAYS AS IDENTITY, the {}'s is not: no update may set it, so a \
             change of it there would not be carried over",
            side.other()
        ),
        Remedy::run(
            format!("Run in the {side}'s database"),
            [Statement::new(
                side,
                format!(
                    "alter table {} alter column {} set generated by default",
                    sql::table(table),
                    sql::identifier(name)
                ),
            )],
        ),
    ));
}

fn defaults(mapping: &TableMapping, column: &Column, twin: &Column, findings: &mut Vec<Finding>) {
    let numbered = |column: &Column| column.sequence.is_some() || column.identity != Identity::No;
    if column.expression.is_empty() || numbered(column) || numbered(twin) {
        return;
    }
    let (old, new) = expressions(mapping, column, twin);
    if old == new {
        return;
    }
    let has = if new.is_empty() {
        "it has no default".to_owned()
    } else {
        format!("its default is {new}")
    };
    findings.push(Finding::warn(
        Id::DefaultsDiffer,
        format!("{}.{}", mapping.service, twin.name),
        format!("{has}, the monolith's is {old}"),
        Remedy::run(
            "If that is not meant, run at the service",
            [at_service(format!(
                "alter table {} alter column {} set default {}",
                sql::table(&mapping.service),
                sql::identifier(&twin.name),
                literal(&old).unwrap_or(&old)
            ))
            .caution(IF_NOT_MEANT)],
        ),
    ));
}

fn collations(mapping: &TableMapping, column: &Column, twin: &Column, findings: &mut Vec<Finding>) {
    let (wanted, has) = (&column.collation, &twin.collation);
    let object = format!("{}.{}", mapping.service, twin.name);
    if wanted.is_like(has) {
        // A newer library may tell apart what an older one did not.
        if wanted.equates && wanted.version != has.version {
            findings.push(Finding::warn(
                Id::CollationsDiffer,
                object,
                format!(
                    "its collation {has} is of version {}, in the monolith of {}: other values may \
                     be equal",
                    has.version, wanted.version
                ),
                "Give both servers the same version of the library",
            ));
        }
        return;
    }
    let problem = format!("its collation is {has}, in the monolith {wanted}");
    let name = if wanted.is_usual() {
        Some("default")
    } else {
        wanted.built_in.then_some(wanted.name.as_str())
    };
    let remedy = match name {
        Some(name) => Remedy::run(
            AT_SERVICE,
            [at_service(format!(
                "alter table {} alter column {} type {} collate {}",
                sql::table(&mapping.service),
                sql::identifier(&twin.name),
                twin.type_name,
                sql::identifier(name)
            ))
            .for_empty_tables()],
        ),
        None => {
            "Give both the same: `create collation` with the monolith's definition, then alter \
                 table ... alter column ... type ... collate ..."
                .into()
        }
    };
    findings.push(if wanted.equates || has.equates {
        let problem = format!("{problem}: other values are equal there");
        Finding::refuse(Id::CollationsDiffer, object, problem, remedy)
    } else {
        Finding::warn(Id::CollationsDiffer, object, problem, remedy)
    });
}

/// Words before statements for the service.
const AT_SERVICE: &str = "Run at the service";

fn at_service(sql: String) -> Statement {
    Statement::new(Side::Service, sql)
}

/// What makes the service's column one of the monolith's type. Its table is
/// empty before the copy, so that a type may be made again.
fn mend(table: &TableName, twin: &Column, column: &Column) -> Remedy {
    let (here, name) = (sql::table(table), sql::identifier(&twin.name));
    let wanted = &column.definition;
    for (from, to, side, words) in [
        (wanted, &twin.definition, Side::Service, AT_SERVICE),
        (
            &twin.definition,
            wanted,
            Side::Monolith,
            "Run in the monolith's database",
        ),
    ] {
        let lacking = labels::missing(from, to).unwrap_or_default();
        if !lacking.is_empty() {
            let all = lacking.iter().flat_map(MissingLabels::statements);
            return Remedy::run(words, all.map(|sql| Statement::new(side, sql)));
        }
    }
    // A default of the type before has no place in the new one.
    let value = literal(&twin.expression).filter(|_| twin.identity == Identity::No);
    let retype = |type_name: &str| {
        let (before, after) = match value {
            Some(value) => (
                format!("alter column {name} drop default, "),
                format!(", alter column {name} set default {value}"),
            ),
            None => (String::new(), String::new()),
        };
        format!(
            "alter table {here} {before}alter column {name} type {type_name} using \
             {name}::text::{type_name}{after}"
        )
    };
    if wanted.shape == Shape::BuiltIn {
        let statement = at_service(retype(&wanted.name)).for_empty_tables();
        return Remedy::run(AT_SERVICE, [statement]);
    }
    if twin.definition.shape == Shape::BuiltIn {
        return "Give both the same type".into();
    }
    // A name in quotes may have anything in it; it is left to the reader.
    let bare = twin
        .type_name
        .rsplit('.')
        .next()
        .filter(|name| !name.contains('"'));
    let (Some(bare), Some(create)) = (bare, create(&twin.type_name, wanted)) else {
        return "Give both the same definition".into();
    };
    let rename = format!("alter type {} rename to {bare}_before", twin.type_name);
    let statements = [rename, create, retype(&twin.type_name)];
    let statements = statements.map(|sql| at_service(sql).for_empty_tables());
    Remedy::run(AT_SERVICE, statements)
}

/// A default that is one literal of a type, without the type.
fn literal(expression: &str) -> Option<&str> {
    let end = expression.strip_prefix('\'')?.find('\'')? + 2;
    let (literal, cast) = expression.split_at(end);
    let is_type = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | ' ' | ':');
    (cast.starts_with("::") && cast.chars().all(is_type)).then_some(literal)
}

/// The statement that makes a type like this one, where its parts are
/// PostgreSQL's own: others may be called differently there.
fn create(name: &str, wanted: &TypeDefinition) -> Option<String> {
    let own = |part: &TypeDefinition| (part.shape == Shape::BuiltIn).then(|| part.name.clone());
    match &wanted.shape {
        Shape::Enum(labels) => {
            let labels: Vec<String> = labels.iter().map(|label| sql::literal(label)).collect();
            Some(format!(
                "create type {name} as enum ({})",
                labels.join(", ")
            ))
        }
        Shape::Composite(fields) => {
            let field = |one: &crate::catalog::definition::Field| {
                Some(format!(
                    "{} {}{}",
                    sql::identifier(&one.name),
                    own(&one.definition)?,
                    collate(&one.collation)?
                ))
            };
            let fields: Option<Vec<String>> = fields.iter().map(field).collect();
            Some(format!("create type {name} as ({})", fields?.join(", ")))
        }
        Shape::Domain(domain) => {
            let not_null = if domain.not_null { " not null" } else { "" };
            let checks = domain.checks.join(" ");
            Some(format!(
                "create domain {name} as {}{}{not_null} {checks}",
                own(&domain.base)?,
                collate(&domain.collation)?
            ))
        }
        _ => None,
    }
}

/// What gives a part of a type its collation, where the service has it as well.
fn collate(collation: &Collation) -> Option<String> {
    if collation.is_usual() {
        return Some(String::new());
    }
    let name = sql::identifier(&collation.name);
    collation.built_in.then(|| format!(" collate {name}"))
}
