use super::*;
use crate::{
    catalog::{
        collation::Collation,
        constraints::UniqueIndex,
        definition::{Shape, TypeDefinition},
    },
    check::fixtures,
};
use plan::{ColumnName, ColumnPair, TableName};
use protocol::finding::Severity;

fn column(name: &str) -> Column {
    fixtures::column(name, "text")
}

fn required() -> Column {
    Column {
        not_null: true,
        ..column("more")
    }
}

fn mapping() -> TableMapping {
    let name = TableName {
        schema: "s".into(),
        table: "t".into(),
    };
    let pair = |old: &str, new: &str| ColumnPair {
        monolith: ColumnName::new(old).unwrap(),
        service: ColumnName::new(new).unwrap(),
    };
    let renames = vec![pair("seller_id", "seller")];
    TableMapping {
        monolith: name.clone(),
        service: name,
        renames,
        writes: plan::TableWrites::Owner,
    }
}

fn index(columns: &[&str]) -> UniqueIndex {
    UniqueIndex {
        name: "u".into(),
        columns: columns.iter().map(ToString::to_string).collect(),
        predicate: String::new(),
        expressions: String::new(),
        collations: vec![String::new(); columns.len()],
        nulls_not_distinct: false,
        without_overlaps: false,
        deferrable: false,
        is_constraint: false,
    }
}

fn composite(name: &str, fields: &[&str]) -> Column {
    let field = |name: &&str| crate::catalog::definition::Field {
        name: (*name).into(),
        definition: TypeDefinition::built_in("integer"),
        collation: Collation::default(),
    };
    typed(name, Shape::Composite(fields.iter().map(field).collect()))
}

fn collated(name: &str, version: &str) -> Collation {
    Collation {
        name: name.into(),
        definition: format!("icu {name}"),
        built_in: true,
        equates: false,
        version: version.into(),
    }
}

fn equating(definition: &str, version: &str) -> Collation {
    Collation {
        name: "own".into(),
        built_in: false,
        equates: true,
        ..collated(definition, version)
    }
}

fn labelled(name: &str, labels: &[&str]) -> Column {
    let labels = labels.iter().map(ToString::to_string).collect();
    typed(name, Shape::Enum(labels))
}

fn typed(name: &str, shape: Shape) -> Column {
    Column {
        definition: TypeDefinition {
            name: name.into(),
            shape,
        },
        type_name: name.into(),
        ..column("state")
    }
}

#[test]
fn each_way_not_to_fit_has_its_finding() {
    type Spoil = fn(&mut TableFacts, &mut TableFacts);
    use Severity::{Refuse, Warn};
    let cases: &[(Spoil, Severity, &str)] = &[
        (
            |_, new| drop(new.table.columns.pop()),
            Refuse,
            "no column for it",
        ),
        (
            |_, new| new.table.columns[1] = fixtures::column("seller", "integer"),
            Refuse,
            "type is text",
        ),
        (
            |_, new| new.table.columns[1] = fixtures::column("seller", "character varying(9)"),
            Warn,
            "type",
        ),
        (
            |_, new| new.table.columns[1].generated = true,
            Refuse,
            "service computes",
        ),
        (
            |old, _| old.table.columns[1].generated = true,
            Refuse,
            "monolith computes",
        ),
        (
            |_, new| new.table.columns[1].not_null = true,
            Refuse,
            "NOT NULL",
        ),
        (
            |old, _| old.table.columns[1].not_null = true,
            Warn,
            "may be null",
        ),
        (
            |old, _| old.table.columns[0].sequence = Some("s".into()),
            Refuse,
            "this one has none",
        ),
        (
            |_, new| new.table.columns[0].sequence = Some("s".into()),
            Warn,
            "does not",
        ),
        (
            |_, new| new.table.columns.push(column("more")),
            Warn,
            "does not go back",
        ),
        (
            |_, new| new.table.columns.push(required()),
            Refuse,
            "without a default",
        ),
        (
            |old, _| old.table.columns.push(column("seller")),
            Refuse,
            "two columns",
        ),
        (
            |_, new| new.table.key = vec!["seller".into()],
            Refuse,
            "it is (seller)",
        ),
        (
            |_, new| new.unique.push(index(&["id"])),
            Warn,
            "the monolith has none",
        ),
        (
            |old, _| old.unique.push(index(&["id"])),
            Warn,
            "the service has none",
        ),
    ];
    for (spoil, severity, words) in cases {
        let mut old = fixtures::table(vec![column("id"), column("seller_id")]);
        let mut new = fixtures::table(vec![column("id"), column("seller")]);
        spoil(&mut old, &mut new);
        let mut found = Vec::new();
        pair(&mapping(), &old, &new, &mut found);
        assert_eq!(found.len(), 1, "{words}: {found:?}");
        assert_eq!(found[0].severity, *severity, "{words}");
        assert!(found[0].problem.contains(words), "{words}: {found:?}");
    }
}

