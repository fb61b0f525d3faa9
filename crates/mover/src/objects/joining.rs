//! Tables that are added to an extraction which has begun.
//!
//! What the service's database says of such a table decides what the stream does
//! with it. Until its copy is there nothing of it is applied, and the source is
//! not told that anything is stored. Then the stream goes back to the copy's
//! snapshot, if it had come further: of the added table what was committed since
//! is applied, of the others what was committed since they had been followed to.

use super::schema;
use crate::{database::sql, error::MoverError, extraction::ReplicatedExtraction, layout::SCHEMA};
use plan::{ExtractionName, TableMapping, TableName};
use protocol::{Lsn, Side, stream::Direction};
use std::collections::HashMap;
use tokio_postgres::GenericClient;

/// How far a table has come that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It may join: nothing has been touched.
    Allowed,
    /// It is fenced at the service, where all of its rows are ours.
    Copying,
    /// Its copy has all that was committed before `from`, and the other tables
    /// had then what was committed before `others_from`.
    Joined { from: Lsn, others_from: Lsn },
}

/// The tables of an extraction that were added, by the monolith's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Joining(HashMap<TableName, Stage>);

impl Joining {
    /// Of one table; `None`: it was there from the start.
    pub(crate) fn stage(&self, table: &TableMapping) -> Option<Stage> {
        self.0.get(&table.monolith).copied()
    }

    /// Whether a table is not copied yet.
    pub(crate) fn lacks(&self, table: &TableMapping) -> bool {
        matches!(self.stage(table), Some(Stage::Allowed | Stage::Copying))
    }

    /// Changes of a table that were committed before this are in the target, or
    /// will be by its copy.
    pub(crate) fn has_until(&self, table: &TableMapping) -> Lsn {
        let own = match self.stage(table) {
            Some(Stage::Allowed | Stage::Copying) => return Lsn::MAX,
            Some(Stage::Joined { from, .. }) => from,
            None => Lsn::default(),
        };
        let others = self.0.values().map(|stage| match *stage {
            // Those with its own snapshot joined together with it.
            Stage::Joined { from, others_from } if from != own => others_from,
            _ => Lsn::default(),
        });
        others.max().unwrap_or_default().max(own)
    }

    /// Up to where the tables of the start had been followed, where a direction's stream
    /// went back for others: only that to the service does.
    pub(crate) fn had_until(&self, direction: Direction) -> Lsn {
        if direction == Direction::Reverse {
            return Lsn::default();
        }
        let had = self.0.values().map(|stage| match *stage {
            Stage::Joined { others_from, .. } => others_from,
            Stage::Allowed | Stage::Copying => Lsn::default(),
        });
        had.max().unwrap_or_default()
    }

    /// The names on a side of the tables that are not copied yet.
    pub(crate) fn lacking(&self, extraction: &ReplicatedExtraction, side: Side) -> Vec<TableName> {
        names(extraction, side, |table| self.lacks(table))
    }

    /// The same of those of which nothing has been touched.
    pub(crate) fn untouched(
        &self,
        extraction: &ReplicatedExtraction,
        side: Side,
    ) -> Vec<TableName> {
        names(extraction, side, |table| {
            self.stage(table) == Some(Stage::Allowed)
        })
    }

    /// The same of all that were added.
    pub(crate) fn added(&self, extraction: &ReplicatedExtraction, side: Side) -> Vec<TableName> {
        names(extraction, side, |table| self.stage(table).is_some())
    }
}

fn names(
    extraction: &ReplicatedExtraction,
    side: Side,
    wanted: impl Fn(&TableMapping) -> bool,
) -> Vec<TableName> {
    let tables = extraction.data.tables.iter();
    let wanted = tables.filter(|table| wanted(table));
    let name = |table: &TableMapping| match side {
        Side::Monolith => table.monolith.clone(),
        Side::Service => table.service.clone(),
    };
    wanted.map(name).collect()
}

/// Reads those of the plan's tables that were added.
pub(crate) async fn read(
    service: &impl GenericClient,
    extraction: &ReplicatedExtraction,
) -> Result<Joining, MoverError> {
    let wrap = || MoverError::sql(Side::Service, "reading which tables were added");
    if !schema::has(service, Side::Service, "joining").await? {
        return Ok(Joining::default());
    }
    let select = format!(
        "select relation, position::text, others_from::text from {SCHEMA}.joining \
         where extraction = $1"
    );
    let rows = service
        .query(&select, &[&extraction.name.as_str()])
        .await
        .map_err(wrap())?;
    let lsn = |text: &str| text.parse().unwrap_or_default();
    let stages: HashMap<String, Stage> = rows
        .iter()
        .map(|row| {
            let stage = match row.get::<_, Option<&str>>(1).map(lsn) {
                None => Stage::Allowed,
                Some(Lsn(0)) => Stage::Copying,
                Some(from) => Stage::Joined {
                    from,
                    others_from: lsn(row.get(2)),
                },
            };
            (row.get(0), stage)
        })
        .collect();
    let tables = extraction.data.tables.iter();
    let found = tables.filter_map(|table| {
        let stage = stages.get(&sql::table(&table.monolith))?;
        Some((table.monolith.clone(), *stage))
    });
    Ok(Joining(found.collect()))
}

