//! The statements that apply rows: their texts, their parameters, and the
//! prepared ones of a session.
//!
//! Each takes one array of texts per column and casts its elements to the
//! column's type, so that one statement serves any number of rows. Many rows
//! to insert go by `COPY`, which costs the server less still.

use super::{
    change::{Job, Key, Row, RowOperation},
    table::ApplyTable,
};
use crate::{
    database::{session::Session, sql},
    error::MoverError,
    pgoutput::Value,
};
use bytes::{BufMut, BytesMut};
use postgres_types::{IsNull, ToSql, Type, to_sql_checked};
use protocol::Side;
use std::collections::HashMap;
use tokio_postgres::Statement;

/// Sets of columns that updates leave out are as many as the source likes; at
/// this number of prepared statements we start again.
const MOST_PREPARED: usize = 256;

/// From this many rows on, an insert is a `COPY`: it cannot be sent together
/// with other statements.
const FEWEST_COPIED: usize = 50;

/// So is one with a row of more bytes: a parameter is held once more by each
/// buffer on its way, a `COPY` is sent in parts.
const LARGEST_PARAMETERS_BYTES: usize = 1 << 20;

/// Whether an operation is a `COPY`.
pub(super) fn is_copied(operation: &RowOperation) -> bool {
    let large = |row: &Row| {
        let bytes: usize = row.iter().map(Value::len_bytes).sum();
        bytes > LARGEST_PARAMETERS_BYTES
    };
    match operation {
        RowOperation::Insert(rows) => rows.len() >= FEWEST_COPIED || rows.iter().any(large),
        _ => false,
    }
}

/// One text of an array, not copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a>(pub &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TEXT
    }

    to_sql_checked!();
}

/// A column of parameters.
pub(super) type Texts<'a> = Vec<Option<Text<'a>>>;

/// Prepared statements of one session.
#[derive(Default)]
pub(super) struct Statements {
    prepared: HashMap<Shape, Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Shape {
    table: usize,
    kind: Kind,
    /// The columns that are set.
    set: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Insert,
    Copy,
    Update,
    /// An update that sets a key which may not be set.
    Replace,
    Delete,
}

impl Statements {
    /// The statement of a job; `None` if there is nothing to do.
    pub(super) async fn prepare(
        &mut self,
        session: &Session,
        table: &ApplyTable,
        job: &Job,
    ) -> Result<Option<Statement>, MoverError> {
        let (kind, set) = match &job.operation {
            RowOperation::Insert(_) if is_copied(&job.operation) => {
                (Kind::Copy, columns_set(table, &job.operation))
            }
            RowOperation::Insert(_) => (Kind::Insert, columns_set(table, &job.operation)),
            RowOperation::Delete(_) => (Kind::Delete, Vec::new()),
            RowOperation::Rekey(_) if table.key_is_fixed() => {
                (Kind::Replace, columns_set(table, &job.operation))
            }
            RowOperation::Update(_) | RowOperation::Rekey(_) => {
                (Kind::Update, columns_set(table, &job.operation))
            }
        };
        if kind == Kind::Update && set.is_empty() {
            return Ok(None);
        }
        let shape = Shape {
            table: job.table,
            kind,
            set,
        };
        if let Some(statement) = self.prepared.get(&shape) {
            return Ok(Some(statement.clone()));
        }
        let text = match kind {
            Kind::Insert => insert(table, session.side(), &shape.set),
            Kind::Copy => copy(table, session.side(), &shape.set),
            Kind::Update => update(table, session.side(), &shape.set),
            Kind::Replace => replace(table, session.side(), &shape.set),
            Kind::Delete => delete(table, session.side()),
        };
        let statement = session.prepare(&text).await.map_err(MoverError::sql(
            session.side(),
            "preparing to apply changes",
        ))?;
        if self.prepared.len() >= MOST_PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(shape, statement.clone());
        Ok(Some(statement))
    }
}

/// The parameters of a job's statement.
pub(super) fn parameters<'a>(table: &ApplyTable, operation: &'a RowOperation) -> Vec<Texts<'a>> {
    match operation {
        RowOperation::Insert(rows) => {
            let all: Vec<&Row> = rows.iter().collect();
            let set = columns_set(table, operation);
            set.into_iter().map(|at| values(&all, at)).collect()
        }
        RowOperation::Update(rows) | RowOperation::Rekey(rows) => {
            let news: Vec<&Row> = rows.iter().map(|(_, row)| row).collect();
            let set = columns_set(table, operation);
            let olds: Vec<&Key> = rows.iter().map(|(key, _)| key).collect();
            let news = set.into_iter().map(|at| values(&news, at));
            news.chain((0..table.moved.key.len()).map(|at| keys(&olds, at)))
                .collect()
        }
        RowOperation::Delete(rows) => {
            let olds: Vec<&Key> = rows.iter().collect();
            (0..table.moved.key.len())
                .map(|at| keys(&olds, at))
                .collect()
        }
    }
}

