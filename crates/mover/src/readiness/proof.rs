//! Whether the tables are still those that both sides were proven to agree on.

use super::blocker::{Blocker, blocker};
use crate::{
    apply::table,
    catalog::MovedTable,
    database::{session::Session, sql},
    error::MoverError,
    extraction::Mover,
    objects::shape::{self, Drift, Kept},
};
use plan::TableName;
use protocol::{Side, stream::Direction};

impl Mover {
    /// What has changed on either side since both were proven to agree, so that
    /// only a fresh verify says whether they still do: storage that was
    /// rewritten, which writes no change into the log, and columns that are
    /// others than they were.
    pub async fn unproven(&self) -> Result<Vec<Blocker>, MoverError> {
        let (monolith, service) = self.sessions().await?;
        let mappings = &self.extraction.data.tables;
        let moved = crate::catalog::moved_tables(mappings, &monolith, &service).await?;
        let mut found = Vec::new();
        for session in [&monolith, &service] {
            self.drifted(session, &moved, &mut found).await?;
        }
        Ok(found)
    }

    async fn drifted(
        &self,
        session: &Session,
        moved: &[MovedTable],
        found: &mut Vec<Blocker>,
    ) -> Result<(), MoverError> {
        let side = session.side();
        let kept = shape::kept(session, &self.extraction.name).await?;
        let names: Vec<&TableName> = moved.iter().map(|table| table.name(side)).collect();
        let now = shape::current(session, &names).await?;
        for (table, now) in moved.iter().zip(now) {
            let name = table.name(side);
            let moving = table.column_names(side);
            let drifts = match (kept.get(&sql::table(name)), &now) {
                (Some(kept), Some(now)) => Kept::drift(kept, now, &moving),
                _ => vec![Drift::Rewritten],
            };
            for drift in drifts {
                found.push(told(side, name, drift, &self.extraction.name));
            }
        }
        Ok(())
    }

    /// Whether the tables flow in both directions as they are: the way back, too.
    pub(super) async fn unpaired(
        &self,
        monolith: &Session,
        service: &Session,
        found: &mut Vec<Blocker>,
    ) -> Result<(), MoverError> {
        let mappings = &self.extraction.data.tables;
        for direction in Direction::BOTH {
            let (source, target) = match direction {
                Direction::Forward => (monolith, service),
                Direction::Reverse => (service, monolith),
            };
            let name = &self.extraction.name;
            match table::open(direction, name, mappings, source, target).await {
                Ok(_) => {}
                Err(MoverError::Data {
                    object,
                    problem,
                    remedy,
                }) => found.push(Blocker {
                    object,
                    problem,
                    remedy,
                }),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}

fn told(side: Side, table: &TableName, drift: Drift, name: &plan::ExtractionName) -> Blocker {
    let remedy = format!("Prove that both sides agree: `banyan verify {name}`");
    match drift {
        Drift::Rewritten => blocker(
            format!("{table} ({side})"),
            "its rows were rewritten since the last proof (by ALTER TABLE, VACUUM FULL, TRUNCATE or \
             the like), which writes no change that the other side could follow",
            &remedy,
        ),
        Drift::Column(column) => blocker(
            format!("{table}.{column} ({side})"),
            "the column was added, made again or got another type since the last proof",
            &remedy,
        ),
    }
}