/// The tables that may join, or are being copied, whatever the plan has; by the
/// monolith's quoted names.
pub(crate) async fn all_lacking(
    service: &impl GenericClient,
    extraction: &ExtractionName,
) -> Result<Vec<String>, MoverError> {
    let wrap = || MoverError::sql(Side::Service, "reading which tables were added");
    if !schema::has(service, Side::Service, "joining").await? {
        return Ok(Vec::new());
    }
    let select = format!(
        "select relation from {SCHEMA}.joining \
         where extraction = $1 and (position is null or position = '0/0') order by 1"
    );
    let rows = service.query(&select, &[&extraction.as_str()]).await;
    Ok(rows.map_err(wrap())?.iter().map(|row| row.get(0)).collect())
}

/// Takes back what was allowed, where nothing has come of it; says of what.
pub(crate) async fn take_back(
    service: &impl GenericClient,
    extraction: &ExtractionName,
) -> Result<Vec<String>, MoverError> {
    if !schema::has(service, Side::Service, "joining").await? {
        return Ok(Vec::new());
    }
    let delete = format!(
        "delete from {SCHEMA}.joining where extraction = $1 and position is null \
         returning relation"
    );
    let rows = service.query(&delete, &[&extraction.as_str()]).await;
    let wrap = MoverError::sql(Side::Service, "taking back which tables may join");
    Ok(rows.map_err(wrap)?.iter().map(|row| row.get(0)).collect())
}

/// Lets a table join.
pub(crate) async fn allow(
    service: &impl GenericClient,
    extraction: &ExtractionName,
    monolith: &TableName,
) -> Result<(), MoverError> {
    let insert = format!(
        "insert into {SCHEMA}.joining (extraction, relation) values ($1, $2) \
         on conflict do nothing"
    );
    service
        .execute(&insert, &[&extraction.as_str(), &sql::table(monolith)])
        .await
        .map(drop)
        .map_err(MoverError::sql(Side::Service, "letting a table join"))
}

/// Writes down how far tables have come: they are being copied, or were. The
/// caller has locked the ownership row.
pub(crate) async fn set(
    service: &impl GenericClient,
    extraction: &ExtractionName,
    monolith: &[TableName],
    stage: Stage,
) -> Result<(), MoverError> {
    let (from, others_from) = match stage {
        Stage::Allowed => return Ok(()),
        Stage::Copying => Default::default(),
        Stage::Joined { from, others_from } => (from, others_from),
    };
    let relations: Vec<String> = monolith.iter().map(sql::table).collect();
    let update = format!(
        "update {SCHEMA}.joining set position = $3::text::pg_lsn, \
            others_from = $4::text::pg_lsn \
         where extraction = $1 and relation = any($2)"
    );
    let name = extraction.as_str();
    let (from, others_from) = (from.to_string(), others_from.to_string());
    service
        .execute(&update, &[&name, &relations, &from, &others_from])
        .await
        .map(drop)
        .map_err(MoverError::sql(Side::Service, "adding tables"))
}

/// Forgets where tables that have joined are followed from, as the stream begins
/// anew with them: positions of another log mean nothing.
pub(crate) async fn forget_joined(
    service: &impl GenericClient,
    extraction: &ExtractionName,
) -> Result<(), MoverError> {
    let delete = format!("delete from {SCHEMA}.joining where extraction = $1 and position > '0/0'");
    service
        .execute(&delete, &[&extraction.as_str()])
        .await
        .map(drop)
        .map_err(MoverError::sql(
            Side::Service,
            "forgetting where tables were added",
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::TableWrites;

    fn table(name: &str) -> TableMapping {
        let name = TableName {
            schema: "public".into(),
            table: name.into(),
        };
        TableMapping {
            monolith: name.clone(),
            service: name,
            writes: TableWrites::Owner,
            renames: Vec::new(),
        }
    }

    #[test]
    fn each_table_is_followed_from_where_it_was_left() {
        let (old, first, second) = (table("old"), table("first"), table("second"));
        let joined = |from, others_from| Stage::Joined {
            from: Lsn(from),
            others_from: Lsn(others_from),
        };
        let of = |stages: &[(&TableMapping, Stage)]| {
            let stages = stages.iter();
            Joining(
                stages
                    .map(|(one, at)| (one.monolith.clone(), *at))
                    .collect(),
            )
        };
        assert_eq!(Joining::default().has_until(&old), Lsn(0));

        let copying = of(&[(&first, Stage::Copying)]);
        assert_eq!(copying.has_until(&first), Lsn::MAX);
        assert_eq!(copying.has_until(&old), Lsn(0));

        // The others had come to 90 when the copy of 50 was whole.
        let one = of(&[(&first, joined(50, 90))]);
        assert_eq!(one.has_until(&first), Lsn(50));
        assert_eq!(one.has_until(&old), Lsn(90));

        // The stream had not gone on from 50 when the next one joined.
        let two = of(&[(&first, joined(50, 90)), (&second, joined(120, 50))]);
        assert_eq!(two.has_until(&old), Lsn(90));
        assert_eq!(two.has_until(&first), Lsn(50));
        assert_eq!(two.has_until(&second), Lsn(120));

        let together = of(&[(&first, joined(50, 90)), (&second, joined(50, 90))]);
        assert_eq!(together.has_until(&first), Lsn(50));
        assert_eq!(together.has_until(&second), Lsn(50));
    }
}
