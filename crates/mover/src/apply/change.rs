//! Changes of rows, and the net effect of many.
//!
//! No other session sees states inside one target transaction, so a batch is
//! applied by its net effect: per table one delete, one insert and an update
//! for each set of columns, whatever the order in which the source made them.
//! That order matters only where a unique key wanders from row to row; then
//! the statement fails on the constraint and the batch is applied again one
//! change after the other ([`Job::each`]). A batch whose changes do not fit one
//! another (an insert of a row that is there) has no net effect and goes the
//! same way, so that the error comes from the database.

use crate::pgoutput::Value;
use bytes::Bytes;
use std::{collections::HashMap, sync::Arc};

/// A row in the order of a moved table's columns. Shared, so that a batch and
/// its net effect hold it once.
pub type Row = Arc<[Value]>;

/// The key of a row, in the order of the table's key. Never null.
pub type Key = Arc<[Bytes]>;

/// One change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which of the extraction's tables.
    pub table: usize,
    /// The row's key, before the change.
    pub key: Key,
    /// What happens to it.
    pub kind: ChangeKind,
}

/// What happens to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is inserted.
    Insert(Row),
    /// It is updated and keeps its key.
    Update(Row),
    /// It is updated, its key too.
    Rekey(Row),
    /// It is deleted.
    Delete,
}

/// What one statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// To which table.
    pub table: usize,
    /// The rows, and what to do with them.
    pub operation: RowOperation,
}

/// Rows for one statement; each of them must be met exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOperation {
    /// Insert these. All come with the same columns; the others are the target's
    /// to fill.
    Insert(Vec<Row>),
    /// Update these by their keys. All leave the same columns unchanged.
    Update(Vec<(Key, Row)>),
    /// The same, and give them other keys.
    Rekey(Vec<(Key, Row)>),
    /// Delete these.
    Delete(Vec<Key>),
}

impl Change {
    /// Bytes of values, roughly what it holds in memory besides a constant.
    pub fn len_bytes(&self) -> usize {
        let key: usize = self.key.iter().map(Bytes::len).sum();
        key + match &self.kind {
            ChangeKind::Insert(row) | ChangeKind::Update(row) | ChangeKind::Rekey(row) => {
                row.iter().map(Value::len_bytes).sum()
            }
            ChangeKind::Delete => 0,
        }
    }
}

impl RowOperation {
    /// How many rows it must meet.
    pub fn len(&self) -> usize {
        match self {
            Self::Insert(rows) => rows.len(),
            Self::Update(rows) | Self::Rekey(rows) => rows.len(),
            Self::Delete(keys) => keys.len(),
        }
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Job {
    /// One job per change, in the source's order.
    pub fn each(changes: &[Change]) -> impl Iterator<Item = Self> {
        changes.iter().map(|change| {
            let key = || change.key.clone();
            let operation = match &change.kind {
                ChangeKind::Insert(row) => RowOperation::Insert(vec![row.clone()]),
                ChangeKind::Update(row) => RowOperation::Update(vec![(key(), row.clone())]),
                ChangeKind::Rekey(row) => RowOperation::Rekey(vec![(key(), row.clone())]),
                ChangeKind::Delete => RowOperation::Delete(vec![key()]),
            };
            Self {
                table: change.table,
                operation,
            }
        })
    }

    /// The jobs of the net effect; `None` if the changes do not fit together.
    pub fn net(changes: &[Change]) -> Option<Vec<Self>> {
        let mut tables: Vec<Gathered<'_>> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        for change in changes {
            let place = *places.entry(change.table).or_insert_with(|| {
                tables.push(Gathered::new(change.table));
                tables.len() - 1
            });
            tables[place].add(change)?;
        }
        let mut jobs = Vec::new();
        for mut table in tables {
            table.close();
            jobs.append(&mut table.jobs);
        }
        Some(jobs)
    }
}

/// What becomes of one key.
enum Net {
    Insert(Row),
    Update(Row),
    /// Deleted, and another row inserted in its place.
    Replace(Row),
    Delete,
    /// Inserted and deleted.
    Nothing,
}

struct Gathered<'a> {
    table: usize,
    places: HashMap<&'a [Bytes], usize>,
    rows: Vec<(&'a Key, Net)>,
    jobs: Vec<Job>,
}

impl<'a> Gathered<'a> {
    fn new(table: usize) -> Self {
        Self {
            table,
            places: HashMap::new(),
            rows: Vec::new(),
            jobs: Vec::new(),
        }
    }

