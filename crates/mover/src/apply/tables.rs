//! The moved tables as the applier sees them, and whether what the stream
//! calls a relation is still one of them.

use super::change::{Change, ChangeKind, Key, Row};
use crate::{
    catalog::{self, MovedTable},
    database::session::Session,
    error::{MoverError, damaged},
    pgoutput::{LogicalMessage, OldTuple, Relation, Tuple, Value},
};
use plan::{TableMapping, TableWrites};
use protocol::{Side, stream::Direction};
use std::collections::{HashMap, HashSet};

/// One table, with what its target's catalogue adds.
#[derive(Debug)]
pub struct ApplyTable {
    /// Names, columns and key on both sides.
    pub moved: MovedTable,
    /// How a text is cast for each column: the type without its modifier, as
    /// an explicit cast to `varchar(3)` cuts off what an assignment refuses.
    pub casts: Vec<String>,
    /// Columns that are `generated always as identity`: not to be set.
    pub fixed: Vec<bool>,
    /// Columns of the target's table that do not move.
    pub own: Vec<String>,
    /// Columns of the source's table that do not move and never have.
    extras: HashSet<String>,
}

/// The tables of one direction.
#[derive(Debug)]
pub struct Tables {
    direction: Direction,
    all: Vec<ApplyTable>,
    /// Described by the stream and looked at when a row of theirs is applied:
    /// a stream that applies nothing does not care how its tables change.
    announced: HashMap<u32, Relation>,
    relations: HashMap<u32, Mapped>,
}

/// How a relation's tuples become rows.
#[derive(Debug)]
struct Mapped {
    table: usize,
    /// For each column of the moved table, where it is in the tuple.
    places: Vec<usize>,
    width: usize,
}

const TARGET: &str = "select a.attname::text, format_type(a.atttypid, -1), a.attidentity = 'a', \
        a.attgenerated = '' \
    from pg_attribute a join pg_class c on c.oid = a.attrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped";

const TYPES: &str = "select format_type(oid, modifier) \
    from unnest($1::oid[], $2::int4[]) with ordinality t(oid, modifier, at) order by at";

impl Tables {
    /// Reads both catalogues.
    pub async fn load(
        direction: Direction,
        mappings: &[TableMapping],
        source: &Session,
        target: &Session,
    ) -> Result<Self, MoverError> {
        let (monolith, service) = match direction {
            Direction::Forward => (source, target),
            Direction::Reverse => (target, source),
        };
        let mut all = Vec::new();
        for moved in catalog::moved_tables(mappings, monolith, service).await? {
            all.push(ApplyTable::load(moved, source, target).await?);
        }
        Ok(Self {
            direction,
            all,
            announced: HashMap::new(),
            relations: HashMap::new(),
        })
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
        let table = match self.relations.get(&relation) {
            Some(mapped) => self.all.get(mapped.table),
            None => self
                .announced
                .get(&relation)
                .and_then(|relation| self.all.iter().find(|table| self.is_named(table, relation))),
        };
        table
            .map(|table| table.moved.mapping.writes)
            .unwrap_or_default()
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
        let named = |table: &ApplyTable| self.is_named(table, relation);
        let Some(table) = self.all.iter().position(named) else {
            return Err(MoverError::Data {
                object: format!("{}.{}", relation.schema, relation.name),
                problem: format!("the {side}'s publication has it, but the extraction does not"),
                remedy: "Rename it back, or take it out of the publication".to_owned(),
            });
        };
        let oids: Vec<u32> = relation
            .columns
            .iter()
            .map(|column| column.type_oid)
            .collect();
        let modifiers: Vec<i32> = relation.columns.iter().map(|c| c.type_modifier).collect();
        let types = source
            .query(TYPES, &[&oids, &modifiers])
            .await
            .map_err(MoverError::sql(
                side,
                "reading the types of a changed table",
            ))?;
        let types: Vec<Option<String>> = types.iter().map(|row| row.get(0)).collect();
        let places = self.all[table].fit(relation, &types, side)?;
        self.relations.insert(
            relation.id,
            Mapped {
                table,
                places,
                width: relation.columns.len(),
            },
        );
        Ok(())
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
        let take = |&at: &usize| std::mem::replace(&mut tuple[at], Value::Null);
        Ok(self.places.iter().map(take).collect())
    }
}

