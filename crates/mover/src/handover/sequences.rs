//! Sequences: the new owner's start past the old owner's.

use super::Order;
use crate::{Claims, Mover, MoverError, catalog, connect::Session, owner::RowLock};
use protocol::Side;

impl Mover {
    /// Moves the target's sequences past the source's by the plan's block.
    /// The source is fenced, so its sequences stand still but for transactions
    /// that will fail; the block covers those. Repeating it only leaves a gap.
    pub async fn advance_sequences(
        &self,
        claims: &Claims,
        order: &Order,
    ) -> Result<(), MoverError> {
        let (from, to) = (order.from, order.from.other());
        let (source, target) = tokio::try_join!(
            Session::open(from, self.database(from)),
            Session::open(to, self.database(to)),
        )?;
        super::begin(&target, super::ROW_TIMEOUT).await?;
        self.locked(&target, claims, order, to, RowLock::Share)
            .await?;
        for mapping in &self.extraction.data.tables {
            let (here, there) = match from {
                Side::Monolith => (&mapping.monolith, &mapping.service),
                Side::Service => (&mapping.service, &mapping.monolith),
            };
            let (Some(old), Some(new)) = (
                catalog::table(&source, here).await?,
                catalog::table(&target, there).await?,
            ) else {
                continue;
            };
            for column in &old.columns {
                let twin_name = match from {
                    Side::Monolith => mapping.service_column(&column.name),
                    Side::Service => mapping.monolith_column(&column.name),
                };
                let twin = new.columns.iter().find(|twin| twin.name == twin_name);
                let twin_sequence = twin.and_then(|twin| twin.sequence.as_deref());
                if let (Some(old), Some(new)) = (column.sequence.as_deref(), twin_sequence) {
                    let last = last_value(&source, old).await?;
                    advance(&target, new, last, self.extraction.data.switch.block).await?;
                }
            }
        }
        target
            .batch_execute("commit")
            .await
            .map_err(MoverError::sql(to, "moving sequences"))
    }
}

/// The last value given out; `None` before the first.
async fn last_value(session: &Session, sequence: &str) -> Result<Option<i64>, MoverError> {
    let row = session
        .query_one(
            "select pg_sequence_last_value($1::text::regclass)",
            &[&sequence],
        )
        .await
        .map_err(MoverError::sql(session.side(), "reading a sequence"))?;
    Ok(row.get(0))
}

async fn advance(
    session: &Session,
    sequence: &str,
    source: Option<i64>,
    block: u32,
) -> Result<(), MoverError> {
    let own = last_value(session, sequence).await?;
    let Some(last) = own.max(source) else {
        return Ok(());
    };
    let next = last.saturating_add(i64::from(block));
    session
        .execute("select setval($1::text::regclass, $2)", &[&sequence, &next])
        .await
        .map_err(MoverError::sql(session.side(), "moving a sequence"))?;
    Ok(())
}
