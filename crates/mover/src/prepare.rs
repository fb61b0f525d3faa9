//! Makes what an extraction needs on both sides, and takes charge of it.
//!
//! May be repeated, and killed between any two statements. What holds then:
//!
//! - On each side, schema, ownership row, publication, origin and (on the
//!   service's side) fences come in one transaction. So whatever of ours is in
//!   a database besides a slot, its row is there as well.
//! - The monolith's side comes first: with no row there, nothing is anywhere.
//! - A slot is no part of a transaction. The reverse slot is made when both
//!   rows are there, and bears a name that only this extraction has: a repeat
//!   finds it, and `cancel` removes it before it removes the rows.
//! - The reverse stream's row is written last. A slot without the row was made
//!   by a run that was killed in between; nothing has been read from it, so it
//!   is as good as a new one.
//!
//! A slot that was dropped or lost is made again only while the service has
//! never owned the data. Later that would silently skip changes.

use crate::{
    catalog::{self, MovedTable},
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
        sql,
    },
    error::MoverError,
    extraction::Mover,
    layout::{FenceScope, SCHEMA},
    objects::{
        continuity, declared, fence, origins,
        owner::{self, Claims},
        publication, schema, sessions, slots, stream,
    },
};
use plan::TableWrites;
use protocol::{
    ConductorId, Epoch, InstanceId, Lsn, Side,
    owner::{Claim, Owner, OwnerRow},
    stream::Direction,
};
use tokio_postgres::Transaction;
use uuid::Uuid;

/// The fence that a table gets before the copy, if any. One that both sides
/// insert into has it on both sides from here on to the end, so that a hand-over
/// needs no lock on it, behind which every writer of the monolith might queue.
pub(crate) fn first_fence(side: Side, writes: TableWrites) -> Option<FenceScope> {
    match (side, writes) {
        (Side::Monolith, TableWrites::Append) => Some(FenceScope::Changes),
        (Side::Monolith, TableWrites::Owner | TableWrites::Split) => None,
        (Side::Service, TableWrites::Append) => Some(FenceScope::Closed),
        (Side::Service, writes) => Some(FenceScope::of(writes)),
    }
}

/// A new slot moves a stream that was there, but never one that was read.
const MOVE_UNREAD: &str = "update set position = excluded.position, \
    system_identifier = excluded.system_identifier, timeline = excluded.timeline, \
    changed_at = now() where found.state = 'waiting'";

impl Mover {
    /// Makes what the extraction needs on both sides and claims both rows.
    /// Idempotent; the claims are new each time, and an older conductor's end.
    ///
    /// `instance` is drawn once per start of an extraction and kept in the
    /// journal: rows of another instance are refused.
    pub async fn prepare(
        &self,
        instance: InstanceId,
        conductor: ConductorId,
    ) -> Result<Claims, MoverError> {
        let (mut monolith, mut service) = sessions::both_at_work(self).await?;
        let tables =
            catalog::moved_tables(&self.extraction.data.tables, &monolith, &service).await?;
        self.prepare_side(&mut monolith, &tables, instance, conductor)
            .await?;
        let row = self
            .prepare_side(&mut service, &tables, instance, conductor)
            .await?;
        self.prepare_reverse(&mut monolith, &service, &row).await?;
        Ok(Claims {
            monolith: self.claim(&monolith, conductor).await?,
            service: self.claim(&service, conductor).await?,
        })
    }

    /// One side's transaction, retried where it meets locks.
    async fn prepare_side(
        &self,
        session: &mut Session,
        tables: &[MovedTable],
        instance: InstanceId,
        conductor: ConductorId,
    ) -> Result<OwnerRow, MoverError> {
        let mut retry = LockRetry::new("locking a table to prepare it");
        loop {
            match self.try_side(session, tables, instance, conductor).await {
                Ok(row) => return Ok(row),
                Err(error) => retry.wait_after(session, error).await?,
            }
        }
    }

    async fn try_side(
        &self,
        session: &mut Session,
        tables: &[MovedTable],
        instance: InstanceId,
        conductor: ConductorId,
    ) -> Result<OwnerRow, MoverError> {
        let side = session.side();
        let wrap = || MoverError::sql(side, "preparing");
        let layout = self.layout();
        let transaction = lock_retry::begin(session).await?;
        let names = sql::tables(tables.iter().map(|table| table.name(side)));
        lock_retry::displace_autovacuum(&transaction, &names)
            .await
            .map_err(wrap())?;
        schema::ensure(&transaction).await.map_err(wrap())?;
        let row = self.own(&transaction, side, instance, conductor).await?;
        declared::keep(&transaction, side, &layout, tables).await?;
        publication::publish(&transaction, side, &layout, tables).await?;
        origins::create(&transaction, &layout.origin(side))
            .await
            .map_err(wrap())?;
        if row.owner == Owner::Monolith {
            let fences = tables.iter().filter_map(|table| {
                let scope = first_fence(side, table.mapping.writes)?;
                Some((table.name(side), scope))
            });
            fence::put_up(&transaction, side, &layout, fences).await?;
        }
        transaction.commit().await.map_err(wrap())?;
        Ok(row)
    }

