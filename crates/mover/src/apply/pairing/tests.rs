//! Which changes of a table stop its stream.

use super::*;
use crate::catalog::{Identity, collation::Collation, definition::TypeDefinition};
use plan::{ColumnName, TableName};

fn name(table: &str) -> TableName {
    TableName {
        schema: "public".to_owned(),
        table: table.to_owned(),
    }
}

fn mapping() -> TableMapping {
    TableMapping {
        monolith: name("old"),
        service: name("new"),
        renames: Vec::new(),
        writes: plan::TableWrites::default(),
    }
}

/// Columns as `number name type`; a `!` at the end takes no null.
fn table(at: &str, columns: &[&str]) -> Described {
    let mut table = Table {
        name: name(at),
        kind: 'r',
        replica_identity: 'd',
        row_security: false,
        columns: Vec::new(),
        key: vec!["id".to_owned()],
    };
    let mut shape = Shape {
        oid: 1,
        storage: "1".to_owned(),
        columns: std::collections::BTreeMap::new(),
    };
    for line in columns {
        let not_null = line.ends_with('!');
        let mut words = line.trim_end_matches('!').split(' ');
        let number = words.next().unwrap().parse().unwrap();
        let (name, type_name) = (words.next().unwrap(), words.next().unwrap());
        table.columns.push(Column {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            not_null,
            generated: false,
            has_default: false,
            sequence: None,
            definition: TypeDefinition::built_in(type_name),
            collation: Collation::default(),
            expression: String::new(),
            identity: Identity::No,
        });
        let identity = ColumnIdentity {
            number,
            type_name: type_name.to_owned(),
        };
        shape.columns.insert(name.to_owned(), identity);
    }
    Described {
        table,
        shape,
        kept: None,
    }
}

/// What both sides were made of, and what they are made of now.
fn paired(
    direction: Direction,
    before: (&[&str], &[&str]),
    now: (&[&str], &[&str]),
) -> Result<Pair, Unpaired> {
    let (old_source, old_target) = (table("old", before.0), table("new", before.1));
    let (mut source, mut target) = (table("old", now.0), table("new", now.1));
    let moving: Vec<&str> = old_source
        .shape
        .columns
        .keys()
        .filter(|name| old_target.shape.columns.contains_key(*name))
        .map(String::as_str)
        .collect();
    source.kept = Some(Kept::of(&old_source.shape, &moving));
    target.kept = Some(Kept::of(&old_target.shape, &moving));
    pair(direction, &mapping(), &source, &target)
}

const BOTH: &[&str] = &["1 id bigint", "2 a text"];

fn flows(direction: Direction, now: (&[&str], &[&str])) -> Vec<String> {
    let pair = paired(direction, (BOTH, BOTH), now).unwrap();
    let names = pair.moved.columns.into_iter().map(|one| one.monolith);
    names.collect()
}

fn stops(direction: Direction, now: (&[&str], &[&str])) -> Unpaired {
    paired(direction, (BOTH, BOTH), now).unwrap_err()
}

#[test]
fn what_both_have_flows() {
    for direction in Direction::BOTH {
        assert_eq!(flows(direction, (BOTH, BOTH)), ["id", "a"]);
        let more: &[&str] = &["1 id bigint", "2 a text", "3 b text"];
        assert_eq!(flows(direction, (more, more)), ["id", "a", "b"]);
        let other: &[&str] = &["1 id bigint", "5 b text", "2 a text"];
        assert_eq!(flows(direction, (more, other)), ["id", "a", "b"]);
        let less: &[&str] = &["1 id bigint"];
        assert_eq!(flows(direction, (less, less)), ["id"]);
        let again: &[&str] = &["1 id bigint", "3 a text"];
        assert_eq!(flows(direction, (again, again)), ["id", "a"]);
        // Only there, and it can do without.
        assert_eq!(flows(direction, (BOTH, more)), ["id", "a"]);
    }
}

#[test]
fn what_only_one_has_stops() {
    let (a, there) = ("a".to_owned(), "a".to_owned());
    for direction in Direction::BOTH {
        let more: &[&str] = &["1 id bigint", "2 a text", "3 b text"];
        let missing = Unpaired::Missing {
            column: "b".to_owned(),
            there: "b".to_owned(),
        };
        assert_eq!(stops(direction, (more, BOTH)), missing);
        let less: &[&str] = &["1 id bigint"];
        let dropped = Unpaired::Dropped {
            column: a.clone(),
            there: there.clone(),
        };
        assert_eq!(stops(direction, (less, BOTH)), dropped);
        let missing = Unpaired::Missing {
            column: a.clone(),
            there: there.clone(),
        };
        assert_eq!(stops(direction, (BOTH, less)), missing);
        let types: &[&str] = &["1 id bigint", "2 a integer"];
        let unfit = Unpaired::Types {
            column: a.clone(),
            there: there.clone(),
        };
        assert_eq!(stops(direction, (types, BOTH)), unfit);
        let renamed: &[&str] = &["1 id bigint", "2 c text"];
        let told = Unpaired::Renamed {
            before: a.clone(),
            column: "c".to_owned(),
            there: there.clone(),
            then: "c".to_owned(),
        };
        assert_eq!(stops(direction, (renamed, BOTH)), told);
        assert_eq!(flows(direction, (renamed, renamed)), ["id", "c"]);
        let again: &[&str] = &["1 id bigint", "3 a text"];
        let told = Unpaired::Again {
            side: direction.source(),
            column: a.clone(),
            there: there.clone(),
        };
        assert_eq!(stops(direction, (again, BOTH)), told);
        let needs: &[&str] = &["1 id bigint", "2 a text", "3 b text!"];
        let value = Unpaired::NeedsValue {
            there: "b".to_owned(),
        };
        assert_eq!(stops(direction, (BOTH, needs)), value);
    }
}

#[test]
fn what_the_service_had_for_itself_stays_there() {
    let own: &[&str] = &["1 id bigint", "2 a text", "3 own text"];
    let pair = paired(Direction::Reverse, (own, BOTH), (own, BOTH)).unwrap();
    assert!(pair.ignored.contains("own"));
    let told = paired(Direction::Forward, (own, BOTH), (own, BOTH)).unwrap_err();
    assert!(matches!(told, Unpaired::Missing { .. }), "{told:?}");
}

#[test]
fn the_remedy_is_a_statement() {
    let mut source = table("old", &["1 id bigint", "2 a text", "3 b text"]);
    let target = table("new", BOTH);
    source.kept = Some(Kept::of(&table("old", BOTH).shape, &["id", "a"]));
    let mapping = TableMapping {
        renames: vec![plan::ColumnPair {
            monolith: ColumnName::new("b").unwrap(),
            service: ColumnName::new("bee").unwrap(),
        }],
        ..mapping()
    };
    let told = pair(Direction::Forward, &mapping, &source, &target).unwrap_err();
    let error = told
        .into_error(
            Direction::Forward,
            &source.table,
            &target.table,
            "text default 'x'",
        )
        .to_string();
    let statement = r#"alter table "public"."new" add column "bee" text default 'x'"#;
    assert!(error.contains(statement), "{error}");
}
