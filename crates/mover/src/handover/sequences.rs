//! Sequences: the new owner's start past the old owner's.

use super::transaction;
use crate::{
    catalog::sequences,
    database::session::Session,
    error::MoverError,
    extraction::Mover,
    objects::owner::{Claims, RowLock},
};
use protocol::{HandoverId, Side, stream::is_split};

/// All of them at once: the time that requests are held does not grow with the
/// number of tables.
const SET: &str = "select setval(sequence::regclass, last) \
    from unnest($1::text[], $2::bigint[]) goals(sequence, last)";

impl Mover {
    /// Moves the target's sequences past the source's by the plan's block.
    /// The source is fenced, so its sequences stand still but for transactions
    /// that will fail; the block covers those. Repeating it only leaves a gap.
    ///
    /// What may be in the way was looked for by [`Mover::blockers`], before
    /// anything was held.
    pub async fn advance_sequences(
        &self,
        claims: &Claims,
        id: &HandoverId,
    ) -> Result<(), MoverError> {
        let (from, to) = (id.from, id.from.other());
        let (source, target) = tokio::try_join!(
            Session::open(from, self.database(from)),
            Session::open(to, self.database(to)),
        )?;
        transaction::begin(&target, transaction::ROW_TIMEOUT).await?;
        let row = self
            .locked_for_handover(&target, claims, id, to, RowLock::Share)
            .await?;
        let split = to == Side::Service && is_split(&row);
        let carried = sequences::carried(&self.extraction.data.tables, to, split);
        let (given, own) = tokio::try_join!(
            sequences::of(&source, &carried),
            sequences::of(&target, &carried),
        )?;
        let block = self.extraction.data.switch.block;
        let unreadable = given.iter().any(|one| one.position.is_none());
        let mut obstacles = sequences::rights(to, &own);
        if unreadable {
            obstacles.extend(sequences::rights(from, &given));
        }
        let goals = sequences::advances(&carried, from, &given, &own, block);
        let goals = goals.unwrap_or_else(|found| {
            obstacles.extend(found);
            Vec::new()
        });
        if let Some(first) = obstacles.into_iter().next() {
            return Err(MoverError::Data {
                object: first.object,
                problem: first.problem,
                remedy: first.remedy.to_string(),
            });
        }
        let names: Vec<&str> = goals.iter().map(|goal| goal.sequence.as_str()).collect();
        let lasts: Vec<i64> = goals.iter().map(|goal| goal.last).collect();
        let wrap = || MoverError::sql(to, "moving sequences");
        target
            .execute(SET, &[&names, &lasts])
            .await
            .map_err(wrap())?;
        target.batch_execute("commit").await.map_err(wrap())
    }
}