/// A text as `COPY` reads it, appended. It may be a part of one.
pub(super) fn copy_text(out: &mut BytesMut, mut text: &[u8]) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t');
    while let Some(at) = text.iter().position(special) {
        out.put_slice(&text[..at]);
        out.put_slice(match text[at] {
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => b"\\\\",
        });
        text = &text[at + 1..];
    }
    out.put_slice(text);
}

fn values<'a>(rows: &[&'a Row], at: usize) -> Texts<'a> {
    rows.iter()
        .map(|row| row[at].text().map(|text| Text(text)))
        .collect()
}

/// One column of keys as parameters.
pub(super) fn keys<'a>(keys: &[&'a Key], at: usize) -> Texts<'a> {
    keys.iter().map(|key| Some(Text(&key[at]))).collect()
}

/// What is set: all that came with the rows. An update comes without the columns
/// that did not change out of line, and sets the key only when it changes (an
/// identity may not be set at all).
fn columns_set(table: &ApplyTable, operation: &RowOperation) -> Vec<usize> {
    let (first, rekeys) = match operation {
        RowOperation::Update(rows) => (&rows[0].1, false),
        RowOperation::Rekey(rows) => (&rows[0].1, true),
        RowOperation::Insert(rows) => (&rows[0], true),
        RowOperation::Delete(_) => return Vec::new(),
    };
    (0..first.len())
        .filter(|&at| first[at] != Value::Unchanged && (rekeys || !table.moved.key.contains(&at)))
        .collect()
}

/// The names of some columns, quoted.
fn names(table: &ApplyTable, side: Side, columns: &[usize]) -> String {
    sql::identifiers(columns.iter().map(|&at| table.moved.columns[at].name(side)))
}

fn insert(table: &ApplyTable, side: Side, columns: &[usize]) -> String {
    let casts: Vec<String> = columns
        .iter()
        .map(|&at| format!("v{at}::{}", table.casts[at]))
        .collect();
    format!(
        "insert into {} ({}) overriding system value select {} from {}",
        sql::table(table.moved.name(side)),
        names(table, side, columns),
        casts.join(", "),
        unnest(columns, 0),
    )
}

fn copy(table: &ApplyTable, side: Side, columns: &[usize]) -> String {
    format!(
        "copy {} ({}) from stdin",
        sql::table(table.moved.name(side)),
        names(table, side, columns),
    )
}

