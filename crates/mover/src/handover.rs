//! The effects of a hand-over on the databases: lock, fence, mark, sequences,
//! the commit point, opening, and taking the fence away later.
//!
//! Each is one transaction that begins by locking the side's ownership row
//! and checking our claim on it (see [`crate::objects::owner`]). Killed inside one,
//! nothing has happened; killed after it, or with its reply lost, the row says
//! so, and [`Mover::decide`] or [`Mover::open`] finds it done.
//!
//! The lock order of the fence: the weak lock on all tables first, which lets
//! writers through; then, in one statement, the strong lock on all tables;
//! then the ownership row. Writers take table, then row. No statement of ours
//! waits longer than the server's `deadlock_timeout`, so a user's transaction
//! is never picked as the victim of a deadlock with us.
//!
//! Tables that both sides write are neither locked nor fenced here: of one that
//! both append to, the fence stands on both sides all the time, and whoever
//! passed it holds the ownership row, for which the fence's transaction waits;
//! of one that is split, each side's writers go on.

mod sequences;
mod source_lock;
mod transaction;
mod waited_for;

pub use source_lock::SourceLock;

use crate::{
    database::session::Session,
    error::MoverError,
    extraction::Mover,
    layout::FenceScope,
    objects::{
        owner::{self, Claims, RowLock},
        refusals,
    },
};
use plan::TableWrites;
use protocol::{
    HandoverId, Side,
    owner::{Decision, Given, Opening, Outcome, Owner},
    stream::{Message, MessageKind, is_split},
};
use std::time::Duration;
use transaction::{ROW_TIMEOUT, begin, emit};

/// The longest that dropping a fence's trigger may wait for its table: while
/// it waits, readers queue behind it.
const UNFENCE_LOCK_TIMEOUT: &str = "50ms";

/// Before the limit of a fence, to ask who was in its way: whoever waits for it gives
/// up at the limit, and a fence that came about then would be too late.
const NAMING: Duration = Duration::from_millis(250);

impl Mover {
    /// Locks the source against writers, puts up its fence, gives the row to
    /// nobody and writes the mark, all in one transaction, within `limit`.
    ///
    /// An error leaves open whether it was committed; the abort that must
    /// follow finds out. Cancel safe in the same sense.
    pub async fn fence(
        &self,
        lock: &mut SourceLock,
        claims: &Claims,
        id: &HandoverId,
        limit: Duration,
    ) -> Result<(), MoverError> {
        let side = id.from;
        let fencing = async {
            lock.strengthen(limit.saturating_sub(NAMING.min(limit / 10)))
                .await?;
            let session = lock.session();
            let row = self
                .locked_for_handover(session, claims, id, side, RowLock::Update)
                .await?;
            if row.owner != Owner::from(side) || row.epoch >= id.epoch {
                return Err(self.row_error(
                    id,
                    side,
                    format!(
                        "its row says {} at epoch {}; it cannot be fenced",
                        row.owner, row.epoch
                    ),
                ));
            }
            let fences: Vec<_> = self
                .tables_written(side, TableWrites::Owner)
                .map(|table| self.layout().create_fence(table, side, FenceScope::Whole))
                .collect();
            let wrap = || MoverError::sql(side, "putting up the fence");
            session
                .batch_execute(&fences.join("; "))
                .await
                .map_err(wrap())?;
            owner::set(
                &**session,
                side,
                &self.extraction.name,
                Owner::Nobody,
                id.epoch,
                id.nonce,
            )
            .await?;
            emit(&**session, side, &Message::of(id, MessageKind::Mark)).await?;
            lock.mark_committing();
            let commit = lock.session().batch_execute("commit");
            commit.await.map_err(wrap())?;
            lock.mark_fenced();
            Ok(())
        };
        match tokio::time::timeout(limit, fencing).await {
            Ok(done) => done,
            Err(_) => Err(MoverError::Deadline {
                side,
                doing: "fencing",
                limit,
            }),
        }
    }