#[test]
fn what_fits_has_none() {
    let mut old = fixtures::table(vec![column("id"), column("seller_id")]);
    let mut new = fixtures::table(vec![column("seller"), column("id")]);
    old.unique.push(index(&["seller_id", "id"]));
    new.unique.push(index(&["id", "seller"]));
    old.table
        .columns
        .push(labelled("public.state", &["a", "b"]));
    new.table
        .columns
        .push(labelled("contracts.state", &["a", "b"]));
    let mut found = Vec::new();
    pair(&mapping(), &old, &new, &mut found);
    assert_eq!(found, []);
}

#[test]
fn a_rename_of_nothing_is_refused() {
    let old = fixtures::table(vec![column("id")]);
    let new = fixtures::table(vec![column("id")]);
    let mut found = Vec::new();
    pair(&mapping(), &old, &new, &mut found);
    assert_eq!(found.len(), 1);
    assert!(found[0].object.contains("seller_id"));
}

/// What spoils two tables, and what is said of it.
type Mended = (
    fn(&mut TableFacts, &mut TableFacts),
    Severity,
    &'static str,
    &'static str,
);

fn each_is_mended(cases: &[Mended]) {
    for (spoil, severity, problem, remedy) in cases {
        let mut old = fixtures::table(vec![column("id"), column("seller_id")]);
        let mut new = fixtures::table(vec![column("id"), column("seller")]);
        spoil(&mut old, &mut new);
        let mut found = Vec::new();
        pair(&mapping(), &old, &new, &mut found);
        assert_eq!(found.len(), 1, "{problem}: {found:?}");
        assert_eq!(found[0].severity, *severity, "{problem}");
        assert!(found[0].problem.contains(problem), "{problem}: {found:?}");
        let said = found[0].remedy.to_string();
        assert!(said.contains(remedy), "{remedy}: {found:?}");
    }
}

/// Each difference of definitions, and the statement that mends it.
#[test]
fn definitions_are_compared_down_to_their_parts() {
    use Severity::{Refuse, Warn};
    let cases: &[Mended] = &[
        (
            |old, new| {
                old.table
                    .columns
                    .push(composite("public.pair", &["a", "b"]));
                new.table
                    .columns
                    .push(composite("public.pair", &["b", "a"]));
            },
            Refuse,
            "field 1: `a` in the monolith, `b` in the service",
            "create type public.pair as (\"a\" integer, \"b\" integer)",
        ),
        (
            |old, new| {
                old.table.columns.push(labelled("public.m", &["x", "y"]));
                new.table.columns.push(labelled("svc.m", &["x"]));
            },
            Refuse,
            "its labels: `y` in the monolith",
            "alter type svc.m add value 'y'",
        ),
        (
            |old, new| {
                old.table.columns.push(labelled("public.m", &["x", "y"]));
                new.table.columns.push(labelled("svc.m", &["y", "x"]));
            },
            Refuse,
            "it sorts differently",
            "create type svc.m as enum ('x', 'y')",
        ),
        (
            |_, new| new.table.columns[1] = fixtures::column("seller", "integer"),
            Refuse,
            "type is text",
            "alter column \"seller\" type text using",
        ),
        (
            |old, new| {
                for (facts, text) in [(old, "(seller_id || 'x')"), (new, "(seller || 'y')")] {
                    facts.table.columns.push(Column {
                        generated: true,
                        expression: text.into(),
                        ..column("both")
                    });
                }
            },
            Refuse,
            "it is computed as (seller || 'y')",
            "generated always as ((\"seller\" || 'x')) stored",
        ),
        (
            |old, _| old.table.columns[1].identity = crate::catalog::Identity::Always,
            Refuse,
            "GENERATED ALWAYS",
            "alter table \"s\".\"t\" alter column \"seller_id\" set generated by default",
        ),
        (
            |old, _| old.table.columns[1].expression = "'x'".into(),
            Warn,
            "no default",
            "set default 'x'",
        ),
    ];
    each_is_mended(cases);
}

