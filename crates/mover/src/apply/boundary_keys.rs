//! Foreign keys of tables that stay into tables that move.
//!
//! Rows are applied with triggers off, so nothing but this keeps a deletion at
//! the service from orphaning a row that stayed in the monolith. Under
//! [`plan::ForeignKeyRule::Restrict`] it must not happen: before the target
//! transaction commits, no row that stays may refer to a value that was deleted
//! and not inserted again.
//!
//! This holds against writers of the staying table as well. The insert of a
//! referring row locks the row it refers to: if it comes first, our delete
//! waits for it and then sees it here; if it comes second, it waits for us and
//! fails on its own check.

use super::{
    change::{Change, ChangeKind, Key},
    statements::{Text, Texts, key_matches, key_rows, keys},
    tables::Tables,
};
use crate::{
    database::{session::Session, sql},
    error::MoverError,
    pgoutput::Value,
};
use bytes::Bytes;
use plan::{ForeignColumn, TableName};
use postgres_types::ToSql;

/// Values deleted in one target transaction; beyond, the whole staying table is
/// checked instead.
const MOST_DELETED: usize = 20_000;

const REFERENCED: &str = "select fn.nspname::text, f.relname::text, a.attname::text \
    from pg_constraint c \
    join pg_class r on r.oid = c.conrelid join pg_namespace n on n.oid = r.relnamespace \
    join pg_attribute o on o.attrelid = c.conrelid and o.attname = $3 and c.conkey = array[o.attnum] \
    join pg_class f on f.oid = c.confrelid join pg_namespace fn on fn.oid = f.relnamespace \
    join pg_attribute a on a.attrelid = c.confrelid and a.attnum = c.confkey[1] \
    where c.contype = 'f' and n.nspname = $1 and r.relname = $2";

/// All of them, with the values deleted in the open transaction.
#[derive(Default)]
pub(super) struct CrossBoundaryKeys {
    foreign_keys: Vec<CrossBoundaryKey>,
}

struct CrossBoundaryKey {
    staying: ForeignColumn,
    /// The table that it refers to, and the position of the column there.
    table: usize,
    column: usize,
    deleted: DeletedKeys,
}

/// Values of the referenced column.
enum DeletedKeys {
    These(Vec<Bytes>),
    /// Too many to list, or all.
    Many,
}

impl CrossBoundaryKeys {
    /// Reads what the foreign keys refer to in the target's database.
    pub(super) async fn load<'a>(
        references: impl Iterator<Item = &'a ForeignColumn>,
        tables: &Tables,
        target: &Session,
    ) -> Result<Self, MoverError> {
        let mut foreign_keys = Vec::new();
        for staying in references {
            let found = target
                .query(
                    REFERENCED,
                    &[
                        &staying.table.schema,
                        &staying.table.table,
                        &staying.column.as_str(),
                    ],
                )
                .await
                .map_err(MoverError::sql(target.side(), "reading the foreign keys"))?;
            let before = foreign_keys.len();
            for row in found {
                let name = TableName {
                    schema: row.get(0),
                    table: row.get(1),
                };
                let Some(table) = tables.position(target.side(), &name) else {
                    continue;
                };
                let column: &str = row.get(2);
                let names = tables.get(table).moved.column_names(target.side());
                let Some(column) = names.iter().position(|name| *name == column) else {
                    continue;
                };
                let deleted = DeletedKeys::These(Vec::new());
                foreign_keys.push(CrossBoundaryKey {
                    staying: staying.clone(),
                    table,
                    column,
                    deleted,
                });
            }
            if foreign_keys.len() == before {
                return Err(MoverError::Data {
                    object: staying.to_string(),
                    problem: "the plan lists it under `references`, but it is no foreign key to a \
                              table that moves"
                        .to_owned(),
                    remedy: "Put the foreign key back, or take the line out of the plan".to_owned(),
                });
            }
        }
        Ok(Self { foreign_keys })
    }

    /// Notes which values these changes delete. To be called before they
    /// are applied: values that are no keys are read from the table.
    pub(super) async fn gather(
        &mut self,
        changes: &[Change],
        tables: &Tables,
        target: &Session,
    ) -> Result<(), MoverError> {
        for foreign_key in &mut self.foreign_keys {
            let table = tables.get(foreign_key.table);
            let ours = changes
                .iter()
                .filter(|change| change.table == foreign_key.table);
            let deleted = if let Some(at) = table
                .moved
                .key
                .iter()
                .position(|&at| at == foreign_key.column)
            {
                ours.filter(|change| {
                    matches!(change.kind, ChangeKind::Delete | ChangeKind::Rekey(_))
                })
                .map(|change| change.key[at].clone())
                .collect()
            } else {
                let touched = ours.filter(|change| foreign_key.touches(change));
                let touched: Vec<&Key> = touched.map(|change| &change.key).collect();
                foreign_key.read(&touched, tables, target).await?
            };
            foreign_key.deleted.extend(deleted);
        }
        Ok(())
    }

    /// Notes that a whole table was emptied.
    pub(super) fn truncated(&mut self, table: usize) {
        for foreign_key in self
            .foreign_keys
            .iter_mut()
            .filter(|foreign_key| foreign_key.table == table)
        {
            foreign_key.deleted = DeletedKeys::Many;
        }
    }

    /// Checks the open transaction, and clears the values noted in it.
    pub(super) async fn check(
        &mut self,
        tables: &Tables,
        target: &Session,
    ) -> Result<(), MoverError> {
        for foreign_key in &mut self.foreign_keys {
            let deleted =
                std::mem::replace(&mut foreign_key.deleted, DeletedKeys::These(Vec::new()));
            if foreign_key.orphans(&deleted, tables, target).await? {
                let moved = tables.get(foreign_key.table).moved.name(target.side());
                return Err(MoverError::Data {
                    object: foreign_key.staying.to_string(),
                    problem: format!(
                        "rows of it refer to rows of {moved} that were deleted or got another key \
                         on the other side; nothing of that transaction has been applied"
                    ),
                    remedy: format!(
                        "Delete the rows of {} that stay and refer to them, or let them refer to others",
                        foreign_key.staying.table
                    ),
                });
            }
        }
        Ok(())
    }
}