    /// The compare-and-set of the commit point, or the abort that competes
    /// with it. Returns what the row says afterwards, whichever of the two came first.
    ///
    /// An error means that the outcome is not known; ask again, for an abort.
    pub async fn decide(
        &self,
        lock: Option<SourceLock>,
        claims: &Claims,
        id: &HandoverId,
        wanted: Outcome,
    ) -> Result<Outcome, MoverError> {
        let side = id.from;
        // One that was given up before the fence is in a transaction that may
        // hold the row: dropping it ends that, or this would wait for it.
        let lock = lock.filter(|lock| !lock.is_unfenced());
        let fresh;
        let session = if let Some(session) = lock.as_ref().and_then(SourceLock::fenced_session) {
            session
        } else {
            fresh = Session::open(side, self.database(side)).await?;
            &fresh
        };
        let deciding = async {
            begin(session, ROW_TIMEOUT).await?;
            let row = self
                .locked_for_handover(session, claims, id, side, RowLock::Update)
                .await?;
            let outcome = match row.decide(id, wanted) {
                Decision::Already(outcome) => outcome,
                Decision::Set(owner) => {
                    let name = &self.extraction.name;
                    owner::set(&**session, side, name, owner, id.epoch, id.nonce).await?;
                    if wanted == Outcome::Aborted {
                        emit(&**session, side, &Message::of(id, MessageKind::Open)).await?;
                    }
                    wanted
                }
                Decision::Superseded => return Err(self.overtaken(id, side, &row)),
                Decision::NeverFenced => {
                    let problem = format!("its row is at epoch {}", row.epoch);
                    return Err(self.row_error(id, side, problem));
                }
            };
            session
                .batch_execute("commit")
                .await
                .map_err(MoverError::sql(side, "deciding"))?;
            Ok(outcome)
        };
        // The advisory lock goes with the session, after the row is decided:
        // writers that waited on it read the new row.
        match tokio::time::timeout(2 * ROW_TIMEOUT, deciding).await {
            Ok(done) => done,
            Err(_) => Err(MoverError::Deadline {
                side,
                doing: "deciding",
                limit: ROW_TIMEOUT,
            }),
        }
    }

    /// Opens the new owner, after reading that the old one's row names it.
    /// Repeating it is harmless.
    pub async fn open(&self, claims: &Claims, id: &HandoverId) -> Result<(), MoverError> {
        let (from, to) = (id.from, id.from.other());
        let source = Session::open(from, self.database(from)).await?;
        let given = owner::read(&*source, from, &self.extraction.name).await?;
        let given = given.ok_or_else(|| owner::gone(from, &self.extraction.name))?;
        match given.given(id) {
            Given::Given => {}
            Given::Superseded => return Err(self.overtaken(id, from, &given)),
            Given::NotGiven => {
                let problem = format!("its row does not name the {to}, which cannot be opened");
                return Err(self.row_error(id, from, problem));
            }
        }
        let session = Session::open(to, self.database(to)).await?;
        begin(&session, ROW_TIMEOUT).await?;
        let row = self
            .locked_for_handover(&session, claims, id, to, RowLock::Update)
            .await?;
        match row.open(id) {
            Opening::Set => {}
            Opening::Already => return Ok(()),
            Opening::Superseded => return Err(self.overtaken(id, to, &row)),
        }
        let name = &self.extraction.name;
        owner::set(&*session, to, name, to.into(), id.epoch, id.nonce).await?;
        emit(&*session, to, &Message::of(id, MessageKind::Open)).await?;
        session
            .batch_execute("commit")
            .await
            .map_err(MoverError::sql(to, "opening"))
    }

    /// Drops the fence's triggers from the side that owns: they pass, but cost
    /// every writer a look at the row. Each table by itself, under a short
    /// lock timeout; to be repeated until it succeeds. What was refused while they
    /// were up is told no more.
    pub async fn unfence(&self, claims: &Claims, side: Side) -> Result<(), MoverError> {
        let session = Session::open(side, self.database(side)).await?;
        let wrap = || MoverError::sql(side, "dropping the fence's triggers");
        for mapping in &self.extraction.data.tables {
            let table = match side {
                Side::Monolith => &mapping.monolith,
                Side::Service => &mapping.service,
            };
            let setting = format!("begin; set local lock_timeout = '{UNFENCE_LOCK_TIMEOUT}'");
            session.batch_execute(&setting).await.map_err(wrap())?;
            let name = &self.extraction.name;
            let row = owner::locked(&*session, side, name, claims.of(side), RowLock::Share).await?;
            let passes = match mapping.writes {
                TableWrites::Owner => row.owner == Owner::from(side),
                // It stays to the end: see `prepare`.
                TableWrites::Append => false,
                TableWrites::Split => side == Side::Service && is_split(&row),
            };
            if passes {
                session
                    .batch_execute(&self.layout().drop_fence(table))
                    .await
                    .map_err(wrap())?;
            }
            session.batch_execute("commit").await.map_err(wrap())?;
        }
        refusals::reset(&session, side, &self.layout()).await;
        Ok(())
    }
}