fn update(table: &ApplyTable, side: Side, set: &[usize]) -> String {
    let name = |at: usize| sql::identifier(table.moved.columns[at].name(side));
    // An identity `generated always` can be neither set nor have changed.
    let (fixed, free): (Vec<usize>, Vec<usize>) = set.iter().partition(|&&at| table.fixed[at]);
    let mut assignments: Vec<String> = free
        .iter()
        .map(|&at| format!("{} = s.v{at}", name(at)))
        .collect();
    if let (true, Some(at)) = (
        free.is_empty(),
        (0..table.fixed.len()).find(|&at| !table.fixed[at]),
    ) {
        assignments.push(format!("{0} = t.{0}", name(at)));
    }
    let mut conditions = vec![key_matches(table, side)];
    conditions.extend(
        fixed
            .iter()
            .map(|&at| format!("t.{} is not distinct from s.v{at}", name(at))),
    );
    format!(
        "update {} as t set {} from ({}) s where {}",
        sql::table(table.moved.name(side)),
        assignments.join(", "),
        rows(table, set),
        conditions.join(" and "),
    )
}

/// A row whose key may not be set is deleted and inserted with another key, with
/// all that did not change and with the columns that are only here.
fn replace(table: &ApplyTable, side: Side, set: &[usize]) -> String {
    let columns = table.moved.columns.iter().enumerate();
    let moving = columns.map(|(at, column)| {
        let name = sql::identifier(column.name(side));
        let value = if set.contains(&at) {
            format!("s.v{at}")
        } else {
            format!("t.{name}")
        };
        (name, value)
    });
    let own = table.own.iter().map(|name| {
        (
            sql::identifier(name),
            format!("t.{}", sql::identifier(name)),
        )
    });
    let (names, values): (Vec<String>, Vec<String>) = moving.chain(own).unzip();
    let target = sql::table(table.moved.name(side));
    let matches = key_matches(table, side);
    format!(
        "with s as ({}), t as (delete from {target} as t using s where {matches} returning t.*) \
         insert into {target} ({}) overriding system value select {} from s join t on {matches}",
        rows(table, set),
        names.join(", "),
        values.join(", "),
    )
}

fn delete(table: &ApplyTable, side: Side) -> String {
    format!(
        "delete from {} as t using ({}) s where {}",
        sql::table(table.moved.name(side)),
        key_rows(table),
        key_matches(table, side),
    )
}

/// New values and old keys.
fn rows(table: &ApplyTable, set: &[usize]) -> String {
    let value = |&at: &usize| format!("v{at}::{} as v{at}", table.casts[at]);
    let values: Vec<String> = set.iter().map(value).collect();
    format!(
        "select {}, {} from {}",
        values.join(", "),
        key_casts(table),
        unnest(set, table.moved.key.len()),
    )
}

/// Keys out of one array of texts for each of the key's columns.
pub(super) fn key_rows(table: &ApplyTable) -> String {
    format!(
        "select {} from {}",
        key_casts(table),
        unnest(&[], table.moved.key.len())
    )
}

/// Whether row `t` has the key `s`.
pub(super) fn key_matches(table: &ApplyTable, side: Side) -> String {
    let names = table.moved.key_names(side);
    let equal = |(at, name): (usize, &&str)| {
        let equals = table.operators.between(name, "=");
        format!("t.{} {equals} s.k{at}", sql::identifier(name))
    };
    names
        .iter()
        .enumerate()
        .map(equal)
        .collect::<Vec<_>>()
        .join(" and ")
}

fn key_casts(table: &ApplyTable) -> String {
    let cast = |(at, &column): (usize, &usize)| format!("k{at}::{0} as k{at}", table.casts[column]);
    table
        .moved
        .key
        .iter()
        .enumerate()
        .map(cast)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A table of texts out of the parameters: some columns, then the key's.
fn unnest(columns: &[usize], keys: usize) -> String {
    let names: Vec<String> = columns
        .iter()
        .map(|at| format!("v{at}"))
        .chain((0..keys).map(|at| format!("k{at}")))
        .collect();
    let arrays: Vec<String> = (1..=names.len())
        .map(|at| format!("${at}::text[]"))
        .collect();
    format!("unnest({}) as u({})", arrays.join(", "), names.join(", "))
}
