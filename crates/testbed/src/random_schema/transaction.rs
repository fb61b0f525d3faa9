//! Transactions as applications have them, and some that only few have.

use super::{
    LEDGER, Schema, Table,
    dice::Dice,
    key::Fresh,
    table::{Slot, quoted},
};
use rand::{RngExt, seq::IndexedRandom};
use std::sync::Arc;
use uuid::Uuid;

/// A part of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A statement in a savepoint of its own: an error undoes it alone.
    Try {
        /// The statement.
        statement: String,
        /// Whether no other row can have the key that it inserts.
        owns_key: bool,
    },
    /// A statement that is done and undone.
    Undone(String),
}

/// How a transaction ends, when nothing fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Commit,
    Rollback,
    /// In two phases.
    Prepared,
}

/// A transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Its row in the ledger. None: it writes nothing.
    pub(super) id: Option<String>,
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

/// How many rows a transaction has whose changes do not fit into memory.
const MANY: u32 = 200;

/// Draws transactions for one writer.
pub(super) struct Drawer {
    pub(super) schema: Arc<Schema>,
    /// In which schema of the database.
    pub(super) place: &'static str,
    /// Whether it does what only few do: truncations, two phases.
    pub(super) rare: bool,
    pub(super) dice: Dice,
    /// Starts what it writes, and no other.
    pub(super) writer: u32,
    pub(super) number: u32,
}

impl Drawer {
    pub(super) fn draw(&mut self) -> Transaction {
        self.number += 1;
        let id = Uuid::from_u128(self.dice.random()).to_string();
        if self.dice.random_bool(0.05) {
            let end = End::Commit;
            return Transaction {
                id: None,
                steps: Vec::new(),
                end,
            };
        }
        let mut steps = Vec::new();
        for _ in 0..self.dice.random_range(1..6_u32) {
            let table = self.dice.random_range(0..self.schema.tables.len());
            let step = self.step(table);
            steps.push(step);
        }
        let end = match self.dice.random_range(0..20_u32) {
            0 => End::Rollback,
            1 if self.rare => End::Prepared,
            _ => End::Commit,
        };
        Transaction {
            id: Some(id),
            steps,
            end,
        }
    }

    /// What adds the transaction's row to the ledger.
    pub(super) fn ledger(&self, id: &str) -> String {
        format!("insert into {}.{LEDGER} (id) values ('{id}')", self.place)
    }

    /// What a transaction is called between its two phases: one name in all
    /// databases of a server.
    pub(super) fn prepared(&self, id: &str) -> String {
        format!("{}-{id}", self.place)
    }

    fn step(&mut self, at: usize) -> Step {
        let schema = Arc::clone(&self.schema);
        let table = &schema.tables[at];
        let (statement, owns_key) = match self.dice.random_range(0..100_u32) {
            0..35 => {
                let rows = self.dice.random_range(1..5);
                self.insert(table, rows)
            }
            35..37 => self.insert(table, MANY),
            37..65 => (self.update(table), false),
            65..70 => (self.rekey(table), false),
            70..76 => (self.slots(table), false),
            76..80 => (self.nothing(table), false),
            80..92 => (self.delete(table), false),
            92..93 if self.rare => {
                let name = table.qualified(self.place);
                (format!("truncate {name} cascade"), false)
            }
            92..96 => (self.upsert(table), false),
            96..97 => (
                "select pg_logical_emit_message(true, 'strangers', 'x')".to_owned(),
                false,
            ),
            97..98 => ("set constraints all deferred".to_owned(), false),
            _ => {
                let name = table.qualified(self.place);
                (format!("select 1 from {name} limit 3 for update"), false)
            }
        };
        match owns_key {
            _ if self.dice.random_bool(0.1) => Step::Undone(statement),
            owns_key => Step::Try {
                statement,
                owns_key,
            },
        }
    }

    /// A number that no other row has, as an expression over `n`, which counts
    /// the rows of one statement.
    fn unique(&mut self) -> String {
        self.number += 1;
        let first = self.writer * 40_000_000 + (self.number % 80_000) * 500;
        format!("{first} + n")
    }

    fn insert(&mut self, table: &Table, rows: u32) -> (String, bool) {
        let unique = self.unique();
        let chooses = self.dice.random_bool(0.1);
        let (mut names, mut values) = (Vec::new(), Vec::new());
        let mut owns_key = true;
        for column in &table.key {
            let value = match (column.fresh, column.chosen) {
                (_, Some(chosen)) if chooses => {
                    owns_key = false;
                    chosen
                }
                (Fresh::Default, _) => continue,
                (Fresh::Of(fresh), _) => fresh,
            };
            names.push(quoted(&column.name));
            values.push(value.replace('@', &unique));
        }
        for column in &table.columns {
            // Whole tables of the largest values prove nothing more.
            let value = column.value(&mut self.dice);
            let value = if rows >= MANY && value.contains("generate_series(1, 2000)") {
                format!("('short')::{}", column.type_name())
            } else {
                value
            };
            names.push(quoted(&column.name));
            values.push(value);
        }
        if table.slot.is_some() {
            names.push("slot".to_owned());
            values.push(unique);
        }
        for at in 0..table.references.len() {
            let (list, row) = self.reference(table, at);
            names.extend(list);
            values.extend(row);
        }
        let statement = format!(
            "insert into {} ({}) select {} from generate_series(1, {rows}) n",
            table.qualified(self.place),
            names.join(", "),
            values.join(", "),
        );
        // A slot is this row's alone as well.
        (statement, owns_key)
    }