    /// Inserts the ownership row, or finds ours.
    async fn own(
        &self,
        transaction: &Transaction<'_>,
        side: Side,
        instance: InstanceId,
        conductor: ConductorId,
    ) -> Result<OwnerRow, MoverError> {
        let name = &self.extraction.name;
        let insert = format!(
            "insert into {SCHEMA}.owner \
             (extraction, owner, epoch, generation, conductor, instance, nonce) \
             values ($1, $2, 0, 1, $3, $4, $5) on conflict do nothing"
        );
        let owner = Owner::Monolith.as_str();
        transaction
            .execute(
                &insert,
                &[
                    &name.as_str(),
                    &owner,
                    &conductor.0,
                    &instance.0,
                    &Uuid::new_v4(),
                ],
            )
            .await
            .map_err(MoverError::sql(side, "writing the ownership row"))?;
        transaction
            .batch_execute(&self.layout().create_refusal_counters())
            .await
            .map_err(MoverError::sql(side, "making the fence's counters"))?;
        let lock = format!("select 1 from {SCHEMA}.owner where extraction = $1 for update");
        transaction
            .execute(&lock, &[&name.as_str()])
            .await
            .map_err(MoverError::sql(side, "locking the ownership row"))?;
        let Some(row) = owner::read(transaction, side, name).await? else {
            return Err(self.cancelled_meanwhile(side));
        };
        if row.instance == instance {
            return Ok(row);
        }
        Err(MoverError::Row {
            extraction: name.clone(),
            side,
            epoch: row.epoch,
            problem: format!(
                "it was begun by another installation, or before the journal was lost (instance \
                 {}). Go on with the state directory that began it, or end it with `banyan \
                 cancel {name}`",
                row.instance
            ),
        })
    }

    /// The reverse slot at the service, and its stream's row at the monolith.
    async fn prepare_reverse(
        &self,
        monolith: &mut Session,
        service: &Session,
        row: &OwnerRow,
    ) -> Result<(), MoverError> {
        let name = self.layout().slot(Direction::Reverse);
        // Before the slot: whatever is edited after this is noticed.
        let published = continuity::fingerprint(service, &self.layout().publication()).await?;
        let mut slot = slots::find(service, &name).await?;
        if slot.as_ref().is_none_or(|slot| slot.lost) {
            if row.epoch > Epoch::default() {
                return Err(MoverError::Row {
                    extraction: self.extraction.name.clone(),
                    side: Side::Service,
                    epoch: row.epoch,
                    problem: format!(
                        "replication slot {name} is gone or has lost its log, so the way back is \
                         closed: what the service wrote meanwhile is not in the monolith. {}",
                        self.extraction.made_equal()
                    ),
                });
            }
            if slot.take().is_some() {
                slots::drop_if_exists(service, &name).await?;
            }
        }
        if let Some(slot) = slot {
            return self
                .write_reverse(monolith, service, slot.confirmed, &published, "nothing")
                .await;
        }
        let position = slots::create(service, &name).await?;
        self.write_reverse(monolith, service, position, &published, MOVE_UNREAD)
            .await
    }

    async fn write_reverse(
        &self,
        monolith: &mut Session,
        service: &Session,
        position: Lsn,
        published: &str,
        on_conflict: &str,
    ) -> Result<(), MoverError> {
        let wrap = || MoverError::sql(Side::Monolith, "writing the reverse stream's row");
        let cluster = slots::cluster(service).await?;
        let transaction = lock_retry::begin(monolith).await?;
        let write = format!(
            "insert into {SCHEMA}.stream as found \
             (extraction, state, epoch, position, system_identifier, timeline) \
             values ($1, 'waiting', 0, $2::text::pg_lsn, $3, $4) \
             on conflict (extraction) do {on_conflict}"
        );
        let position = position.to_string();
        let extraction = self.extraction.name.as_str();
        let written = transaction
            .execute(
                &write,
                &[
                    &extraction,
                    &position,
                    &cluster.system_identifier,
                    &cluster.timeline,
                ],
            )
            .await
            .map_err(wrap())?;
        if written == 1 {
            let name = &self.extraction.name;
            stream::keep_published(&transaction, Side::Monolith, name, published).await?;
        }
        transaction.commit().await.map_err(wrap())
    }

    async fn claim(&self, session: &Session, conductor: ConductorId) -> Result<Claim, MoverError> {
        let name = &self.extraction.name;
        match owner::claim(&**session, session.side(), name, conductor).await? {
            Some((_, claim)) => Ok(claim),
            None => Err(self.cancelled_meanwhile(session.side())),
        }
    }

    fn cancelled_meanwhile(&self, side: Side) -> MoverError {
        MoverError::Row {
            extraction: self.extraction.name.clone(),
            side,
            epoch: Epoch::default(),
            problem: "it was cancelled while it was prepared".to_owned(),
        }
    }
}
