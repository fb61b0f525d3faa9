//! Takes all of ours from the databases: what `cancel` and `finish` share.
//!
//! Per side: *take charge* (the row is claimed by a new conductor's id, so
//! whatever still runs is refused from here on), then *clear*: fences table by
//! table, then all the rest in one transaction, with the row, and the schema
//! when no other extraction is left.
//!
//! Killed anywhere, a repeat goes on: a side's row is there as long as anything
//! else of ours is, but for slots, which are looked for by name. Names come from
//! the databases, not from the plan, which may have been edited since.

use super::{
    fence, notes, origins,
    owner::{self, RowLock},
    schema,
};
use crate::{
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
        sql,
    },
    error::MoverError,
    extraction::Mover,
    layout::{ADVISORY_CLASS, Layout, SCHEMA},
};
use plan::{ExtractionName, TableName};
use protocol::{
    ConductorId, InstanceId, Side,
    owner::{Claim, Owner, OwnerRow},
};
use tokio_postgres::Transaction;

/// Why all of it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It has not switched, and ends: the monolith must own.
    Cancel,
    /// It has switched, and stays so: the service must own.
    Finish,
}

impl Ending {
    /// Who must own, and keeps the data.
    fn keeper(self) -> Side {
        match self {
            Self::Cancel => Side::Monolith,
            Self::Finish => Side::Service,
        }
    }

    /// What is wrong with an owner that is not the one who keeps the data.
    fn refusal(self, owner: Owner) -> &'static str {
        match (self, owner) {
            (_, Owner::Nobody) => {
                "a hand-over is under way; let `banyan serve` finish it, then try again"
            }
            (Self::Cancel, _) => {
                "it has switched: the service owns the data. Go back with `banyan rollback`, then \
                 cancel; or keep it so for good with `banyan finish`"
            }
            (Self::Finish, _) => {
                "it has not switched: the monolith owns the data. Hand it over with `banyan \
                 switch`, or end it with `banyan cancel`"
            }
        }
    }
}

/// Takes one extraction's objects away.
pub(crate) struct Removal<'a> {
    extraction: &'a ExtractionName,
    layout: Layout,
    ending: Ending,
    whose: Option<InstanceId>,
}

impl<'a> Removal<'a> {
    pub(crate) fn new(mover: &'a Mover, ending: Ending, whose: Option<InstanceId>) -> Self {
        Self {
            extraction: &mover.extraction.name,
            layout: mover.layout(),
            ending,
            whose,
        }
    }

    /// Refuses when this side's row has another owner than the end wants, or is another
    /// instance's.
    pub(crate) async fn allowed(&self, session: &Session) -> Result<(), MoverError> {
        match owner::read(&**session, session.side(), self.extraction).await? {
            Some(row) => self.refuse_other(session.side(), &row),
            None => Ok(()),
        }
    }

    fn refuse_other(&self, side: Side, row: &OwnerRow) -> Result<(), MoverError> {
        if row.ends(self.ending.keeper(), self.whose) {
            return Ok(());
        }
        let problem = match self.whose {
            Some(whose) if row.instance != whose => format!(
                "its row is of instance {}, what ends here is {whose}: another `banyan serve` has \
                 begun it anew, and nothing of that was changed. Use the state directory that it \
                 uses; if that one is lost, move journal.db out of this one",
                row.instance
            ),
            _ => self.ending.refusal(row.owner).to_owned(),
        };
        Err(MoverError::Row {
            extraction: self.extraction.clone(),
            side,
            epoch: row.epoch,
            problem,
        })
    }

    /// Claims a side's row, if there is one. A row that is not to be ended keeps the claim
    /// that it has: a hand-over, or another life, may have come in between.
    pub(crate) async fn take_charge(
        &self,
        session: &mut Session,
        conductor: ConductorId,
    ) -> Result<Option<(OwnerRow, Claim)>, MoverError> {
        let side = session.side();
        let wrap = || MoverError::sql(side, "claiming the ownership row");
        let transaction = session.client_mut().transaction().await.map_err(wrap())?;
        let claimed = owner::claim(&transaction, side, self.extraction, conductor).await?;
        if let Some((row, _)) = &claimed {
            self.refuse_other(side, row)?;
        }
        transaction.commit().await.map_err(wrap())?;
        Ok(claimed)
    }

    /// Whether slots of its name may be its own. They are dropped before the rows: where
    /// an instance has no row left, slots are of whoever begins anew just now. While a row
    /// is ours, nobody begins; and who claims it ends the sessions that are at work first.
    pub(crate) fn may_have_slots(&self, charge: Option<(OwnerRow, Claim)>) -> bool {
        charge.is_some() || self.whose.is_none()
    }

    /// Locks the row for a step. Shared, where tables are locked after it:
    /// writers take their table first, and then the row, shared as well.
    pub(crate) async fn locked(
        &self,
        transaction: &Transaction<'_>,
        side: Side,
        claim: Claim,
        lock: RowLock,
    ) -> Result<(), MoverError> {
        let row = owner::locked(transaction, side, self.extraction, claim, lock).await?;
        self.refuse_other(side, &row)
    }

    /// Takes the fences and then all the rest from one side.
    pub(crate) async fn clear(
        &self,
        session: &mut Session,
        claim: Claim,
    ) -> Result<(), MoverError> {
        let side = session.side();
        for table in fence::fenced_tables(&**session, side, &self.layout).await? {
            let mut retry = LockRetry::new("dropping a fence (its table is locked)");
            while let Err(error) = self.drop_fence(session, claim, &table).await {
                retry.wait_after(session, error).await?;
            }
        }
        let mut retry = LockRetry::new("removing the extraction's rows");
        while let Err(error) = self.try_clear(session, claim).await {
            retry.wait_after(session, error).await?;
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
        self.locked(&transaction, side, claim, RowLock::Share)
            .await?;
        transaction
            .batch_execute(&self.layout.drop_fence(table))
            .await
            .map_err(wrap())?;
        transaction.commit().await.map_err(wrap())
    }

    async fn try_clear(&self, session: &mut Session, claim: Claim) -> Result<(), MoverError> {
        let side = session.side();
        let wrap = || MoverError::sql(side, "removing the extraction");
        let name = self.extraction.as_str();
        let transaction = lock_retry::begin(session).await?;
        // As prepare: another extraction may be making the schema.
        transaction
            .execute("select pg_advisory_xact_lock($1, 0)", &[&ADVISORY_CLASS])
            .await
            .map_err(wrap())?;
        self.locked(&transaction, side, claim, RowLock::Update)
            .await?;
        // An earlier version's lacks some of the tables that are cleared.
        schema::ensure(&transaction).await.map_err(wrap())?;
        if side == Side::Service {
            origins::drop_copy_origins(&transaction, &self.layout).await?;
        }
        origins::drop_if_exists(&transaction, &self.layout.origin(side))
            .await
            .map_err(wrap())?;
        let publication = sql::identifier(&self.layout.publication());
        let drop = format!("drop publication if exists {publication}");
        transaction.batch_execute(&drop).await.map_err(wrap())?;
        let drop = self.layout.drop_refusal_counters();
        transaction.batch_execute(&drop).await.map_err(wrap())?;
        notes::clear(&transaction, side, self.extraction).await?;
        for table in [
            "frozen",
            "put_off",
            "joining",
            "shape",
            "published",
            "declared",
            "stream",
            "owner",
        ] {
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
