//! Facts that no rule objects to, for tests of the rules.

use super::{
    facts::{Capacity, OwnSlot, RoleFacts, ServerFacts, SideFacts},
    relations::{BoundaryFacts, Emptiness, TableFacts},
    settings::Retention,
    shared_facts::SharedFacts,
    staying_facts::StayingFacts,
};
use crate::catalog::{Column, Identity, Table, collation::Collation, definition::TypeDefinition};
use plan::TableName;

/// A nullable column of a type.
pub(super) fn column(name: &str, type_name: &str) -> Column {
    Column {
        name: name.into(),
        type_name: type_name.into(),
        definition: TypeDefinition::built_in(type_name),
        collation: Collation::default(),
        not_null: false,
        generated: false,
        has_default: false,
        expression: String::new(),
        identity: Identity::No,
        sequence: None,
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
        not_inherited: false,
        empty: Emptiness::Empty,
        rules: Vec::new(),
        triggers: Vec::new(),
        unique: Vec::new(),
        checks: Vec::new(),
        exclusions: Vec::new(),
        owner: "app".into(),
        owner_is_superuser: false,
        closed_schema: None,
        oid_columns: Vec::new(),
        publications: Vec::new(),
        subscriptions: Vec::new(),
    }
}

/// A side with nothing in the way, and no tables.
pub(super) fn side() -> SideFacts {
    let places = Capacity { most: 10, used: 0 };
    SideFacts {
        server: ServerFacts {
            version_number: 150_004,
            version: "15.4".into(),
            wal_level: "logical".into(),
            encoding: "UTF8".into(),
            collation: "libc C".into(),
            database: "shop".into(),
            identity: "1".into(),
            is_standby: false,
            slots: places,
            own_slot: OwnSlot::None,
            senders: places,
            origins: places,
            prepared_transactions: 0,
            hidden: Vec::new(),
            replication_refused: None,
        },
        role: RoleFacts {
            name: "mover".into(),
            may_replicate: true,
            may_create: true,
            may_be_replica: true,
            functions_missing: Vec::new(),
        },
        other_sessions: Vec::new(),
        prepared: false,
        split: false,
        tables: Vec::new(),
        functions: Vec::new(),
        boundary: BoundaryFacts::default(),
        shared: SharedFacts::default(),
        staying: StayingFacts::default(),
        sequences: Vec::new(),
        publication: None,
        retention: Retention::default(),
    }
}