#[test]
fn collations_are_compared_by_what_they_do() {
    use Severity::{Refuse, Warn};
    let cases: &[Mended] = &[
        (
            |old, _| old.table.columns[1].collation = collated("C", ""),
            Warn,
            "its collation is the database's, in the monolith C",
            "alter column \"seller\" type text collate \"C\"",
        ),
        (
            |_, new| new.table.columns[1].collation = collated("C", ""),
            Warn,
            "its collation is C, in the monolith the database's",
            "alter column \"seller\" type text collate \"default\"",
        ),
        (
            |old, _| old.table.columns[1].collation = equating("level1", ""),
            Refuse,
            "other values are equal",
            "collate",
        ),
        // Both are nondeterministic, and of one name.
        (
            |old, new| {
                old.table.columns[1].collation = equating("level1", "");
                new.table.columns[1].collation = equating("level2", "");
            },
            Refuse,
            "other values are equal",
            "collate",
        ),
        (
            |old, new| {
                old.table.columns[1].collation = equating("level1", "72.1");
                new.table.columns[1].collation = equating("level1", "67.1");
            },
            Warn,
            "is of version 67.1, in the monolith of 72.1: other values may be equal",
            "the same version",
        ),
        (
            |old, new| {
                for (facts, collation) in [(old, Collation::default()), (new, collated("C", ""))] {
                    let mut pair = composite("public.pair", &["a"]);
                    if let Shape::Composite(fields) = &mut pair.definition.shape {
                        fields[0].collation = collation;
                    }
                    facts.table.columns.push(pair);
                }
            },
            Warn,
            "it sorts differently in s.t.state: field 1 (a), its collation: the database's in the \
             monolith, C in the service",
            "create type public.pair as (\"a\" integer)",
        ),
    ];
    each_is_mended(cases);
}

/// What is computed may name columns that the plan renames, and functions that
/// both sides have in the monolith's schema.
#[test]
fn what_both_compute_alike_is_fine() {
    let mut old = fixtures::table(vec![column("id"), column("seller_id")]);
    let mut new = fixtures::table(vec![column("id"), column("seller")]);
    for (facts, text) in [
        (&mut old, "lower(slug(seller_id))"),
        (&mut new, "lower(s.slug(seller))"),
    ] {
        facts.table.columns.push(Column {
            generated: true,
            expression: text.into(),
            ..column("both")
        });
    }
    let mut found = Vec::new();
    pair(&mapping(), &old, &new, &mut found);
    assert_eq!(found, []);
}

#[test]
fn unique_indexes_are_compared_whole() {
    type Spoil = fn(&mut UniqueIndex);
    use protocol::finding::FindingId as Id;
    let cases: &[(Spoil, &[Id])] = &[
        (|_| {}, &[]),
        (|i| i.deferrable = true, &[Id::DeferrabilityDiffers]),
        (
            |i| i.nulls_not_distinct = true,
            &[Id::UniqueAtService, Id::UniqueAtMonolith],
        ),
        (
            |i| i.without_overlaps = true,
            &[Id::UniqueAtService, Id::UniqueAtMonolith],
        ),
        (
            |i| i.predicate = "(id > 3)".into(),
            &[Id::UniqueAtService, Id::UniqueAtMonolith],
        ),
        (
            |i| i.collations[0] = "C".into(),
            &[Id::UniqueAtService, Id::UniqueAtMonolith],
        ),
    ];
    for (spoil, ids) in cases {
        let mut old = fixtures::table(vec![column("id"), column("seller_id")]);
        let mut new = fixtures::table(vec![column("id"), column("seller")]);
        old.unique.push(index(&["seller_id"]));
        let mut twin = index(&["seller"]);
        spoil(&mut twin);
        new.unique.push(twin);
        let mut found = Vec::new();
        pair(&mapping(), &old, &new, &mut found);
        assert_eq!(
            found.iter().map(|one| one.id).collect::<Vec<_>>(),
            *ids,
            "{found:?}"
        );
    }
}
