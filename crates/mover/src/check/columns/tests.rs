use super::*;
use crate::check::fixtures;
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
            "no column `seller`",
        ),
        (
            |_, new| new.table.columns[1].type_name = "integer".into(),
            Refuse,
            "type is text",
        ),
        (
            |_, new| new.table.columns[1].type_name = "character varying(9)".into(),
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
    let label = |name: &str| Column {
        type_name: name.into(),
        labels: vec!["a".into(), "b".into()],
        ..column("state")
    };
    old.table.columns.push(label("public.state"));
    new.table.columns.push(label("contracts.state"));
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