impl ApplyTable {
    /// Whether the key has a column that no update may set.
    pub fn key_is_fixed(&self) -> bool {
        self.moved.key.iter().any(|&at| self.fixed[at])
    }

    async fn load(
        moved: MovedTable,
        source: &Session,
        target: &Session,
    ) -> Result<Self, MoverError> {
        let name = moved.name(target.side());
        let rows = target
            .query(TARGET, &[&name.schema, &name.table])
            .await
            .map_err(MoverError::sql(target.side(), "reading the catalogue"))?;
        let mut casts = Vec::with_capacity(moved.columns.len());
        let mut fixed = Vec::with_capacity(moved.columns.len());
        for column in moved.column_names(target.side()) {
            let row = rows
                .iter()
                .find(|row| row.get::<_, &str>(0) == column)
                .ok_or_else(|| MoverError::Data {
                    object: format!("{name}.{column}"),
                    problem: "it was dropped just now".to_owned(),
                    remedy: "Put it back".to_owned(),
                })?;
            casts.push(row.get(1));
            fixed.push(row.get(2));
        }
        let moving = moved.column_names(target.side());
        let own = rows
            .iter()
            .filter(|row| row.get(3))
            .map(|row| row.get::<_, String>(0));
        let own = own
            .filter(|name| !moving.contains(&name.as_str()))
            .collect();
        let described = catalog::table(source, moved.name(source.side())).await?;
        let known = moved.column_names(source.side());
        let extras = described
            .into_iter()
            .flat_map(|table| table.columns)
            .map(|column| column.name)
            .filter(|name| !known.contains(&name.as_str()))
            .collect();
        Ok(Self {
            moved,
            casts,
            fixed,
            own,
            extras,
        })
    }

    /// Where each of our columns is in the relation's tuples.
    fn fit(
        &self,
        relation: &Relation,
        types: &[Option<String>],
        side: Side,
    ) -> Result<Vec<usize>, MoverError> {
        let name = self.moved.name(side);
        let unfit = |column: &str, problem: String| MoverError::Data {
            object: format!("{name}.{column}"),
            problem,
            remedy: "Undo the change of the table, or cancel the extraction, make the same \
                     change on the other side and start again"
                .to_owned(),
        };
        let known = self.moved.column_names(side);
        let new = relation.columns.iter().find(|column| {
            !known.contains(&column.name.as_str()) && !self.extras.contains(&column.name)
        });
        if let Some(column) = new {
            let problem = format!("the {side}'s table got this column after the copy began");
            return Err(unfit(&column.name, problem));
        }
        let mut places = Vec::with_capacity(known.len());
        for column in &self.moved.columns {
            let ours = column.name(side);
            let Some(at) = relation
                .columns
                .iter()
                .position(|theirs| theirs.name == ours)
            else {
                return Err(unfit(ours, format!("the {side}'s table lost this column")));
            };
            if types.get(at).and_then(Option::as_deref) != Some(column.type_name(side)) {
                let problem = format!(
                    "its type in the {side}'s table is no longer {}",
                    column.type_name(side)
                );
                return Err(unfit(ours, problem));
            }
            places.push(at);
        }
        self.identified(relation, side)?;
        Ok(places)
    }

    /// Updates and deletes must name the row by our key.
    fn identified(&self, relation: &Relation, side: Side) -> Result<(), MoverError> {
        let key = self.moved.key_names(side);
        let identity = relation.columns.iter().filter(|column| column.identity);
        let by_key = || {
            let names: HashSet<&str> = identity
                .clone()
                .map(|column| column.name.as_str())
                .collect();
            key.iter().all(|name| names.contains(name)) && names.len() == key.len()
        };
        // `nothing`: the source refuses updates and deletes itself.
        if matches!(relation.replica_identity, b'f' | b'n') || by_key() {
            return Ok(());
        }
        Err(MoverError::Data {
            object: self.moved.name(side).to_string(),
            problem: "its replica identity is not its primary key".to_owned(),
            remedy: "Set it by `alter table ... replica identity default` and start again"
                .to_owned(),
        })
    }
}
