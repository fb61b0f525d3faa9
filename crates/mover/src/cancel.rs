//! Takes everything of ours away: the end of an extraction that has not
//! switched, without a trace.
//!
//! Refused unless both rows, where they are there, name the monolith. Then:
//!
//! 1. *Take charge*: both rows are claimed by a new conductor's id, so whatever
//!    still runs (a follower, a copy, another conductor) is
//!    refused from here on. If the service never owned the data, its stream
//!    becomes `copying`: should this be killed and the extraction be started
//!    again instead, it is copied afresh.
//! 2. *Drop the slots*, ending their readers.
//! 3. *Empty* the service's tables, if a copy was begun there and the service
//!    never owned the data: what is in them is a copy. Later start finds them
//!    as `check` wants them.
//! 4. *Clear* the service's side, then the monolith's: fences table by table,
//!    then all the rest in one transaction, with the row, and the schema when
//!    no other extraction is left.
//!
//! Killed anywhere, a repeat goes on: a side's row is there as long as
//! anything else of ours is, but for the service's slot, which is looked for
//! by name. Names come from the databases, not from the plan, which may have
//! been edited since.

use crate::{
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
        sql,
    },
    error::MoverError,
    extraction::Mover,
    layout::{ADVISORY_CLASS, SCHEMA},
    objects::{
        fence, origins,
        owner::{self, RowLock},
        publication, slots,
    },
};
use plan::TableName;
use protocol::{
    ConductorId, Epoch, Side,
    owner::{Claim, Owner, OwnerRow},
    stream::Direction,
};
use serde::Serialize;
use tokio_postgres::Transaction;
use uuid::Uuid;

/// What was taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cancelled {
    /// Whether there was anything of this extraction.
    pub found: bool,
    /// Tables of the service that were emptied.
    pub emptied: Vec<TableName>,
}

impl Mover {
    /// Ends an extraction that has not switched, and leaves both databases as
    /// they were before it was prepared. May be repeated.
    pub async fn cancel(&self) -> Result<Cancelled, MoverError> {
        let (mut monolith, mut service) = tokio::try_join!(
            Session::open(Side::Monolith, self.database(Side::Monolith)),
            Session::open(Side::Service, self.database(Side::Service)),
        )?;
        // Both are asked before either is changed.
        for session in [&monolith, &service] {
            self.cancellable(session).await?;
        }
        let conductor = ConductorId(Uuid::new_v4());
        let old = self.take_charge(&monolith, conductor).await?;
        let new = self.take_charge(&service, conductor).await?;
        let mut cancelled = Cancelled {
            found: old.or(new).is_some(),
            emptied: Vec::new(),
        };
        let untouched = new.filter(|(row, _)| row.epoch == Epoch::default());
        if let Some((_, claim)) = untouched {
            self.forget_copy(&mut service, claim).await?;
        }
        let layout = self.layout();
        let forward = layout.slot(Direction::Forward);
        cancelled.found |= slots::drop_if_exists(&monolith, &forward).await?;
        let reverse = layout.slot(Direction::Reverse);
        cancelled.found |= slots::drop_if_exists(&service, &reverse).await?;
        if let Some((_, claim)) = untouched {
            cancelled.emptied = self.empty_copied(&mut service, claim).await?;
        }
        if let Some((_, claim)) = new {
            self.clear(&mut service, claim).await?;
        }
        if let Some((_, claim)) = old {
            self.clear(&mut monolith, claim).await?;
        }
        tracing::info!(extraction = %self.extraction.name, found = cancelled.found, "cancelled");
        Ok(cancelled)
    }

    /// Refuses when this side's row does not name the monolith.
    async fn cancellable(&self, session: &Session) -> Result<(), MoverError> {
        match owner::read(&**session, session.side(), &self.extraction.name).await? {
            Some(row) => self.refuse_switched(session.side(), &row),
            None => Ok(()),
        }
    }

    fn refuse_switched(&self, side: Side, row: &OwnerRow) -> Result<(), MoverError> {
        let problem = match row.owner {
            Owner::Monolith => return Ok(()),
            Owner::Nobody => "a hand-over is under way; let `banyan serve` finish it, then cancel",
            Owner::Service => {
                "it has switched: the service owns the data. Go back with `banyan rollback`, \
                 then cancel"
            }
        };
        Err(MoverError::Row {
            extraction: self.extraction.name.clone(),
            side,
            epoch: row.epoch,
            problem: problem.to_owned(),
        })
    }

    async fn take_charge(
        &self,
        session: &Session,
        conductor: ConductorId,
    ) -> Result<Option<(OwnerRow, Claim)>, MoverError> {
        let side = session.side();
        let claimed = owner::claim(&**session, side, &self.extraction.name, conductor).await?;
        if let Some((row, _)) = &claimed {
            // A hand-over may have come in between.
            self.refuse_switched(side, row)?;
        }
        Ok(claimed)
    }

    /// Locks the row for a step. Shared, where tables are locked after it:
    /// writers take their table first, and then the row, shared as well.
    async fn locked_for_cancel(
        &self,
        transaction: &Transaction<'_>,
        side: Side,
        claim: Claim,
        lock: RowLock,
    ) -> Result<(), MoverError> {
        let name = &self.extraction.name;
        let row = owner::locked(transaction, side, name, claim, lock).await?;
        self.refuse_switched(side, &row)
    }

