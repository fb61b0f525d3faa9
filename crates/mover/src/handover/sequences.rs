//! Sequences: the new owner's start past the old owner's.

use super::transaction;
use crate::{
    catalog,
    database::session::Session,
    error::MoverError,
    extraction::Mover,
    objects::owner::{Claims, RowLock},
};
use plan::TableWrites;
use protocol::{HandoverId, Side, stream::is_split};

impl Mover {
    /// Moves the target's sequences past the source's by the plan's block.
    /// The source is fenced, so its sequences stand still but for transactions
    /// that will fail; the block covers those. Repeating it only leaves a gap.
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
        // Where both sides give out keys, each keeps to its own range. Tables
        // that are split now are each side's own, with their sequences.
        let splits = to == Side::Service && !is_split(&row);
        let tables = self.extraction.data.tables.iter();
        for mapping in tables.filter(|mapping| match mapping.writes {
            TableWrites::Owner => true,
            TableWrites::Append => false,
            TableWrites::Split => splits,
        }) {
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
                    let last = position(&source, old).await?;
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

/// How far a sequence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    /// The last value given out, or the one before the first.
    last: i64,
    /// Whether any was given out since the sequence was made or set.
    is_called: bool,
}

impl Position {
    /// How far the target's must be brought; `None` where nothing was given out
    /// on either side and the target's begins no earlier.
    fn goal(own: Self, source: Self, block: u32) -> Option<i64> {
        if !own.is_called && !source.is_called && source.last <= own.last {
            return None;
        }
        let last = own.last.max(source.last);
        Some(last.saturating_add(i64::from(block)))
    }
}

/// Reads it from the sequence itself: `pg_sequence_last_value` does not tell of
/// one that was set (`setval(s, n, false)`, `restart with n`) and not used since.
async fn position(session: &Session, sequence: &str) -> Result<Position, MoverError> {
    // The name is as regclass writes it: qualified, and quoted by the database.
    let query = format!(
        "select case when is_called then last_value else last_value - seqincrement end, is_called \
         from {sequence}, pg_sequence where seqrelid = $1::text::regclass"
    );
    let row = session
        .query_one(&query, &[&sequence])
        .await
        .map_err(MoverError::sql(session.side(), "reading a sequence"))?;
    Ok(Position {
        last: row.get(0),
        is_called: row.get(1),
    })
}

async fn advance(
    session: &Session,
    sequence: &str,
    source: Position,
    block: u32,
) -> Result<(), MoverError> {
    let own = position(session, sequence).await?;
    let Some(next) = Position::goal(own, source, block) else {
        return Ok(());
    };
    session
        .execute("select setval($1::text::regclass, $2)", &[&sequence, &next])
        .await
        .map_err(MoverError::sql(session.side(), "moving a sequence"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_goes_past_whatever_either_side_gave_out_or_was_set_to() {
        let at = |last, is_called| Position { last, is_called };
        let goal = |own, source| Position::goal(own, source, 100);
        assert_eq!(goal(at(0, false), at(0, false)), None);
        assert_eq!(goal(at(0, false), at(50, true)), Some(150));
        assert_eq!(goal(at(70, true), at(50, true)), Some(170));
        // Set, and not used since.
        assert_eq!(goal(at(0, false), at(4999, false)), Some(5099));
        assert_eq!(goal(at(4999, false), at(0, false)), None);
        assert_eq!(goal(at(4999, false), at(7, true)), Some(5099));
        assert_eq!(goal(at(0, false), at(i64::MAX, true)), Some(i64::MAX));
    }
}
