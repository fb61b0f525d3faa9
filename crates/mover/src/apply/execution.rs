//! Sends statements and evaluates their results: rows matched as expected, a
//! conflict, or a failure.

use super::{
    change::{Job, Row, RowOperation},
    statements::{self, Texts, is_copied},
    tables::Tables,
};
use crate::{
    database::{session::Session, sql},
    error::MoverError,
    layout::FENCE_TRIGGER,
    pgoutput::Value,
};
use bytes::{BufMut, BytesMut};
use futures_util::{SinkExt as _, future::join_all};
use plan::TableName;
use postgres_types::ToSql;
use tokio_postgres::Statement;

/// Statements under way at once. Up to 30 futures are polled in their order by
/// `join_all`, and so sent in it.
const MOST_SENT: usize = 16;

/// Rows are copied in portions of about this size, whatever theirs is.
const COPY_PORTION_BYTES: usize = 64 << 10;

/// Why a change was not applied.
pub(super) enum ApplyConflict {
    /// It violates a constraint of the target.
    Refused {
        table: usize,
        constraint: String,
        /// What drops it, where that is certain: what comes after `alter table`.
        dropped: Option<String>,
    },
    /// It matched fewer or more rows than it should.
    Missed { table: usize, verb: &'static str },
    /// No conflict: the statement failed.
    Other(MoverError),
}

impl ApplyConflict {
    /// The error that stops the follower: the sides differ.
    pub(super) fn into_error(self, tables: &Tables, session: &Session) -> MoverError {
        let side = session.side();
        let name = |table: usize| tables.get(table).moved.name(side);
        let (table, problem, remedy) = match self {
            Self::Other(error) => return error,
            Self::Refused {
                table,
                constraint,
                dropped,
            } => {
                let name = name(table);
                let drop = match dropped {
                    Some(dropped) => format!(
                        "In the {side}'s database run `alter table {} {dropped}` if only this table \
                         has it",
                        sql::table(name)
                    ),
                    None => "Drop the constraint, or the unique index of that name, if only this \
                             table has it"
                        .to_owned(),
                };
                (
                    table,
                    format!("a change violates {constraint} in the {side}'s table"),
                    format!(
                        "{drop}, or correct the row that is in the way: {}",
                        by_hand(name)
                    ),
                )
            }
            Self::Missed { table, verb } => {
                let moved = &tables.get(table).moved;
                let key = moved.key_names(side).join(", ");
                (
                    table,
                    format!(
                        "a change {verb} no row, or several, by its key ({key}) in the {side}'s table"
                    ),
                    format!(
                        "Give the {side} the rows of {} that it lacks: {}",
                        moved.name(side.other()),
                        by_hand(name(table))
                    ),
                )
            }
        };
        MoverError::Data {
            object: name(table).to_string(),
            problem: format!("{problem}: the sides differ"),
            remedy,
        }
    }
}

/// How a table behind the fence is written: in one transaction, whose lock keeps
/// all others out.
fn by_hand(table: &TableName) -> String {
    let table = sql::table(table);
    format!(
        "as its owner, in one transaction that begins with `alter table {table} disable trigger \
         {FENCE_TRIGGER}` and ends with `alter table {table} enable always trigger {FENCE_TRIGGER}`"
    )
}

/// Sends the jobs without waiting for each result, and reads the results in
/// order: the first failure is returned.
pub(super) async fn execute_all(
    session: &Session,
    tables: &Tables,
    jobs: &[Job],
    statements: &[Option<Statement>],
) -> Result<(), ApplyConflict> {
    let jobs: Vec<_> = jobs
        .iter()
        .zip(statements)
        .filter_map(|(job, one)| Some((job, one.as_ref()?)))
        .collect();
    // A `COPY` cannot be pipelined: what is before it is sent before.
    let copied = |job: &Job| is_copied(&job.operation);
    let groups = jobs.chunk_by(|(one, _), (other, _)| !copied(one) && !copied(other));
    for some in groups.flat_map(|group| group.chunks(MOST_SENT)) {
        let running = some
            .iter()
            .map(|(job, statement)| execute(session, tables, job, statement));
        join_all(running)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
    }
    Ok(())
}

async fn execute(
    session: &Session,
    tables: &Tables,
    job: &Job,
    statement: &Statement,
) -> Result<(), ApplyConflict> {
    let table = job.table;
    let done = match &job.operation {
        RowOperation::Insert(rows) if is_copied(&job.operation) => {
            copy(session, statement, rows).await
        }
        operation => {
            let columns: Vec<Texts<'_>> = statements::parameters(tables.get(table), operation);
            let parameters: Vec<&(dyn ToSql + Sync)> = columns
                .iter()
                .map(|column| column as &(dyn ToSql + Sync))
                .collect();
            session.execute(statement, &parameters).await
        }
    };
    match done {
        Ok(met) if met == job.operation.len() as u64 => Ok(()),
        Ok(_) => Err(ApplyConflict::Missed {
            table,
            verb: verb(&job.operation),
        }),
        Err(error) => match error.as_db_error() {
            Some(refusal) if refusal.code().code().starts_with("23") => {
                let code = refusal.code().code();
                let (constraint, dropped) = match (refusal.constraint(), refusal.column()) {
                    // A unique one may be an index without a constraint.
                    (Some(name), _) if code == "23505" => (format!("constraint {name}"), None),
                    (Some(name), _) => (
                        format!("constraint {name}"),
                        Some(format!("drop constraint {}", sql::identifier(name))),
                    ),
                    (None, Some(column)) => (
                        format!("column {column}"),
                        Some(format!(
                            "alter column {} drop not null",
                            sql::identifier(column)
                        )),
                    ),
                    (None, None) => ("a constraint".to_owned(), None),
                };
                Err(ApplyConflict::Refused {
                    table,
                    constraint,
                    dropped,
                })
            }
            _ => Err(ApplyConflict::Other(MoverError::sql(
                session.side(),
                "applying changes",
            )(error))),
        },
    }
}

async fn copy(
    session: &Session,
    statement: &Statement,
    rows: &[Row],
) -> Result<u64, tokio_postgres::Error> {
    let sink = session.copy_in::<_, BytesMut>(statement).await?;
    tokio::pin!(sink);
    let mut portion = BytesMut::with_capacity(COPY_PORTION_BYTES);
    for row in rows {
        let present = row.iter().filter(|value| **value != Value::Unchanged);
        for (at, value) in present.enumerate() {
            if at > 0 {
                portion.put_u8(b'\t');
            }
            let Some(text) = value.text() else {
                portion.put_slice(b"\\N");
                continue;
            };
            for part in text.chunks(COPY_PORTION_BYTES) {
                statements::copy_text(&mut portion, part);
                if portion.len() >= COPY_PORTION_BYTES {
                    sink.send(std::mem::take(&mut portion)).await?;
                }
            }
        }
        portion.put_u8(b'\n');
    }
    if !portion.is_empty() {
        sink.send(portion).await?;
    }
    sink.finish().await
}

fn verb(operation: &RowOperation) -> &'static str {
    match operation {
        RowOperation::Insert(_) => "inserts",
        RowOperation::Update(_) | RowOperation::Rekey(_) => "updates",
        RowOperation::Delete(_) => "deletes",
    }
}
