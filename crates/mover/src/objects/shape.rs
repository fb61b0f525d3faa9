//! What the moved tables of one side are made of: the identity of their columns
//! and of their storage.
//!
//! `banyan.shape` keeps what it was when both sides were proven to agree last,
//! or at first, when following began. A rewrite writes no change into the log,
//! and a column that was dropped and made again is another one: both are seen
//! only by comparing (see [`Kept::drift`]).

use super::schema;
use crate::{
    database::{session::Session, sql},
    error::MoverError,
    layout::{SCHEMA, SHAPE_TABLE},
};
use plan::{ExtractionName, TableName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A table as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Its number in the catalogue, by which the change stream calls it.
    pub oid: u32,
    /// The files of it and of its partitions: others after a rewrite.
    pub storage: String,
    /// Its stored columns by name.
    pub columns: BTreeMap<String, ColumnIdentity>,
}

/// What makes a column the one that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnIdentity {
    /// Its number: another one after it was dropped and made again.
    pub number: i16,
    /// Its type, as SQL writes it.
    pub type_name: String,
}

/// A table as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// As [`Shape::storage`].
    pub storage: String,
    /// By name.
    pub columns: BTreeMap<String, KeptColumn>,
}

/// A column as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptColumn {
    /// What made it the one that it was.
    #[serde(flatten)]
    pub identity: ColumnIdentity,
    /// Whether the other side has it, too.
    pub moves: bool,
}

/// How a table differs from what was kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// Its storage is another one: a rewrite, which may have changed values.
    Rewritten,
    /// This moving column is another one, or has another type.
    Column(String),
}

impl Kept {
    /// What is to be kept of a table, whose moving columns are these.
    pub fn of(shape: &Shape, moving: &[&str]) -> Self {
        let keep = |(name, identity): (&String, &ColumnIdentity)| {
            let column = KeptColumn {
                identity: identity.clone(),
                moves: moving.contains(&name.as_str()),
            };
            (name.clone(), column)
        };
        Self {
            storage: shape.storage.clone(),
            columns: shape.columns.iter().map(keep).collect(),
        }
    }

    /// How the table is no longer what was proven. A moving column that is
    /// missing now is not told: nothing of it can go wrong silently.
    pub fn drift(&self, now: &Shape, moving: &[&str]) -> Vec<Drift> {
        let mut found = Vec::new();
        if self.storage != now.storage {
            found.push(Drift::Rewritten);
        }
        for (name, identity) in &now.columns {
            let kept = self.columns.get(name);
            let same = kept.is_some_and(|kept| kept.identity == *identity);
            if moving.contains(&name.as_str()) && !same {
                found.push(Drift::Column(name.clone()));
            }
        }
        found
    }

    /// The present name of a column that was called so.
    pub fn renamed<'a>(&self, old: &str, now: &'a Shape) -> Option<&'a str> {
        let number = self.columns.get(old)?.identity.number;
        let same = |(_, identity): &(&String, &ColumnIdentity)| identity.number == number;
        now.columns.iter().find(same).map(|(name, _)| name.as_str())
    }
}

const CURRENT: &str = "select w.position, c.oid, \
        (select string_agg(pg_relation_filenode(p.oid)::text, ',' order by p.oid) \
            from (select c.oid union select t.relid::oid from pg_partition_tree(c.oid) t) p), \
        a.attname::text, a.attnum, format_type(a.atttypid, a.atttypmod) \
    from unnest($1::text[], $2::text[]) with ordinality w(schema, name, position) \
    join pg_namespace n on n.nspname = w.schema \
    join pg_class c on c.relnamespace = n.oid and c.relname = w.name \
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 \
        and not a.attisdropped and a.attgenerated = ''";

/// The tables as they are; `None` for one that is not there.
pub async fn current(
    session: &Session,
    tables: &[&TableName],
) -> Result<Vec<Option<Shape>>, MoverError> {
    let schemas: Vec<&str> = tables.iter().map(|name| name.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|name| name.table.as_str()).collect();
    let rows = session
        .query(CURRENT, &[&schemas, &names])
        .await
        .map_err(MoverError::sql(
            session.side(),
            "reading what the tables are made of",
        ))?;
    let mut shapes: Vec<Option<Shape>> = vec![None; tables.len()];
    for row in rows {
        let at = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        let Some(place) = shapes.get_mut(at) else {
            continue;
        };
        let shape = place.get_or_insert_with(|| Shape {
            oid: row.get(1),
            storage: row.get::<_, Option<String>>(2).unwrap_or_default(),
            columns: BTreeMap::new(),
        });
        let identity = ColumnIdentity {
            number: row.get(4),
            type_name: row.get(5),
        };
        shape.columns.insert(row.get(3), identity);
    }
    Ok(shapes)
}

