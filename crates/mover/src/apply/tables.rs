//! The moved tables as the applier sees them, and which of them the stream means
//! by a relation.
//!
//! The log may be older than the catalogues: its rows have the columns of when
//! they were written. So a relation that is not exactly the table as it was
//! opened is compared with the table as it is now: if that is another one, all
//! is opened anew; if not, the relation is an older form of it.

use super::{
    change::{Change, ChangeKind, Key, Row},
    table::{self, ApplyTable},
};
use crate::{
    database::{session::Session, sql},
    error::{MoverError, damaged},
    objects::{
        joining::Joining,
        shape::{self, Shape},
    },
    pgoutput::{LogicalMessage, OldTuple, Relation, Tuple, Value},
};
use plan::{ExtractionName, TableMapping, TableName, TableWrites};
use protocol::{Lsn, Side, stream::Direction};
use std::collections::{HashMap, HashSet};
use tokio_postgres::error::SqlState;

/// The tables of one direction.
#[derive(Debug)]
pub struct Tables {
    direction: Direction,
    all: Vec<ApplyTable>,
    /// Described by the stream and looked at when a row of theirs is applied:
    /// a stream that applies nothing does not care how its tables change.
    announced: HashMap<u32, Relation>,
    relations: HashMap<u32, Mapped>,
    /// Relations that were looked at before: described again, they have changed.
    seen: HashSet<u32>,
    /// Changes of a table that were committed before this are there already.
    has_until: HashMap<usize, Lsn>,
}

/// How a relation's tuples become rows.
#[derive(Debug)]
struct Mapped {
    table: usize,
    /// For each column of the moved table, where it is in the tuple, if it is.
    places: Vec<Option<usize>>,
    width: usize,
}

const TYPES: &str = "select format_type(oid, modifier) \
    from unnest($1::oid[], $2::int4[]) with ordinality t(oid, modifier, at) order by at";

const IDENTITY: &str = "select c.relreplident in ('d', 'f', 'n') \
    or exists (select from pg_index i where i.indrelid = c.oid and i.indisreplident and i.indisprimary) \
    from pg_class c where c.oid = $1";

impl Tables {
    /// Reads both catalogues.
    pub async fn load(
        direction: Direction,
        extraction: &ExtractionName,
        mappings: &[TableMapping],
        source: &Session,
        target: &Session,
    ) -> Result<Self, MoverError> {
        Ok(Self {
            direction,
            all: table::open(direction, extraction, mappings, source, target).await?,
            announced: HashMap::new(),
            relations: HashMap::new(),
            seen: HashSet::new(),
            has_until: HashMap::new(),
        })
    }

    /// Has nothing applied that is there already because tables were added. The
    /// other way nothing of such a table comes before it has joined.
    pub(crate) fn join(&mut self, joining: &Joining) {
        if self.direction == Direction::Reverse {
            return;
        }
        let all = self.all.iter().enumerate();
        self.has_until = all
            .map(|(at, table)| (at, joining.has_until(&table.moved.mapping)))
            .filter(|(_, until)| *until > Lsn::default())
            .collect();
    }

    /// Whether a relation's table has what was committed at a position, or gets it
    /// by its copy. A copy has what was committed before its slot's position, as in
    /// PostgreSQL's synchronisation of single tables.
    pub fn has(&self, relation: u32, committed: Lsn) -> bool {
        if self.has_until.is_empty() {
            return false;
        }
        let until = self.at(relation).and_then(|at| self.has_until.get(&at));
        until.is_some_and(|until| committed < *until)
    }

    /// Which way its changes go.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// One of the tables; the number comes from a change of these tables.
    pub fn get(&self, table: usize) -> &ApplyTable {
        &self.all[table]
    }

    /// Whether each side is to keep its own of a table.
    pub fn is_split(&self, table: usize) -> bool {
        self.all[table].moved.mapping.writes == TableWrites::Split
    }

    /// Who writes a relation, whether it has been looked at or not.
    pub fn writes(&self, relation: u32) -> TableWrites {
        let table = self.at(relation).and_then(|at| self.all.get(at));
        table
            .map(|table| table.moved.mapping.writes)
            .unwrap_or_default()
    }

