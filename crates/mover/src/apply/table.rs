//! One moved table as the applier sees it: opened from both catalogues, and
//! fitted to what the stream calls its relation.

use super::pairing::{self, Described, Pair};
use crate::{
    catalog::{self, MovedTable, operators::KeyOperators},
    database::session::Session,
    error::MoverError,
    objects::shape::{self, Kept, Shape},
    pgoutput::Relation,
};
use plan::{ExtractionName, TableMapping, TableName};
use protocol::{Side, stream::Direction};
use std::collections::{BTreeMap, HashSet};

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
    /// Columns of the target's table that get no value from the source.
    pub own: Vec<String>,
    /// How the target compares keys.
    pub operators: KeyOperators,
    /// The source's table when this was opened.
    pub(super) source: Shape,
    /// What was kept of the source's table.
    kept: Kept,
    /// Columns of the source's table that never flowed.
    ignored: HashSet<String>,
}

const TARGET: &str = "select a.attname::text, format_type(a.atttypid, -1), a.attidentity = 'a' \
    from pg_attribute a join pg_class c on c.oid = a.attrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped";

const DEFINITION: &str = "select format_type(a.atttypid, a.atttypmod), a.attnotnull, \
        pg_get_expr(d.adbin, d.adrelid) \
    from pg_attribute a join pg_class c on c.oid = a.attrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
    where n.nspname = $1 and c.relname = $2 and a.attname = $3";

/// Opens the tables of one direction, and keeps what they are made of where
/// nothing was kept of them before.
pub(crate) async fn open(
    direction: Direction,
    extraction: &ExtractionName,
    mappings: &[TableMapping],
    source: &Session,
    target: &Session,
) -> Result<Vec<ApplyTable>, MoverError> {
    let mut sources = described(extraction, mappings, source).await?.into_iter();
    let mut targets = described(extraction, mappings, target).await?.into_iter();
    let mut all = Vec::with_capacity(mappings.len());
    let (mut new_sources, mut new_targets) = (Vec::new(), Vec::new());
    for mapping in mappings {
        let (Some(ours), Some(theirs)) = (sources.next(), targets.next()) else {
            break;
        };
        let pair = match pairing::pair(direction, mapping, &ours, &theirs) {
            Ok(pair) => pair,
            Err(unpaired) => {
                let text = definition(source, &ours.table.name, unpaired.missing()).await?;
                return Err(unpaired.into_error(direction, &ours.table, &theirs.table, &text));
            }
        };
        if ours.kept.is_none() {
            let moving = pair.moved.column_names(source.side());
            let kept = Kept::of(&ours.shape, &moving);
            new_sources.push((pair.moved.name(source.side()).clone(), kept));
        }
        if theirs.kept.is_none() {
            let moving = pair.moved.column_names(target.side());
            let kept = Kept::of(&theirs.shape, &moving);
            new_targets.push((pair.moved.name(target.side()).clone(), kept));
        }
        all.push(ApplyTable::load(pair, ours, target).await?);
    }
    for (session, new) in [(source, &new_sources), (target, &new_targets)] {
        if !new.is_empty() {
            let new: Vec<_> = new
                .iter()
                .map(|(name, kept)| (name, kept.clone()))
                .collect();
            shape::keep(session, extraction, &new).await?;
        }
    }
    Ok(all)
}

/// A side's tables, in the order of the mappings.
async fn described(
    extraction: &ExtractionName,
    mappings: &[TableMapping],
    session: &Session,
) -> Result<Vec<Described>, MoverError> {
    let side = session.side();
    let names: Vec<&TableName> = mappings
        .iter()
        .map(|mapping| match side {
            Side::Monolith => &mapping.monolith,
            Side::Service => &mapping.service,
        })
        .collect();
    let mut kept: BTreeMap<String, Kept> = shape::kept(session, extraction).await?;
    let shapes = shape::current(session, &names).await?;
    let mut all = Vec::with_capacity(names.len());
    for (name, shape) in names.into_iter().zip(shapes) {
        let table = catalog::table(session, name).await?;
        let (Some(table), Some(shape)) = (table, shape) else {
            return Err(MoverError::Data {
                object: name.to_string(),
                problem: format!("the {side}'s database has no such table, or it has no columns"),
                remedy: "Give it its name back".to_owned(),
            });
        };
        all.push(Described {
            table,
            shape,
            kept: kept.remove(&crate::database::sql::table(name)),
        });
    }
    Ok(all)
}