/// What was kept of an extraction's tables, by their quoted names.
pub async fn kept(
    session: &Session,
    extraction: &ExtractionName,
) -> Result<BTreeMap<String, Kept>, MoverError> {
    let side = session.side();
    let wrap = || MoverError::sql(side, "reading what the tables were made of");
    if !schema::has(&**session, side, "shape").await? {
        return Ok(BTreeMap::new());
    }
    let select =
        format!("select relation, storage, columns from {SCHEMA}.shape where extraction = $1");
    let rows = session
        .query(&select, &[&extraction.as_str()])
        .await
        .map_err(wrap())?;
    let mut kept = BTreeMap::new();
    for row in rows {
        let columns = serde_json::from_str(row.get(2)).map_err(|_| MoverError::Data {
            object: format!("{SCHEMA}.shape in the {side}'s database"),
            problem: "what was kept of a table cannot be read".to_owned(),
            remedy: "Use the version of banyan that wrote it".to_owned(),
        })?;
        let storage = row.get(1);
        kept.insert(row.get(0), Kept { storage, columns });
    }
    Ok(kept)
}

/// Keeps these tables' shapes, instead of what was kept of them before.
pub async fn keep(
    session: &Session,
    extraction: &ExtractionName,
    tables: &[(&TableName, Kept)],
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(session.side(), "keeping what the tables are made of");
    session.batch_execute(SHAPE_TABLE).await.map_err(wrap())?;
    let upsert = format!(
        "insert into {SCHEMA}.shape (extraction, relation, storage, columns) \
         select $1, u.relation, u.storage, u.columns \
         from unnest($2::text[], $3::text[], $4::text[]) u(relation, storage, columns) \
         on conflict (extraction, relation) do update \
         set storage = excluded.storage, columns = excluded.columns, kept_at = now()"
    );
    let relations: Vec<String> = tables.iter().map(|(name, _)| sql::table(name)).collect();
    let storages: Vec<&str> = tables.iter().map(|(_, kept)| &*kept.storage).collect();
    let columns: Vec<String> = tables
        .iter()
        .map(|(_, kept)| serde_json::to_string(&kept.columns).unwrap_or_default())
        .collect();
    session
        .execute(
            &upsert,
            &[&extraction.as_str(), &relations, &storages, &columns],
        )
        .await
        .map_err(wrap())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(storage: &str, columns: &[(&str, i16, &str)]) -> Shape {
        let column = |&(name, number, kind): &(&str, i16, &str)| {
            let identity = ColumnIdentity {
                number,
                type_name: kind.to_owned(),
            };
            (name.to_owned(), identity)
        };
        Shape {
            oid: 1,
            storage: storage.to_owned(),
            columns: columns.iter().map(column).collect(),
        }
    }

    #[test]
    fn what_is_another_one_is_told() {
        let before = shape(
            "7",
            &[("id", 1, "bigint"), ("a", 2, "text"), ("own", 3, "text")],
        );
        let kept = Kept::of(&before, &["id", "a"]);
        let moving = ["id", "a"];
        assert_eq!(kept.drift(&before, &moving), []);
        let rewritten = shape("8", &[("id", 1, "bigint"), ("a", 2, "text")]);
        assert_eq!(kept.drift(&rewritten, &moving), [Drift::Rewritten]);
        let again = shape("7", &[("id", 1, "bigint"), ("a", 4, "text")]);
        assert_eq!(kept.drift(&again, &moving), [Drift::Column("a".to_owned())]);
        let other = shape("7", &[("id", 1, "integer"), ("a", 2, "text")]);
        assert_eq!(
            kept.drift(&other, &moving),
            [Drift::Column("id".to_owned())]
        );
        let added = shape(
            "7",
            &[("id", 1, "bigint"), ("a", 2, "text"), ("b", 4, "text")],
        );
        assert_eq!(
            kept.drift(&added, &["id", "a", "b"]),
            [Drift::Column("b".to_owned())]
        );
        assert_eq!(kept.drift(&added, &moving), []);
        let renamed = shape("7", &[("id", 1, "bigint"), ("c", 2, "text")]);
        assert_eq!(kept.renamed("a", &renamed), Some("c"));
        assert_eq!(kept.renamed("b", &renamed), None);
    }
}