    /// Which table a relation is, whether it has been looked at or not.
    fn at(&self, relation: u32) -> Option<usize> {
        if let Some(mapped) = self.relations.get(&relation) {
            return Some(mapped.table);
        }
        let announced = self.announced.get(&relation)?;
        self.means(announced).ok()
    }

    fn is_named(&self, table: &ApplyTable, relation: &Relation) -> bool {
        let name = table.moved.name(self.direction.source());
        name.schema == relation.schema && name.table == relation.name
    }

    /// Which table has this name on a side.
    pub fn position(&self, side: Side, name: &plan::TableName) -> Option<usize> {
        self.all
            .iter()
            .position(|table| table.moved.name(side) == name)
    }

    /// From here on the source describes a relation like this.
    pub fn announce(&mut self, relation: Relation) {
        self.relations.remove(&relation.id);
        self.announced.insert(relation.id, relation);
    }

    /// Makes sure that rows of a relation can be applied; an error names what no
    /// longer fits. Queries the source, the first time.
    pub async fn learn(&mut self, relation: u32, source: &Session) -> Result<(), MoverError> {
        match self.announced.remove(&relation) {
            Some(relation) => self.map(&relation, source).await,
            None => Ok(()),
        }
    }

    async fn map(&mut self, relation: &Relation, source: &Session) -> Result<(), MoverError> {
        let side = self.direction.source();
        let at = self.means(relation)?;
        let table = &self.all[at];
        let types = types(relation, source).await?;
        let exact = table.is_exactly(relation, &types, side);
        let identified = table.is_identified(relation, side);
        let again = !self.seen.insert(relation.id);
        if again || !exact || !identified {
            let name = table.moved.name(side);
            changed_by_now(name, source).await?;
            let now = shape::current(source, &[name]).await?.pop().flatten();
            // Another storage is a rewrite or a truncation: the columns stay.
            let same =
                |now: &Shape| (now.oid, &now.columns) == (table.source.oid, &table.source.columns);
            if !now.as_ref().is_some_and(same) {
                return Err(MoverError::Reshaped {
                    side,
                    table: name.clone(),
                });
            }
        }
        if !identified && !is_identified_now(table, source).await? {
            let name = table.moved.name(side);
            return Err(MoverError::Data {
                object: name.to_string(),
                problem: "its replica identity is not its primary key".to_owned(),
                remedy: format!(
                    "In the {side}'s database run `alter table {} replica identity default`",
                    sql::table(name)
                ),
            });
        }
        let places = table.places(relation, &types, side);
        self.relations.insert(
            relation.id,
            Mapped {
                table: at,
                places,
                width: relation.columns.len(),
            },
        );
        Ok(())
    }

    /// Which table a relation is: by its number, which a new name does not
    /// change; by its name, where it was dropped and made again.
    fn means(&self, relation: &Relation) -> Result<usize, MoverError> {
        let side = self.direction.source();
        let named = |table: &ApplyTable| self.is_named(table, relation);
        let numbered = |table: &ApplyTable| table.source.oid == relation.id;
        let found = self.all.iter().position(numbered);
        let found = found.or_else(|| self.all.iter().position(named));
        found.ok_or_else(|| MoverError::Data {
            object: format!("{}.{}", relation.schema, relation.name),
            problem: format!("the {side}'s publication has it, but the extraction does not"),
            remedy: "Rename it back, or take it out of the publication".to_owned(),
        })
    }

    /// The tables of a truncation; all of them must be ours.
    pub fn truncated(&self, relations: &[u32]) -> Result<Vec<usize>, MoverError> {
        relations
            .iter()
            .map(|&id| Ok(self.mapped(id)?.table))
            .collect()
    }