    /// The copy at the service counts no more, if there is one.
    async fn forget_copy(&self, service: &mut Session, claim: Claim) -> Result<(), MoverError> {
        let wrap = || MoverError::sql(Side::Service, "giving up the copy");
        let transaction = lock_retry::begin(service).await?;
        self.locked_for_cancel(&transaction, Side::Service, claim, RowLock::Update)
            .await?;
        let update = format!("update {SCHEMA}.stream set state = 'copying' where extraction = $1");
        transaction
            .execute(&update, &[&self.extraction.name.as_str()])
            .await
            .map_err(wrap())?;
        transaction.commit().await.map_err(wrap())
    }

    /// Empties what was copied. A copy that never began has no stream's row.
    async fn empty_copied(
        &self,
        service: &mut Session,
        claim: Claim,
    ) -> Result<Vec<TableName>, MoverError> {
        let mut retry = LockRetry::new(Side::Service, "emptying the copy (a table is locked)");
        loop {
            match self.try_empty(service, claim).await {
                Ok(emptied) => return Ok(emptied),
                Err(error) => retry.wait_after(error).await?,
            }
        }
    }

    async fn try_empty(
        &self,
        service: &mut Session,
        claim: Claim,
    ) -> Result<Vec<TableName>, MoverError> {
        let wrap = || MoverError::sql(Side::Service, "emptying the copy");
        let transaction = lock_retry::begin(service).await?;
        self.locked_for_cancel(&transaction, Side::Service, claim, RowLock::Share)
            .await?;
        let begun = format!("select 1 from {SCHEMA}.stream where extraction = $1");
        let begun = transaction
            .query_opt(&begun, &[&self.extraction.name.as_str()])
            .await
            .map_err(wrap())?;
        let publication = self.layout().publication();
        let tables = publication::published(&transaction, Side::Service, &publication).await?;
        if begun.is_none() || tables.is_empty() {
            return Ok(Vec::new());
        }
        let truncate = format!("truncate {}", sql::tables(&tables));
        transaction.batch_execute(&truncate).await.map_err(wrap())?;
        transaction.commit().await.map_err(wrap())?;
        Ok(tables)
    }

    /// Takes the fences and then all the rest from one side.
    async fn clear(&self, session: &mut Session, claim: Claim) -> Result<(), MoverError> {
        let side = session.side();
        for table in fence::fenced_tables(&**session, side, &self.layout()).await? {
            let mut retry = LockRetry::new(side, "dropping a fence (its table is locked)");
            while let Err(error) = self.drop_fence(session, claim, &table).await {
                retry.wait_after(error).await?;
            }
        }
        let mut retry = LockRetry::new(side, "removing the extraction's rows");
        while let Err(error) = self.try_clear(session, claim).await {
            retry.wait_after(error).await?;
        }
        Ok(())
    }

    async fn drop_fence(
        &self,
        session: &mut Session,
        claim: Claim,
        table: &TableName,
    ) -> Result<(), MoverError> {
        let side = session.side();
        let wrap = || MoverError::sql(side, "dropping a fence");
        let transaction = lock_retry::begin(session).await?;
        self.locked_for_cancel(&transaction, side, claim, RowLock::Share)
            .await?;
        transaction
            .batch_execute(&self.layout().drop_fence(table))
            .await
            .map_err(wrap())?;
        transaction.commit().await.map_err(wrap())
    }

    async fn try_clear(&self, session: &mut Session, claim: Claim) -> Result<(), MoverError> {
        let side = session.side();
        let wrap = || MoverError::sql(side, "removing the extraction");
        let layout = self.layout();
        let name = self.extraction.name.as_str();
        let transaction = lock_retry::begin(session).await?;
        // As prepare: another extraction may be making the schema.
        transaction
            .execute("select pg_advisory_xact_lock($1, 0)", &[&ADVISORY_CLASS])
            .await
            .map_err(wrap())?;
        self.locked_for_cancel(&transaction, side, claim, RowLock::Update)
            .await?;
        if side == Side::Service {
            origins::drop_copy_origins(&transaction, &layout).await?;
        }
        origins::drop_if_exists(&transaction, &layout.origin(side))
            .await
            .map_err(wrap())?;
        let publication = sql::identifier(&layout.publication());
        let drop = format!("drop publication if exists {publication}");
        transaction.batch_execute(&drop).await.map_err(wrap())?;
        for table in ["stream", "owner"] {
            let delete = format!("delete from {SCHEMA}.{table} where extraction = $1");
            transaction
                .execute(&delete, &[&name])
                .await
                .map_err(wrap())?;
        }
        let last = format!("select not exists (select from {SCHEMA}.owner)");
        if transaction
            .query_one(&last, &[])
            .await
            .map_err(wrap())?
            .get(0)
        {
            // The schema is ours with all that is in it.
            let drop = format!("drop schema {SCHEMA} cascade");
            transaction.batch_execute(&drop).await.map_err(wrap())?;
        }
        transaction.commit().await.map_err(wrap())
    }
}
