//! Whether an extraction that has begun moves the tables that the plan says, and
//! as it says.
//!
//! What was begun is what the databases hold: the row, and the publication with
//! the tables. A plan that adds, drops or renames some would go on with streams
//! that lack them, and nobody would be told. One that has other `writes` would mix
//! rows that each side keeps, or fence tables that both insert into.

use crate::{
    database::session::Session,
    error::MoverError,
    extraction::Mover,
    objects::{declared, joining, owner, publication},
};
use plan::TableName;
use protocol::{
    Side,
    finding::{Finding, FindingId},
    owner::{Owner, OwnerRow},
};
use std::collections::BTreeSet;

impl Mover {
    /// Refuses a plan whose tables are not those that the extraction was begun
    /// with; nothing where it has not begun.
    pub async fn begun_otherwise(&self) -> Result<Vec<Finding>, MoverError> {
        let mut found = Vec::new();
        let (monolith, service) = self.sessions().await?;
        let joining = joining::read(&*service, &self.extraction).await?;
        for session in [&monolith, &service] {
            let side = session.side();
            let name = &self.extraction.name;
            let Some(row) = owner::read(&**session, side, name).await? else {
                continue;
            };
            // One that was added, and that the publication lacks by now, is the stream's
            // to tell. None joins while the service owns.
            let mut joining = joining.added(&self.extraction, side);
            if row.owner == Owner::Service {
                joining.clear();
            }
            let publication = self.layout().publication();
            let begun = publication::published(&**session, side, &publication).await?;
            let begun: BTreeSet<TableName> = begun.into_iter().collect();
            let planned: BTreeSet<TableName> = self.tables(side).cloned().collect();
            let differs = self.written_otherwise(session).await?;
            if begun.is_empty() || begun == planned {
                found.extend(self.otherwise(side, &row, &differs, false));
                continue;
            }
            let mut added = Vec::new();
            let mut gone = 0;
            for table in planned.difference(&begun) {
                if joining.contains(table) {
                    continue;
                }
                if exists(session, table).await? {
                    added.push(table.to_string());
                } else {
                    gone += 1;
                }
            }
            let left_out = names(begun.difference(&planned));
            let mut all = Vec::new();
            // Renamed in the database, not in the plan: another finding's.
            if !added.is_empty() || left_out.len() != gone {
                if !added.is_empty() {
                    all.push(format!("adds {}", added.join(", ")));
                }
                if !left_out.is_empty() {
                    all.push(format!("leaves out {}", left_out.join(", ")));
                }
            }
            let may_join = left_out.is_empty() && differs.is_empty();
            all.extend(differs);
            found.extend(self.otherwise(side, &row, &all, may_join));
        }
        Ok(found)
    }

    /// Tables that the plan has written otherwise than it did when it began.
    async fn written_otherwise(&self, session: &Session) -> Result<Vec<String>, MoverError> {
        let side = session.side();
        let begun = declared::read(&**session, side, &self.layout()).await?;
        let mappings = self.tables(side).zip(&self.extraction.data.tables);
        let differs = mappings.filter_map(|(table, mapping)| {
            let writes = mapping.writes;
            let before = begun
                .get(&declared::key(table))
                .filter(|it| **it != writes)?;
            Some(format!(
                "has `writes: {writes}` for {table}, which was `{before}`"
            ))
        });
        Ok(differs.collect())
    }

    /// `may_join`: it only adds some.
    fn otherwise(
        &self,
        side: Side,
        row: &OwnerRow,
        differs: &[String],
        may_join: bool,
    ) -> Option<Finding> {
        if differs.is_empty() {
            return None;
        }
        let name = &self.extraction.name;
        Some(Finding::refuse(
            FindingId::BegunOtherwise,
            format!("the extraction `{name}`"),
            format!(
                "it has begun with other tables: of the {side}'s, the plan {}",
                differs.join(" and ")
            ),
            if may_join && row.owner == Owner::Monolith {
                format!(
                    "Run `banyan add-table {name}`, which lets them join it; or write the tables as \
                     they were"
                )
            } else {
                let end = how_to_end(name.as_str(), row.owner);
                format!("Write them as they were, or {end}")
            },
        ))
    }

    /// Whether it has begun, by the monolith's row: with how to end it, if so.
    pub async fn begun(&self) -> Result<Option<String>, MoverError> {
        let side = Side::Monolith;
        let session = Session::open(side, self.database(side)).await?;
        let name = &self.extraction.name;
        let row = owner::read(&*session, side, name).await?;
        Ok(row.map(|row| how_to_end(name.as_str(), row.owner)))
    }
}

fn how_to_end(name: &str, owner: Owner) -> String {
    match owner {
        Owner::Monolith => {
            format!("end it first, by the old plan: `banyan cancel {name}`; then start anew")
        }
        Owner::Service => format!(
            "end it first, by the old plan: `banyan finish {name}` keeps it at the service, `banyan \
             rollback {name}` and `banyan cancel {name}` give it back"
        ),
        Owner::Nobody => "wait until the hand-over that is under way has ended".to_owned(),
    }
}

fn names<'a>(tables: impl Iterator<Item = &'a TableName>) -> Vec<String> {
    tables.map(ToString::to_string).collect()
}

async fn exists(session: &Session, table: &TableName) -> Result<bool, MoverError> {
    let row = session
        .query_one(
            "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = $1 and c.relname = $2)",
            &[&table.schema, &table.table],
        )
        .await
        .map_err(MoverError::sql(session.side(), "looking for a table"))?;
    Ok(row.get(0))
}