impl DeletedKeys {
    fn extend(&mut self, values: Vec<Bytes>) {
        let Self::These(these) = self else { return };
        if these.len() + values.len() > MOST_DELETED {
            *self = Self::Many;
        } else {
            these.extend(values);
        }
    }
}

impl CrossBoundaryKey {
    fn touches(&self, change: &Change) -> bool {
        match &change.kind {
            ChangeKind::Insert(_) => false,
            ChangeKind::Update(row) | ChangeKind::Rekey(row) => {
                row[self.column] != Value::Unchanged
            }
            ChangeKind::Delete => true,
        }
    }

    /// The referenced column's values of these rows, as they are now.
    async fn read(
        &self,
        rows: &[&Key],
        tables: &Tables,
        target: &Session,
    ) -> Result<Vec<Bytes>, MoverError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let table = tables.get(self.table);
        let select = format!(
            "select t.{}::text from {} t join ({}) s on {}",
            sql::identifier(table.moved.columns[self.column].name(target.side())),
            sql::table(table.moved.name(target.side())),
            key_rows(table),
            key_matches(table, target.side()),
        );
        let columns: Vec<Texts<'_>> = (0..table.moved.key.len())
            .map(|at| keys(rows, at))
            .collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = columns
            .iter()
            .map(|column| column as &(dyn ToSql + Sync))
            .collect();
        let found = target
            .query(&select, &parameters)
            .await
            .map_err(MoverError::sql(
                target.side(),
                "reading the values that rows refer to",
            ))?;
        let value = |row: &tokio_postgres::Row| row.get::<_, Option<String>>(0).map(Bytes::from);
        Ok(found.iter().filter_map(value).collect())
    }

    async fn orphans(
        &self,
        deleted: &DeletedKeys,
        tables: &Tables,
        target: &Session,
    ) -> Result<bool, MoverError> {
        let table = tables.get(self.table);
        let column = sql::identifier(self.staying.column.as_str());
        let referenced = table.moved.columns[self.column].name(target.side());
        let equals = table.operators.between(referenced, "=");
        let select = |condition: &str| {
            format!(
                "select exists (select from {} s where s.{column} {condition} \
                 and not exists (select from {} m where m.{} {equals} s.{column}))",
                sql::table(&self.staying.table),
                sql::table(table.moved.name(target.side())),
                sql::identifier(referenced),
            )
        };
        let wrap = MoverError::sql(target.side(), "checking rows that stay");
        let row = match deleted {
            DeletedKeys::These(values) if values.is_empty() => return Ok(false),
            DeletedKeys::These(values) => {
                let cast = &table.casts[self.column];
                let select = select(&format!(
                    "{equals} any (select v::{cast} from unnest($1::text[]) v)"
                ));
                let values: Texts<'_> = values.iter().map(|value| Some(Text(value))).collect();
                target.query_one(&select, &[&values]).await.map_err(wrap)?
            }
            DeletedKeys::Many => target
                .query_one(&select("is not null"), &[])
                .await
                .map_err(wrap)?,
        };
        Ok(row.get(0))
    }
}