    /// A row's change out of the stream's message; `None` for other messages.
    pub fn change(&self, message: LogicalMessage) -> Result<Option<Change>, MoverError> {
        Ok(Some(match message {
            LogicalMessage::Insert { relation, new } => {
                let mapped = self.mapped(relation)?;
                let row = mapped.row(new)?;
                let key = self.key(mapped, &row)?;
                Change {
                    table: mapped.table,
                    key,
                    kind: ChangeKind::Insert(row),
                }
            }
            LogicalMessage::Update { relation, old, new } => {
                let mapped = self.mapped(relation)?;
                let row = mapped.row(new)?;
                self.update(mapped, old, row)?
            }
            LogicalMessage::Delete { relation, old } => {
                let mapped = self.mapped(relation)?;
                let key = self.old_key(mapped, old)?;
                Change {
                    table: mapped.table,
                    key,
                    kind: ChangeKind::Delete,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn update(
        &self,
        mapped: &Mapped,
        old: Option<OldTuple>,
        row: Row,
    ) -> Result<Change, MoverError> {
        let table = mapped.table;
        let Some(old) = old else {
            let key = self.key(mapped, &row)?;
            return Ok(Change {
                table,
                key,
                kind: ChangeKind::Update(row),
            });
        };
        let key = self.old_key(mapped, old)?;
        // A long key that did not change is not sent again.
        let same = |(&at, old): (&usize, &bytes::Bytes)| match &row[at] {
            Value::Unchanged => true,
            new => new.text() == Some(old),
        };
        let columns = &self.all[table].moved.key;
        let kind = if columns.iter().zip(key.iter()).all(same) {
            ChangeKind::Update(row)
        } else {
            ChangeKind::Rekey(row)
        };
        Ok(Change { table, key, kind })
    }

    fn mapped(&self, relation: u32) -> Result<&Mapped, MoverError> {
        self.relations
            .get(&relation)
            .ok_or_else(|| damaged("a change names a relation before it is described"))
    }

    fn old_key(&self, mapped: &Mapped, old: OldTuple) -> Result<Key, MoverError> {
        let (OldTuple::Key(tuple) | OldTuple::Row(tuple)) = old;
        let row = mapped.row(tuple)?;
        self.key(mapped, &row)
    }

    fn key(&self, mapped: &Mapped, row: &Row) -> Result<Key, MoverError> {
        let text = |&at: &usize| {
            row[at]
                .text()
                .cloned()
                .ok_or_else(|| damaged("a row comes without its primary key"))
        };
        self.all[mapped.table].moved.key.iter().map(text).collect()
    }
}

impl Mapped {
    fn row(&self, mut tuple: Tuple) -> Result<Row, MoverError> {
        if tuple.len() != self.width {
            return Err(damaged("a row has more or fewer columns than its relation"));
        }
        let take = |at: &Option<usize>| match *at {
            Some(at) => std::mem::replace(&mut tuple[at], Value::Null),
            None => Value::Unchanged,
        };
        Ok(self.places.iter().map(take).collect())
    }
}

async fn types(relation: &Relation, source: &Session) -> Result<Vec<Option<String>>, MoverError> {
    let columns = relation.columns.iter();
    let oids: Vec<u32> = columns.clone().map(|column| column.type_oid).collect();
    let modifiers: Vec<i32> = columns.map(|column| column.type_modifier).collect();
    let types = source
        .query(TYPES, &[&oids, &modifiers])
        .await
        .map_err(MoverError::sql(
            source.side(),
            "reading the types of a changed table",
        ))?;
    Ok(types.iter().map(|row| row.get(0)).collect())
}

/// Waits until a transaction that changes a table is over. A commit is in the
/// change stream before the catalogue shows it, but it keeps its lock until then.
async fn changed_by_now(table: &TableName, source: &Session) -> Result<(), MoverError> {
    let read = format!("select from only {} limit 0", sql::table(table));
    match source.batch_execute(&read).await {
        // Then it has another name, as the catalogue will show.
        Err(error) if error.code() != Some(&SqlState::UNDEFINED_TABLE) => Err(MoverError::sql(
            source.side(),
            "waiting for a change of a table",
        )(error)),
        _ => Ok(()),
    }
}

/// Whether the source's table now names its rows by the primary key, whatever
/// the log says of when its rows were written.
async fn is_identified_now(table: &ApplyTable, source: &Session) -> Result<bool, MoverError> {
    let row = source
        .query_opt(IDENTITY, &[&table.source.oid])
        .await
        .map_err(MoverError::sql(
            source.side(),
            "reading a table's replica identity",
        ))?;
    Ok(row.is_some_and(|row| row.get(0)))
}
