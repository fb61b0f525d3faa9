//! Rows that the service has inserted into tables that both sides insert into,
//! and that are still on their way to the monolith when an extraction ends.

use crate::{
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
    },
    error::MoverError,
    extraction::Mover,
    follow::{FollowPhase, Follower},
    layout::FenceScope,
    objects::{
        fence,
        owner::{Claims, RowLock},
        removal::Removal,
        stream,
    },
    positions::Sampler,
};
use plan::TableName;
use protocol::{Side, owner::Claim, stream::Direction};
use std::time::Duration;

/// How long the last of them may take; beyond it they stay where they are.
const LIMIT: Duration = Duration::from_secs(20);

impl Mover {
    /// Ends the service's inserting and waits for what it has inserted. Returns
    /// the tables whose rows have not all come: those must not be emptied.
    pub(super) async fn bring_home(
        &self,
        removal: &Removal<'_>,
        monolith: &Session,
        service: &mut Session,
        claims: &Claims,
    ) -> Result<Vec<TableName>, MoverError> {
        let tables = fence::appended_tables(&**service, Side::Service, &self.layout()).await?;
        for table in &tables {
            let mut retry = LockRetry::new("closing a fence (its table is locked)");
            while let Err(error) = self
                .close_fence(removal, service, claims.service, table)
                .await
            {
                retry.wait_after(service, error).await?;
            }
        }
        let name = &self.extraction.name;
        // Without a stream nothing was let through yet.
        if tables.is_empty()
            || stream::read(&**monolith, Side::Monolith, name)
                .await?
                .is_none()
        {
            return Ok(Vec::new());
        }
        if self.last_rows_applied(claims).await {
            return Ok(Vec::new());
        }
        tracing::warn!(
            extraction = %name,
            "rows that the service added may not be in the monolith: its tables are left as they are"
        );
        Ok(tables)
    }

    async fn close_fence(
        &self,
        removal: &Removal<'_>,
        service: &mut Session,
        claim: Claim,
        table: &TableName,
    ) -> Result<(), MoverError> {
        let side = Side::Service;
        let wrap = || MoverError::sql(side, "closing a fence");
        let transaction = lock_retry::begin(service).await?;
        removal
            .locked(&transaction, side, claim, RowLock::Share)
            .await?;
        let fence = self.layout().create_fence(table, side, FenceScope::Closed);
        transaction.batch_execute(&fence).await.map_err(wrap())?;
        transaction.commit().await.map_err(wrap())
    }

    /// Follows the service to where it is now; false where that did not succeed
    /// in time.
    async fn last_rows_applied(&self, claims: &Claims) -> bool {
        let follower = Follower::start(self, Direction::Reverse, claims);
        let arriving = async {
            let sampler = Sampler::start(Side::Service, self.database(Side::Service));
            let position = sampler.sample().await?;
            // A stored position says nothing before the stream runs: its server may
            // have been restored, and its log begun anew.
            let mut status = follower.status();
            let arrived = status
                .wait_for(|now| now.phase == FollowPhase::Streaming && now.applied >= position);
            arrived.await.ok()?;
            Some(())
        };
        let arrived = tokio::time::timeout(LIMIT, arriving).await;
        follower.stop().await;
        matches!(arrived, Ok(Some(())))
    }
}
