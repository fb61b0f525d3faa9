//! Whether the databases are ready for a hand-over: step 0 of the switch.
//!
//! Everything here only reads. What it finds is a reason not to begin, before
//! a single request is held.

pub mod begun;
mod blocker;
mod in_the_way;
pub mod keeping_up;
mod proof;
pub mod seen;
mod unenforced;
pub mod writers;

pub use blocker::Blocker;

use crate::{
    catalog::sequences,
    database::{session::Session, sql},
    error::MoverError,
    extraction::Mover,
    layout::FenceScope,
    objects::{fence, joining, owner, publication},
};
use blocker::blocker;
use plan::{TableMapping, TableName, TableWrites};
use protocol::Side;

/// Until the server restarts, a prepared transaction's locks bear the virtual one
/// of the session that prepared it.
const PREPARED: &str = "select distinct p.gid, l.relation::regclass::text \
    from pg_prepared_xacts p \
    join pg_locks x on x.locktype = 'transactionid' and x.transactionid = p.transaction \
        and x.pid is null and x.granted \
    join pg_locks l on l.virtualtransaction = x.virtualtransaction and l.pid is null \
    where p.database = current_database() and l.locktype = 'relation' \
      and l.relation = any($1::text[]::regclass[])";

impl Mover {
    /// What prevents taking ownership from `from` now: all that is known at once, and
    /// where that is nothing, what takes time to be looked for.
    pub async fn blockers(&self, from: Side) -> Result<Vec<Blocker>, MoverError> {
        let found = self.blockers_at_once(from).await?;
        if found.is_empty() {
            return self.blockers_in_time(from).await;
        }
        Ok(found)
    }

    /// What can be told without looking through rows and without waiting.
    pub async fn blockers_at_once(&self, from: Side) -> Result<Vec<Blocker>, MoverError> {
        let (monolith, service) = self.sessions().await?;
        let mut found = Vec::new();
        for session in [&monolith, &service] {
            if in_recovery(session).await? {
                found.push(blocker(
                    format!("the {}'s database", session.side()),
                    "it is a standby",
                    "Give the plan the primary's address",
                ));
            }
        }
        self.unpaired(&monolith, &service, &mut found).await?;
        let (source, target) = match from {
            Side::Monolith => (&monolith, &service),
            Side::Service => (&service, &monolith),
        };
        let mut joining = Vec::new();
        if from == Side::Monolith {
            self.joining(&service, &mut joining).await?;
        }
        let joins = !joining.is_empty();
        found.extend(joining);
        let mut further = Vec::new();
        match self.further(source, target, joins, &mut further).await {
            // Of tables that do not pair, not all can be looked at.
            Err(error) if !found.is_empty() => {
                tracing::debug!(%error, "not all was looked at before a hand-over");
            }
            looked => looked?,
        }
        found.extend(further);
        Ok(found)
    }

    /// `joins`: some tables are not published yet, nor fenced, and all is well.
    async fn further(
        &self,
        source: &Session,
        target: &Session,
        joins: bool,
        found: &mut Vec<Blocker>,
    ) -> Result<(), MoverError> {
        self.transactions(source, found).await?;
        if joins {
            return Ok(());
        }
        let split = self.is_split(source, target).await?;
        let mut recreated = Vec::new();
        self.recreated(source, target, split, &mut recreated)
            .await?;
        if recreated.is_empty() {
            self.sequences(source, target, split, found).await?;
        }
        found.extend(recreated);
        Ok(())
    }

    /// What is known only once rows were looked through, or somebody was waited for:
    /// minutes before a switch, seconds before a rollback.
    pub async fn blockers_in_time(&self, from: Side) -> Result<Vec<Blocker>, MoverError> {
        let (monolith, service) = self.sessions().await?;
        let (source, target) = match from {
            Side::Monolith => (&monolith, &service),
            Side::Service => (&service, &monolith),
        };
        let split = self.is_split(source, target).await?;
        // Rows of a split table are each side's own, which enforces all of it.
        let flows = |mapping: &&TableMapping| mapping.writes != TableWrites::Split || !split;
        let tables = self.extraction.data.tables.iter();
        let flowing: Vec<TableMapping> = tables.filter(flows).cloned().collect();
        let mut found = unenforced::look(&flowing, source, target).await?;
        let (locked, drain) = (self.locked(source), self.extraction.data.switch.drain);
        in_the_way::ageless_writers(source, &locked, drain, &mut found).await?;
        if found.is_empty() {
            // Once more: all of that took its time.
            self.transactions(source, &mut found).await?;
        }
        Ok(found)
    }

    async fn is_split(&self, source: &Session, target: &Session) -> Result<bool, MoverError> {
        let service = match source.side() {
            Side::Service => source,
            Side::Monolith => target,
        };
        owner::is_split(&**service, &self.extraction.name).await
    }

