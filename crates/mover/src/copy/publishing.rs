//! The publication that a copy begins with: what is left out of it then is in
//! neither the copy nor the stream.

use crate::{
    catalog::MovedTable,
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
        sql,
    },
    error::MoverError,
    extraction::Mover,
    layout::Layout,
    objects::{
        continuity,
        owner::{Claims, RowLock},
        publication,
    },
};
use plan::TableName;
use protocol::Side;

impl Mover {
    /// What the monolith's publication is made of; it is made again where somebody
    /// has edited it since it was prepared.
    pub(super) async fn published_as_ours(
        &self,
        monolith: &mut Session,
        moved: &[MovedTable],
        claims: &Claims,
    ) -> Result<String, MoverError> {
        // In this order: what is edited in between is noticed by the numbers.
        let published = continuity::fingerprint(monolith, &self.layout().publication()).await?;
        if self.publishes_otherwise(monolith, &[]).await? {
            return self
                .publish_anew(monolith, moved, Side::Monolith, claims)
                .await;
        }
        Ok(published)
    }

    /// Whether a side's publication is gone or is not what we make; the tables that
    /// are only being added may be in it or not.
    pub(super) async fn publishes_otherwise(
        &self,
        session: &Session,
        joining: &[TableName],
    ) -> Result<bool, MoverError> {
        let side = session.side();
        let found = publication::read(&**session, side, &self.layout().publication()).await?;
        Ok(found.is_none_or(|found| {
            let there = |name: &&TableName| found.has(name) || !joining.contains(name);
            let tables = self.tables(side).filter(there).collect();
            found.difference(&tables).is_some()
        }))
    }

    /// The publication as it is to be, whatever somebody made of it, and what it
    /// is made of. It comes before the slot, whose snapshots must have it.
    pub(super) async fn publish_anew(
        &self,
        source: &mut Session,
        moved: &[MovedTable],
        owner: Side,
        claims: &Claims,
    ) -> Result<String, MoverError> {
        let layout = self.layout();
        let side = source.side();
        let name = layout.publication();
        let doing = "making the publication again";
        let mut retry = LockRetry::new(doing);
        loop {
            let published = async {
                let transaction = lock_retry::begin(source).await?;
                let names = sql::tables(moved.iter().map(|table| table.name(side)));
                let displaced = lock_retry::displace_autovacuum(&transaction, &names).await;
                displaced.map_err(MoverError::sql(side, doing))?;
                self.locked_for_copy(&transaction, side, owner, claims.of(side), RowLock::Share)
                    .await?;
                let drop = format!("drop publication if exists {}", sql::identifier(&name));
                let dropped = transaction.batch_execute(&drop).await;
                dropped.map_err(MoverError::sql(side, doing))?;
                publication::publish(&transaction, side, &layout, moved).await?;
                let committed = transaction.commit().await;
                committed.map_err(MoverError::sql(side, doing))
            };
            match published.await {
                Ok(()) => return continuity::fingerprint(source, &name).await,
                Err(error) => retry.wait_after(source, error).await?,
            }
        }
    }
}

/// The copy is void: changes since its snapshot may be missing.
pub(super) fn edited_meanwhile(layout: &Layout) -> MoverError {
    MoverError::Data {
        object: format!(
            "publication {} in the monolith's database",
            layout.publication()
        ),
        problem: "it was edited while the tables were copied, so that changes may be missing"
            .to_owned(),
        remedy: "The copy is made again by itself; leave the publication alone meanwhile"
            .to_owned(),
    }
}
