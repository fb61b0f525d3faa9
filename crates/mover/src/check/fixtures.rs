//! Facts that no rule objects to, for tests of the rules.

use super::relations::{Emptiness, TableFacts};
use crate::catalog::{Column, Table};
use plan::TableName;

/// A nullable column of a type.
pub(super) fn column(name: &str, type_name: &str) -> Column {
    Column {
        name: name.into(),
        type_name: type_name.into(),
        not_null: false,
        generated: false,
        has_default: false,
        sequence: None,
        labels: Vec::new(),
    }
}

/// The table `s.t` with these columns, its key `id`.
pub(super) fn table(columns: Vec<Column>) -> TableFacts {
    TableFacts {
        table: Table {
            name: TableName {
                schema: "s".into(),
                table: "t".into(),
            },
            kind: 'r',
            replica_identity: 'd',
            row_security: false,
            columns,
            key: vec!["id".into()],
        },
        unlogged: false,
        partition: false,
        inherits: false,
        deferrable_key: false,
        owned: true,
        empty: Emptiness::Empty,
        rules: Vec::new(),
        triggers: Vec::new(),
        unique: Vec::new(),
        publications: Vec::new(),
        subscriptions: Vec::new(),
    }
}