    fn add(&mut self, change: &'a Change) -> Option<()> {
        if let ChangeKind::Rekey(row) = &change.kind {
            // Rare. Earlier changes under either key are applied before it.
            self.close();
            let rows = vec![(change.key.clone(), row.clone())];
            self.jobs.push(Job {
                table: self.table,
                operation: RowOperation::Rekey(rows),
            });
            return Some(());
        }
        if let Some(&place) = self.places.get(&*change.key) {
            let net = &mut self.rows[place].1;
            *net = std::mem::replace(net, Net::Nothing).then(&change.kind)?;
        } else {
            let net = match &change.kind {
                ChangeKind::Insert(row) => Net::Insert(row.clone()),
                ChangeKind::Update(row) | ChangeKind::Rekey(row) => Net::Update(row.clone()),
                ChangeKind::Delete => Net::Delete,
            };
            self.places.insert(&change.key, self.rows.len());
            self.rows.push((&change.key, net));
        }
        Some(())
    }

    /// Turns what has been gathered into jobs: deletes first, so that unique
    /// values are free, inserts last.
    fn close(&mut self) {
        self.places.clear();
        let mut deletes = Vec::new();
        let mut inserts: Vec<Vec<Row>> = Vec::new();
        let mut updates: Vec<Vec<(Key, Row)>> = Vec::new();
        for (key, net) in self.rows.drain(..) {
            match net {
                Net::Insert(row) => grouped(&mut inserts, row),
                Net::Update(row) => {
                    let group = updates
                        .iter_mut()
                        .find(|group| same_columns(&group[0].1, &row));
                    match group {
                        Some(group) => group.push((key.clone(), row)),
                        None => updates.push(vec![(key.clone(), row)]),
                    }
                }
                Net::Replace(row) => {
                    deletes.push(key.clone());
                    grouped(&mut inserts, row);
                }
                Net::Delete => deletes.push(key.clone()),
                Net::Nothing => {}
            }
        }
        let operations = [RowOperation::Delete(deletes)]
            .into_iter()
            .chain(updates.into_iter().map(RowOperation::Update))
            .chain(inserts.into_iter().map(RowOperation::Insert));
        for operation in operations.filter(|operation| !operation.is_empty()) {
            self.jobs.push(Job {
                table: self.table,
                operation,
            });
        }
    }
}

impl Net {
    fn then(self, kind: &ChangeKind) -> Option<Self> {
        match (self, kind) {
            (Self::Insert(old), ChangeKind::Update(new)) => Some(Self::Insert(merge(&old, new))),
            (Self::Update(old), ChangeKind::Update(new)) => Some(Self::Update(merge(&old, new))),
            (Self::Replace(old), ChangeKind::Update(new)) => Some(Self::Replace(merge(&old, new))),
            (Self::Insert(_), ChangeKind::Delete) => Some(Self::Nothing),
            (Self::Update(_) | Self::Replace(_), ChangeKind::Delete) => Some(Self::Delete),
            (Self::Delete, ChangeKind::Insert(new)) => Some(Self::Replace(new.clone())),
            (Self::Nothing, ChangeKind::Insert(new)) => Some(Self::Insert(new.clone())),
            _ => None,
        }
    }
}

fn merge(old: &Row, new: &Row) -> Row {
    let later = |(old, new): (&Value, &Value)| match new {
        Value::Unchanged => old.clone(),
        new => new.clone(),
    };
    old.iter().zip(new.iter()).map(later).collect()
}

/// Puts a row to those that come with the same columns.
fn grouped(groups: &mut Vec<Vec<Row>>, row: Row) {
    match groups
        .iter_mut()
        .find(|group| same_columns(&group[0], &row))
    {
        Some(group) => group.push(row),
        None => groups.push(vec![row]),
    }
}

/// Whether two rows set the same columns.
fn same_columns(one: &Row, other: &Row) -> bool {
    one.iter()
        .zip(other.iter())
        .all(|(a, b)| (*a == Value::Unchanged) == (*b == Value::Unchanged))
}

#[cfg(test)]
mod tests;