/// What stands after a column's name where it is defined.
async fn definition(
    session: &Session,
    table: &TableName,
    column: Option<&str>,
) -> Result<String, MoverError> {
    let Some(column) = column else {
        return Ok(String::new());
    };
    let row = session
        .query_opt(DEFINITION, &[&table.schema, &table.table, &column])
        .await
        .map_err(MoverError::sql(
            session.side(),
            "reading a column's definition",
        ))?;
    let Some(row) = row else {
        return Ok(String::new());
    };
    let mut text: String = row.get(0);
    // A sequence of one side is none of the other's.
    let default = row.get::<_, Option<String>>(2);
    if let Some(default) = default.filter(|default| !default.contains("nextval(")) {
        text = format!("{text} default {default}");
        if row.get(1) {
            text.push_str(" not null");
        }
    }
    Ok(text)
}

impl ApplyTable {
    /// Whether the key has a column that no update may set.
    pub fn key_is_fixed(&self) -> bool {
        self.moved.key.iter().any(|&at| self.fixed[at])
    }

    async fn load(pair: Pair, source: Described, target: &Session) -> Result<Self, MoverError> {
        let Pair {
            moved,
            own,
            ignored,
        } = pair;
        let name = moved.name(target.side());
        let rows = target
            .query(TARGET, &[&name.schema, &name.table])
            .await
            .map_err(MoverError::sql(target.side(), "reading the catalogue"))?;
        let operators = KeyOperators::of(target, name).await?;
        let mut casts = Vec::with_capacity(moved.columns.len());
        let mut fixed = Vec::with_capacity(moved.columns.len());
        for column in moved.column_names(target.side()) {
            let row = rows
                .iter()
                .find(|row| row.get::<_, &str>(0) == column)
                .ok_or_else(|| MoverError::Reshaped {
                    side: target.side(),
                    table: name.clone(),
                })?;
            casts.push(row.get(1));
            fixed.push(row.get(2));
        }
        let Described { shape, kept, .. } = source;
        let moving = moved.column_names(target.side().other());
        let kept = kept.unwrap_or_else(|| Kept::of(&shape, &moving));
        Ok(Self {
            moved,
            casts,
            fixed,
            own,
            operators,
            source: shape,
            kept,
            ignored,
        })
    }

    /// Whether a relation has exactly the columns that this was opened with.
    pub(super) fn is_exactly(
        &self,
        relation: &Relation,
        types: &[Option<String>],
        side: Side,
    ) -> bool {
        let mut flowing = 0;
        for (column, kind) in relation.columns.iter().zip(types) {
            let found = self
                .moved
                .columns
                .iter()
                .find(|moved| moved.name(side) == column.name);
            match found {
                Some(moved) if kind.as_deref() == Some(moved.type_name(side)) => flowing += 1,
                None if self.ignored.contains(&column.name) => {}
                _ => return false,
            }
        }
        flowing == self.moved.columns.len()
    }

    /// Where each of our columns is in the relation's tuples. One that is not
    /// there was added later: its rows get what the target gives them. One that
    /// we do not have was dropped later on both sides, and may have another
    /// name by now.
    pub(super) fn places(
        &self,
        relation: &Relation,
        types: &[Option<String>],
        side: Side,
    ) -> Vec<Option<usize>> {
        let named: Vec<&str> = relation
            .columns
            .iter()
            .map(|column| self.name_now(&column.name, relation))
            .collect();
        let place = |column: &catalog::MovedColumn| {
            let name = column.name(side);
            let at = named.iter().position(|named| *named == name)?;
            // Of another type and never proven: one that was dropped since, and
            // added again.
            let same = types.get(at).and_then(Option::as_deref) == Some(column.type_name(side));
            (same || self.kept.columns.contains_key(name)).then_some(at)
        };
        self.moved.columns.iter().map(place).collect()
    }

    fn name_now<'a>(&'a self, name: &'a str, relation: &Relation) -> &'a str {
        if self.source.columns.contains_key(name) {
            return name;
        }
        let renamed = self.kept.renamed(name, &self.source);
        let free = |now: &&str| !relation.columns.iter().any(|column| column.name == **now);
        renamed.filter(free).unwrap_or(name)
    }

    /// Whether updates and deletes of a relation name the row by our key.
    pub(super) fn is_identified(&self, relation: &Relation, side: Side) -> bool {
        let key = self.moved.key_names(side);
        let identity: HashSet<&str> = relation
            .columns
            .iter()
            .filter(|column| column.identity)
            .map(|column| column.name.as_str())
            .collect();
        // `nothing`: the source refuses updates and deletes itself.
        matches!(relation.replica_identity, b'f' | b'n')
            || (key.len() == identity.len() && key.iter().all(|name| identity.contains(name)))
    }
}
