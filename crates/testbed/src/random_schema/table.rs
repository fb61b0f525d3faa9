//! A table, and the statements that make it.

use super::{
    column::Column,
    dice::Dice,
    key::{self, KeyColumn, SERIAL},
};
use rand::{RngExt, seq::IndexedRandom};

const NAMES: &[&str] = &[
    "orders",
    "Order Lines",
    "user",
    "group",
    "a\"b",
    "x'y",
    "Größe",
    "select",
    "tab.le",
    "items",
    "CamelCase",
    "with space ",
    "100%",
    "q?",
    "$dollar",
    "back\\slash",
];

/// An identifier in quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name, as PostgreSQL stores it.
    pub name: String,
    pub(super) key: Vec<KeyColumn>,
    pub(super) columns: Vec<Column>,
    /// An integer that is unique, deferrable or not; none has it twice.
    pub(super) slot: Option<Slot>,
    /// A stored column that the database computes.
    has_computed: bool,
    /// Whether triggers set when it was written last.
    pub(super) is_stamped: bool,
    pub(super) references: Vec<Reference>,
}

/// How a unique column is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    AtOnce,
    Deferrable,
    Deferred,
}

/// A foreign key: columns of its own, each to one of the other's key.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    /// Its columns.
    pub(super) columns: Vec<(String, &'static str)>,
    /// The table that it leads to.
    pub(super) to: usize,
    /// The names of that table's key.
    pub(super) key: Vec<String>,
    rest: String,
}

impl Reference {
    pub(super) fn draw(
        dice: &mut Dice,
        number: usize,
        target: &Table,
        to: usize,
        deferrable: bool,
    ) -> Self {
        let columns = target
            .key
            .iter()
            .map(|column| (format!("ref{number} {}", column.name), column.type_name))
            .collect();
        let actions = ["", "", " on delete cascade", " on delete set null"];
        let mut rest = String::new();
        if !deferrable {
            rest.push_str(actions.choose(dice).unwrap_or(&""));
            if dice.random_bool(0.5) {
                rest.push_str(" on update cascade");
            }
        }
        if deferrable || dice.random_bool(0.6) {
            rest.push_str(" deferrable initially deferred");
        }
        Self {
            columns,
            to,
            key: target
                .key
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            rest,
        }
    }
}

impl Table {
    pub(super) fn draw(dice: &mut Dice, number: usize) -> Self {
        let columns = (0..dice.random_range(2..9_u32))
            .map(|at| {
                let name = if dice.random_bool(0.3) {
                    format!("Col.\"{at}\"")
                } else {
                    format!("c{at}")
                };
                Column::draw(dice, name)
            })
            .collect();
        let slots = [Slot::AtOnce, Slot::Deferrable, Slot::Deferred];
        let has_slot = dice.random_bool(0.5);
        let slot = slots.choose(dice).copied().filter(|_| has_slot);
        let name = NAMES.choose(dice).unwrap_or(&"t");
        let name = format!("{name}{number}");
        Self {
            name,
            key: key::draw(dice),
            columns,
            slot,
            has_computed: slot.is_some() && dice.random_bool(0.5),
            is_stamped: dice.random_bool(0.4),
            references: Vec::new(),
        }
    }

    pub(super) fn refer(&mut self, reference: Reference) {
        self.references.push(reference);
    }

    /// Its name in a schema, quoted.
    pub fn qualified(&self, schema: &str) -> String {
        format!("{schema}.{}", quoted(&self.name))
    }

    /// Its key's columns, quoted.
    pub fn key_list(&self) -> String {
        let names: Vec<String> = self.key.iter().map(|column| quoted(&column.name)).collect();
        names.join(", ")
    }

    /// All its columns in one order on all sides, quoted.
    pub fn column_list(&self) -> String {
        let mut names: Vec<String> = Shape::of(self)
            .columns
            .into_iter()
            .map(|(name, _)| quoted(&name))
            .collect();
        names.sort();
        names.join(", ")
    }

    pub(super) fn foreign_key(&self, schema: &str, reference: &Reference, target: &str) -> String {
        let list = |names: &mut dyn Iterator<Item = &String>| {
            names
                .map(|name| quoted(name))
                .collect::<Vec<_>>()
                .join(", ")
        };
        format!(
            "alter table {} add foreign key ({}) references {target} ({}){};",
            self.qualified(schema),
            list(&mut reference.columns.iter().map(|(name, _)| name)),
            list(&mut reference.key.iter()),
            reference.rest,
        )
    }
}

/// The columns of a table with their definitions, in some order.
pub(super) struct Shape<'a> {
    table: &'a Table,
    pub(super) columns: Vec<(String, String)>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(table: &'a Table) -> Self {
        let mut columns: Vec<(String, String)> = Vec::new();
        for column in &table.key {
            let definition = match column.rest {
                SERIAL => "serial".to_owned(),
                rest => format!("{} {rest} not null", column.type_name),
            };
            columns.push((column.name.clone(), definition));
        }
        for column in &table.columns {
            let null = if column.not_null { " not null" } else { "" };
            let definition = format!("{}{null}", column.type_name());
            columns.push((column.name.clone(), definition));
        }
        if let Some(slot) = table.slot {
            let unique = match slot {
                Slot::AtOnce => "unique",
                Slot::Deferrable => "unique deferrable",
                Slot::Deferred => "unique deferrable initially deferred",
            };
            columns.push(("slot".to_owned(), format!("bigint {unique}")));
        }
        if table.has_computed {
            let computed = "numeric generated always as (slot * 1.50) stored";
            columns.push(("computed".to_owned(), computed.to_owned()));
        }
        if table.is_stamped {
            columns.push(("updated_at".to_owned(), "timestamptz".to_owned()));
        }
        for reference in &table.references {
            for (name, type_name) in &reference.columns {
                columns.push((name.clone(), (*type_name).to_owned()));
            }
        }
        Self { table, columns }
    }

    pub(super) fn create(&self, schema: &str) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, definition)| format!("{} {definition}", quoted(name)))
            .collect();
        format!(
            "create table {} ({}, primary key ({}));",
            self.table.qualified(schema),
            columns.join(", "),
            self.table.key_list(),
        )
    }
}
