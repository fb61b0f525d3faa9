//! Schemas that nobody has written, and transactions on them, both drawn from a
//! seed: keys and columns of every kind, names that need quotes, foreign keys
//! in cycles, unique constraints, triggers, and writers that do with them what
//! applications do.
//!
//! What is drawn is the same for the same seed. How the writers' transactions
//! interleave is not: a seed that failed once fails again soon, not always.
//!
//! The judge ([`oracle`]) compares both sides by SQL of its own and what the
//! writers were told with what is there.

mod column;
mod dice;
mod key;
pub mod oracle;
mod table;
mod transaction;
mod writer;

pub use column::TYPES;
pub use dice::{Dice, dice};
pub use table::{Table, quoted};
pub use writer::{Acknowledged, Clerk, Ended, Writer, acknowledge};

use rand::{RngExt, seq::SliceRandom};
use std::fmt::Write as _;
use table::{Reference, Shape};

/// Every transaction adds a row here, so that what was acknowledged can be
/// compared with what is there.
pub const LEDGER: &str = "ledger";

/// How large a schema is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// The number of its first table, which is part of the tables' names.
    pub first: usize,
    /// How many tables, besides the ledger.
    pub tables: usize,
    /// How many foreign keys among them, about.
    pub foreign_keys: usize,
    /// Whether all foreign keys are deferrable, and none cascades.
    pub all_deferrable: bool,
}

/// What makes the ledger in a database's schema.
pub fn ledger(schema: &str) -> String {
    format!(
        "create table {schema}.{LEDGER} \
         (id uuid primary key, at timestamptz not null default now());"
    )
}

/// A schema.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Its tables. Foreign keys name them by their place here.
    pub tables: Vec<Table>,
}

impl Schema {
    /// Draws one.
    pub fn draw(dice: &mut Dice, size: Size) -> Self {
        let mut tables: Vec<Table> = (0..size.tables)
            .map(|number| Table::draw(dice, size.first + number))
            .collect();
        for number in 0..size.foreign_keys {
            // A ring through all of them first, so that there is a cycle; a table
            // may refer to itself.
            let from = number % size.tables;
            let to = if number < size.tables {
                (from + 1) % size.tables
            } else {
                dice.random_range(0..size.tables)
            };
            let reference = Reference::draw(dice, number, &tables[to], to, size.all_deferrable);
            tables[from].refer(reference);
        }
        Self { tables }
    }

    /// The names of all tables, the ledger's among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.tables.iter().map(|table| table.name.as_str());
        names.chain([LEDGER])
    }

    /// What makes them in a database's schema, which is there, as [`TYPES`] are.
    /// `seed` orders the columns; with `triggers` those that an application has
    /// are there.
    pub fn statements(&self, schema: &str, seed: u64, triggers: bool) -> String {
        let mut text = String::new();
        let mut dice = dice(seed, 7);
        for table in &self.tables {
            let mut shape = Shape::of(table);
            if seed != 0 {
                shape.columns.shuffle(&mut dice);
            }
            let _ = writeln!(text, "{}", shape.create(schema));
            if triggers && table.is_stamped {
                let name = table.qualified(schema);
                let _ = writeln!(
                    text,
                    "create trigger stamp before insert or update on {name} \
                     for each row execute function public.stamp();"
                );
            }
        }
        for table in &self.tables {
            for reference in &table.references {
                let target = self.tables[reference.to].qualified(schema);
                let _ = writeln!(text, "{}", table.foreign_key(schema, reference, &target));
            }
        }
        text
    }
}