    /// Tables that were let join and are not copied yet, also those that this plan
    /// does not have: who goes by one that has them would find another owner.
    async fn joining(&self, service: &Session, found: &mut Vec<Blocker>) -> Result<(), MoverError> {
        let name = &self.extraction.name;
        let planned = joining::read(&**service, &self.extraction).await?;
        let planned = planned.lacking(&self.extraction, Side::Monolith);
        for table in joining::all_lacking(&**service, name).await? {
            let (problem, remedy) = match planned.iter().find(|one| sql::table(one) == table) {
                Some(_) => (
                    "it was added, and is not copied yet",
                    format!(
                        "Wait until it is: `banyan status` shows how far it has come, and what \
                         hinders it. Then `banyan verify {name}`"
                    ),
                ),
                None => (
                    "it may join, and the plan that is gone by does not have it",
                    format!(
                        "Go by the plan that has it (`banyan serve --take-over`), or take that back: \
                         `banyan add-table {name} --undo`"
                    ),
                ),
            };
            found.push(blocker(table, problem, &remedy));
        }
        Ok(())
    }

    /// Looks for tables that were dropped and made again under their names (the new
    /// one is in no publication and has no fence, and nothing else shows it), and for
    /// a publication that is not what it was.
    async fn recreated(
        &self,
        source: &Session,
        target: &Session,
        split: bool,
        found: &mut Vec<Blocker>,
    ) -> Result<(), MoverError> {
        let (name, side) = (self.layout().publication(), source.side());
        let published = publication::read(&**source, side, &name).await?;
        let made_equal = self.extraction.made_equal();
        let lacking: Vec<&TableName> = match &published {
            Some(published) => self.tables(side).filter(|it| !published.has(it)).collect(),
            None => Vec::new(),
        };
        let edited = match &published {
            None => Some("it is gone".to_owned()),
            // Each of these is told by itself.
            Some(_) if !lacking.is_empty() => None,
            Some(published) => published.difference(&self.tables(side).collect()),
        };
        for table in lacking {
            let problem = "its changes are not published, so the other side lacks them";
            let remedy = format!("It was dropped and made again. {made_equal}");
            found.push(blocker(table.to_string(), problem, &remedy));
        }
        if let Some(difference) = edited {
            let object = format!("publication {name} in the {side}'s database");
            let problem = format!("{difference}, so the other side may lack changes");
            found.push(blocker(object, problem, &made_equal));
        }
        let side = target.side();
        for mapping in &self.extraction.data.tables {
            let writes = mapping.writes;
            // Both sides that both append to; of the others the one that must not
            // write, and none where each side keeps its own by now.
            let sides = match writes {
                TableWrites::Owner => vec![target],
                TableWrites::Append => vec![source, target],
                TableWrites::Split if side == Side::Service && !split => vec![target],
                TableWrites::Split => Vec::new(),
            };
            for session in sides {
                let side = session.side();
                let table = match side {
                    Side::Monolith => &mapping.monolith,
                    Side::Service => &mapping.service,
                };
                if fence::is_fenced(&**session, side, table).await? {
                    continue;
                }
                let remedy = format!(
                    "It was dropped and made again. Before the switch cancel, and start anew. After \
                     it bring back by hand what was written there, and run `{}`",
                    self.layout()
                        .create_fence(table, side, FenceScope::of(writes))
                );
                let problem = "it has no fence, so it takes writes that nobody follows";
                found.push(blocker(table.to_string(), problem, &remedy));
            }
        }
        Ok(())
    }

    /// What the hand-over would meet behind the fence: sequences that cannot be
    /// moved on.
    async fn sequences(
        &self,
        source: &Session,
        target: &Session,
        split: bool,
        found: &mut Vec<Blocker>,
    ) -> Result<(), MoverError> {
        let (from, to) = (source.side(), target.side());
        let data = &self.extraction.data;
        let carried = sequences::carried(&data.tables, to, split);
        let (given, own) = tokio::try_join!(
            sequences::of(source, &carried),
            sequences::of(target, &carried),
        )?;
        let mut obstacles = sequences::rights(to, &own);
        obstacles.extend(sequences::rights(from, &given));
        let advances = sequences::advances(&carried, from, &given, &own, data.switch.block);
        obstacles.extend(advances.err().into_iter().flatten());
        found.extend(obstacles.into_iter().map(|one| Blocker {
            object: one.object,
            problem: one.problem,
            remedy: one.remedy.to_string(),
        }));
        Ok(())
    }

    /// The tables that the hand-over locks.
    fn locked(&self, source: &Session) -> Vec<String> {
        let tables = self.tables_written(source.side(), TableWrites::Owner);
        tables.map(sql::table).collect()
    }

    async fn transactions(
        &self,
        source: &Session,
        found: &mut Vec<Blocker>,
    ) -> Result<(), MoverError> {
        let (side, tables) = (source.side(), self.locked(source));
        let drain = self.extraction.data.switch.drain;
        in_the_way::old_writers(source, &tables, drain, found).await?;
        in_the_way::wraparound(source, &tables, found).await?;
        let wrap = || MoverError::sql(side, "looking for transactions in the way");
        for row in source.query(PREPARED, &[&tables]).await.map_err(wrap())? {
            let (gid, table): (String, String) = (row.get(0), row.get(1));
            let problem = format!("the prepared transaction `{gid}` has it locked");
            found.push(blocker(table, problem, "Commit or roll it back"));
        }
        Ok(())
    }
}

async fn in_recovery(session: &Session) -> Result<bool, MoverError> {
    let row = session
        .query_one("select pg_is_in_recovery()", &[])
        .await
        .map_err(MoverError::sql(
            session.side(),
            "asking whether it is a primary",
        ))?;
    Ok(row.get(0))
}
