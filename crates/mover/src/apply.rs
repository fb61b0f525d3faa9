//! Applies changes to the target, each exactly once.
//!
//! All that belongs together is one target transaction: the ownership row
//! locked and the claim checked, the rows, and the stream's row moved on from
//! where we believe it to be. Killed here, what is true:
//!
//! - before the commit: nothing has happened; the stream is read again from
//!   the stored position;
//! - after it, whether or not its reply arrived: the rows are there and so is
//!   the position, from which the stream is read on.
//!
//! A successor cannot read the row too early: a session that applies holds the
//! side's replication origin, which only one session can, until its last
//! transaction has ended ([`Applier::open`] takes the origin before it reads).
//! A predecessor that still runs (a zombie) fails on the claim, which the
//! successor's conductor has taken, and on the stored position.
//!
//! Rows are written with `session_replication_role = replica`: no triggers and
//! no foreign keys, as those did their work at the source; [`boundary_keys`]
//! checks the foreign keys of tables that stay into tables that move.

mod boundary_keys;
pub mod change;
mod execution;
mod pairing;
mod statements;
pub(crate) mod staying;
pub mod table;
pub mod tables;

use crate::{
    database::{session::Session, sql},
    error::MoverError,
    extraction::Mover,
    objects::{
        notes,
        owner::{self, RowLock},
        sessions,
        stream::{self, StreamRow},
    },
};
use boundary_keys::CrossBoundaryKeys;
use change::{Change, Job};
use execution::{ApplyConflict, execute_all};
use futures_util::future::join;
use plan::ExtractionName;
use postgres_types::PgLsn;
use protocol::{
    InstanceId, Lsn, Side,
    owner::{Claim, Owner, OwnerRow},
    stream::{Direction, StreamState, is_split},
};
use statements::Statements;
use tables::Tables;
use tokio_postgres::Statement;

/// Rows are found by their key's index: the statistics of a table that was
/// empty a minute ago would have the planner scan it.
const SESSION: &str = "set session_replication_role = replica; set statement_timeout = 0; \
    set plan_cache_mode = force_generic_plan; set jit = off; set enable_seqscan = off; \
    set enable_hashjoin = off; set enable_mergejoin = off";

/// What is applied is told as durable.
pub(crate) const BEGIN: &str = "begin isolation level read committed read write; \
    set local synchronous_commit = on";

/// The places of those of these tables that a table which is not among them
/// refers to.
const REFERRED_TO: &str = "select distinct n.place from \
    unnest($1::text[]) with ordinality n(name, place) \
    join pg_constraint k on k.contype = 'f' and k.confrelid = n.name::regclass \
    where k.conrelid <> all($1::text[]::regclass[])";

/// Applies changes of one direction over one session.
pub struct Applier {
    session: Session,
    extraction: ExtractionName,
    claim: Claim,
    instance: InstanceId,
    owner: Owner,
    statements: Statements,
    cross_boundary: CrossBoundaryKeys,
    advance: Statement,
    stored: Lsn,
    /// Whether each side keeps its own of the split tables: as of the ownership
    /// row when it was locked last.
    split: bool,
    transaction: Transaction,
}

/// Whether a target transaction is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// The claim has been checked in it.
    Begun,
    /// Some rows have been written in it.
    Written,
}

impl Applier {
    /// Opens a session that applies, and reads where the stream is.
    pub async fn open(
        mover: &Mover,
        direction: Direction,
        claim: Claim,
    ) -> Result<(Self, StreamRow), MoverError> {
        let target = direction.target();
        let session = Session::open(target, mover.database(target)).await?;
        let wrap = || MoverError::sql(target, "preparing to apply changes");
        session.batch_execute(SESSION).await.map_err(wrap())?;
        sessions::mark_at_work(&session, &mover.layout()).await?;
        session
            .execute(
                "select pg_replication_origin_session_setup($1)",
                &[&mover.layout().origin(target)],
            )
            .await
            .map_err(MoverError::sql(target, "taking the replication origin"))?;
        let extraction = mover.extraction().name.clone();
        session.batch_execute(BEGIN).await.map_err(wrap())?;
        let owner = owner::locked(&*session, target, &extraction, claim, RowLock::Share).await?;
        let row = stream::read(&*session, target, &extraction).await?;
        session.batch_execute("commit").await.map_err(wrap())?;
        let row = row.ok_or_else(|| MoverError::Row {
            extraction: extraction.clone(),
            side: target,
            epoch: owner.epoch,
            problem: format!(
                "there is no {} stream; prepare and copy first",
                direction.as_str()
            ),
        })?;
        let advance = session.prepare(&stream::advance()).await.map_err(wrap())?;
        let applier = Self {
            extraction,
            claim,
            instance: owner.instance,
            owner: owner.owner,
            statements: Statements::default(),
            cross_boundary: CrossBoundaryKeys::default(),
            advance,
            stored: row.position,
            split: keeps_own(target, &owner),
            transaction: Transaction::None,
            session,
        };
        Ok((applier, row))
    }