    /// The columns of a foreign key, and the key of some row that is there.
    fn reference(&mut self, table: &Table, at: usize) -> (Vec<String>, Vec<String>) {
        let reference = &table.references[at];
        let schema = Arc::clone(&self.schema);
        let target = &schema.tables[reference.to];
        let (share, dangles) = (self.dice.random::<f64>(), self.dice.random_bool(0.2));
        let names = reference.columns.iter().map(|(name, _)| quoted(name));
        let values = reference.key.iter().map(|key| {
            if dangles {
                return "null".to_owned();
            }
            let name = target.qualified(self.place);
            format!(
                "(select {} from {name} order by {} offset ({share} * (select count(*) from {name}))::integer limit 1)",
                quoted(key),
                target.key_list(),
            )
        });
        (names.collect(), values.collect())
    }

    /// The condition of some rows that are there.
    fn some(&mut self, table: &Table, most: u32) -> String {
        let share = self.dice.random::<f64>();
        let limit = self.dice.random_range(1..=most);
        let name = table.qualified(self.place);
        format!(
            "ctid = any(array(select ctid from {name} order by {} offset ({share} * (select count(*) from {name}))::integer limit {limit}))",
            table.key_list(),
        )
    }

    fn update(&mut self, table: &Table) -> String {
        let mut sets = Vec::new();
        for column in &table.columns {
            if self.dice.random_bool(0.4) {
                let value = column.value(&mut self.dice);
                sets.push(format!("{} = {value}", quoted(&column.name)));
            }
        }
        for at in 0..table.references.len() {
            if self.dice.random_bool(0.3) {
                let (names, values) = self.reference(table, at);
                sets.push(format!(
                    "({}) = row({})",
                    names.join(", "),
                    values.join(", ")
                ));
            }
        }
        if sets.is_empty() {
            return self.nothing(table);
        }
        let rows = if self.dice.random_bool(0.05) { 100 } else { 4 };
        let some = self.some(table, rows);
        let name = table.qualified(self.place);
        format!("update {name} set {} where {some}", sets.join(", "))
    }

    /// Rows that get another key.
    fn rekey(&mut self, table: &Table) -> String {
        let unique = self.unique();
        let unique = unique.replace('n', "1");
        let equal = self.dice.random_bool(0.3);
        let sets: Vec<String> = table
            .key
            .iter()
            .map(|column| {
                let value = match (column.equal, column.chosen, column.fresh) {
                    (Some(same), _, _) if equal => same.to_owned(),
                    (_, Some(chosen), _) => chosen.replace('@', &unique),
                    (_, None, Fresh::Default) => "default".to_owned(),
                    (_, None, Fresh::Of(fresh)) => fresh.replace('@', &unique),
                };
                format!("{} = {value}", quoted(&column.name))
            })
            .collect();
        let some = self.some(table, 1);
        let name = table.qualified(self.place);
        format!("update {name} set {} where {some}", sets.join(", "))
    }

    /// Unique values that wander through each other.
    fn slots(&mut self, table: &Table) -> String {
        let name = table.qualified(self.place);
        let Some(slot) = table.slot else {
            return self.delete(table);
        };
        let some = self.some(table, 5);
        match (slot, self.dice.random_range(0..4_u32)) {
            (_, 0) => format!("update {name} set slot = null where {some}"),
            (_, 1) => format!("update {name} set slot = -slot where {some}"),
            (Slot::AtOnce, 2) => format!("update {name} set slot = slot + 400000000 where {some}"),
            (_, 2) => format!("update {name} set slot = slot + 1 where slot is not null"),
            // At once, this fails where it meets a row that has not moved yet.
            _ => format!(
                "update {name} t set slot = s.next from \
                 (select {key}, coalesce(lead(slot) over (order by slot), min(slot) over ()) as next \
                  from {name} where slot is not null) s \
                 where {same}",
                key = table.key_list(),
                same = table
                    .key
                    .iter()
                    .map(|column| format!("t.{0} = s.{0}", quoted(&column.name)))
                    .collect::<Vec<_>>()
                    .join(" and "),
            ),
        }
    }

    /// An update that changes nothing.
    fn nothing(&mut self, table: &Table) -> String {
        let some = self.some(table, 3);
        let column = quoted(&table.columns[0].name);
        let name = table.qualified(self.place);
        format!("update {name} set {column} = {column} where {some}")
    }

    fn delete(&mut self, table: &Table) -> String {
        let some = self.some(table, 3);
        format!("delete from {} where {some}", table.qualified(self.place))
    }

    /// A row whose key somebody may have, put where it is.
    fn upsert(&mut self, table: &Table) -> String {
        let (insert, _) = self.insert(table, 1);
        let column = table
            .columns
            .choose(&mut self.dice)
            .unwrap_or(&table.columns[0]);
        let column = quoted(&column.name);
        let action = if self.dice.random_bool(0.5) {
            "do nothing".to_owned()
        } else {
            format!("do update set {column} = excluded.{column}")
        };
        format!("{insert} on conflict ({}) {action}", table.key_list())
    }
}