    /// The session, for reading the catalogue before changes come.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The instance that the ownership row had when this was opened; every
    /// transaction checks that it still has.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Whether rows of split tables flow no more.
    pub fn is_split(&self) -> bool {
        self.split
    }

    /// Who owned when this was opened, by the target's row.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The position in the stream's row.
    pub fn stored(&self) -> Lsn {
        self.stored
    }

    /// Loads the foreign keys of tables that stay into tables that move, where
    /// this side has them: only the monolith.
    pub async fn check_cross_boundary_keys(
        &mut self,
        mover: &Mover,
        tables: &Tables,
    ) -> Result<(), MoverError> {
        if self.session.side() == Side::Monolith {
            let references = mover.extraction().data.references.keys();
            self.cross_boundary =
                CrossBoundaryKeys::load(references, tables, &self.session).await?;
        }
        Ok(())
    }

    /// Writes changes into the open transaction, beginning one if needed.
    /// Nothing is visible to others before [`Applier::commit`]. After an error
    /// the applier is of no more use; dropping it rolls back.
    pub async fn write(&mut self, tables: &Tables, changes: &[Change]) -> Result<(), MoverError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.begin().await?;
        let kept: Vec<Change>;
        let changes = if self.split && changes.iter().any(|change| tables.is_split(change.table)) {
            // Received before the service was opened, which this transaction sees.
            let flows = |change: &&Change| !tables.is_split(change.table);
            kept = changes.iter().filter(flows).cloned().collect();
            kept.as_slice()
        } else {
            changes
        };
        self.cross_boundary
            .gather(changes, tables, &self.session)
            .await?;
        let savepoint = match self.transaction {
            Transaction::Written => "release savepoint banyan; savepoint banyan",
            _ => "savepoint banyan",
        };
        self.transaction = Transaction::Written;
        if let Some(jobs) = Job::net(changes) {
            let statements = self.prepare(tables, &jobs).await?;
            let (saved, done) = join(
                self.session.batch_execute(savepoint),
                execute_all(&self.session, tables, &jobs, &statements),
            )
            .await;
            saved.map_err(MoverError::sql(self.session.side(), "applying changes"))?;
            match done {
                Ok(()) => return Ok(()),
                Err(ApplyConflict::Other(error)) => return Err(error),
                Err(ApplyConflict::Refused { .. } | ApplyConflict::Missed { .. }) => {
                    self.session
                        .batch_execute("rollback to savepoint banyan")
                        .await
                        .map_err(MoverError::sql(
                            self.session.side(),
                            "applying changes again",
                        ))?;
                }
            }
        }
        // In the source's order, one by one: either only the order mattered,
        // or this finds the change that does not fit.
        for job in Job::each(changes) {
            let jobs = [job];
            let statements = self.prepare(tables, &jobs).await?;
            let done = execute_all(&self.session, tables, &jobs, &statements).await;
            done.map_err(|conflict| conflict.into_error(tables, &self.session))?;
        }
        Ok(())
    }

    /// Empties tables in the open transaction, beginning one if needed.
    pub async fn truncate(&mut self, tables: &Tables, these: &[usize]) -> Result<(), MoverError> {
        self.begin().await?;
        let side = self.session.side();
        let flows = |at: &usize| !(self.split && tables.is_split(*at));
        let these: Vec<usize> = these.iter().copied().filter(flows).collect();
        if these.is_empty() {
            return Ok(());
        }
        let name = |&at: &usize| sql::table(tables.get(at).moved.name(side));
        // A table that others refer to cannot be truncated.
        let referred = self.referred_to(tables, &these).await?;
        let (touched, free): (Vec<usize>, Vec<usize>) =
            these.iter().partition(|at| referred.contains(at));
        let mut statements: Vec<String> = touched
            .iter()
            .map(|at| format!("delete from {}", name(at)))
            .collect();
        if !free.is_empty() {
            let names: Vec<String> = free.iter().map(name).collect();
            statements.push(format!("truncate {}", names.join(", ")));
        }
        self.session
            .batch_execute(&statements.join("; "))
            .await
            .map_err(MoverError::sql(side, "truncating tables"))?;
        for &table in &these {
            self.cross_boundary.truncated(table);
        }
        Ok(())
    }

    /// Remembers rows that were written past the source's fence, in the open
    /// transaction, beginning one if needed: with the position that is past
    /// them, or not at all.
    pub async fn remember_discarded(&mut self, rows: u64) -> Result<(), MoverError> {
        if rows == 0 {
            return Ok(());
        }
        self.begin().await?;
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let target = self.session.side();
        notes::add_discarded(&*self.session, target, &self.extraction, rows).await
    }

    /// Those of these tables that others in the target refer to: the source
    /// need not have the same foreign keys.
    async fn referred_to(
        &self,
        tables: &Tables,
        these: &[usize],
    ) -> Result<Vec<usize>, MoverError> {
        let side = self.session.side();
        let name = |&at: &usize| sql::table(tables.get(at).moved.name(side));
        let names: Vec<String> = these.iter().map(name).collect();
        let rows = self
            .session
            .query(REFERRED_TO, &[&names])
            .await
            .map_err(MoverError::sql(side, "reading foreign keys"))?;
        let place = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i64>(0) - 1).ok();
        let places = rows.iter().filter_map(place);
        Ok(places
            .filter_map(|place| these.get(place).copied())
            .collect())
    }

    /// Writes a note into the stream's row, in a transaction of its own.
    pub(crate) async fn note(&mut self, note: stream::Note<'_>) -> Result<(), MoverError> {
        self.begin().await?;
        let side = self.session.side();
        stream::note(&*self.session, side, &self.extraction, note).await?;
        let committed = self.session.batch_execute("commit").await;
        committed.map_err(MoverError::sql(side, "writing the stream's row"))?;
        self.transaction = Transaction::None;
        Ok(())
    }

    /// Moves the stream's row on and commits, beginning a transaction if none
    /// is open. When this returns, all of it is durable.
    ///
    /// After an error it is unknown whether it is; open another applier.
    pub async fn commit(
        &mut self,
        tables: &Tables,
        state: StreamState,
        position: Lsn,
    ) -> Result<(), MoverError> {
        self.begin().await?;
        self.cross_boundary.check(tables, &self.session).await?;
        let wrap = || MoverError::sql(self.session.side(), "moving the stream's row on");
        let (word, epoch) = stream::words(state);
        let (old, new) = (PgLsn::from(self.stored.0), PgLsn::from(position.0));
        let moved = self
            .session
            .execute(
                &self.advance,
                &[&self.extraction.as_str(), &old, &word, &epoch, &new],
            )
            .await
            .map_err(wrap())?;
        if moved != 1 {
            return Err(MoverError::Data {
                object: format!("the stream of extraction `{}`", self.extraction),
                problem: format!(
                    "its position is no longer {}: somebody else applies it",
                    self.stored
                ),
                remedy: "Stop all but one conductor and start that one again".to_owned(),
            });
        }
        self.session.batch_execute("commit").await.map_err(wrap())?;
        self.stored = position;
        self.transaction = Transaction::None;
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), MoverError> {
        if self.transaction != Transaction::None {
            return Ok(());
        }
        let side = self.session.side();
        // Sent together; the answers come in order.
        let (begun, owner) = join(
            self.session.batch_execute(BEGIN),
            owner::locked(
                &*self.session,
                side,
                &self.extraction,
                self.claim,
                RowLock::Share,
            ),
        )
        .await;
        begun.map_err(MoverError::sql(side, "beginning to apply changes"))?;
        let owner = owner?;
        if owner.instance != self.instance {
            return Err(MoverError::Row {
                extraction: self.extraction.clone(),
                side,
                epoch: owner.epoch,
                problem: "it was cancelled and begun anew by another `banyan serve`".to_owned(),
            });
        }
        self.owner = owner.owner;
        self.split = keeps_own(side, &owner);
        self.transaction = Transaction::Begun;
        Ok(())
    }

    async fn prepare(
        &mut self,
        tables: &Tables,
        jobs: &[Job],
    ) -> Result<Vec<Option<Statement>>, MoverError> {
        let mut statements = Vec::with_capacity(jobs.len());
        for job in jobs {
            let table = tables.get(job.table);
            statements.push(self.statements.prepare(&self.session, table, job).await?);
        }
        Ok(statements)
    }
}

/// Split tables flow forward until the service has owned: its own row says so.
fn keeps_own(target: Side, row: &OwnerRow) -> bool {
    target == Side::Service && is_split(row)
}
