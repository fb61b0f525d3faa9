//! Transactions of a hand-over: bounded statements, the locked row, and the
//! messages in the change stream.

use crate::{
    database::session::Session,
    error::MoverError,
    extraction::Mover,
    objects::owner::{self, Claims, RowLock},
};
use protocol::{
    HandoverId, Side,
    owner::OwnerRow,
    stream::{MESSAGE_PREFIX, Message},
};
use std::time::Duration;
use tokio_postgres::GenericClient;

/// The longest that deciding and opening wait for anything.
pub(super) const ROW_TIMEOUT: Duration = Duration::from_secs(5);

impl Mover {
    /// Locks the side's row and checks that it is of this hand-over's extraction.
    pub(super) async fn locked_for_handover(
        &self,
        session: &Session,
        claims: &Claims,
        id: &HandoverId,
        side: Side,
        lock: RowLock,
    ) -> Result<OwnerRow, MoverError> {
        let name = &self.extraction.name;
        let row = owner::locked(&**session, side, name, claims.of(side), lock).await?;
        if row.instance == id.instance {
            Ok(row)
        } else {
            Err(self.overtaken(id, side, &row))
        }
    }

    pub(super) fn row_error(&self, id: &HandoverId, side: Side, problem: String) -> MoverError {
        let extraction = self.extraction.name.clone();
        MoverError::Row {
            extraction,
            side,
            epoch: id.epoch,
            problem,
        }
    }

    /// The row is further than the hand-over, or another's.
    pub(super) fn overtaken(&self, id: &HandoverId, side: Side, row: &OwnerRow) -> MoverError {
        let found = if row.instance != id.instance {
            format!("is of another instance, {}", row.instance)
        } else if row.is_of_another(id) {
            format!("came to epoch {} by another hand-over", id.epoch)
        } else {
            format!(
                "is at epoch {}, after the hand-over's {}",
                row.epoch, id.epoch
            )
        };
        MoverError::Overtaken {
            extraction: self.extraction.name.clone(),
            side,
            found,
        }
    }
}

/// Begins a transaction whose every statement is bounded.
pub(super) async fn begin(session: &Session, limit: Duration) -> Result<(), MoverError> {
    let millis = limit.as_millis().max(1);
    let text = format!(
        "begin; set local statement_timeout = '{millis}ms'; set local lock_timeout = '{millis}ms'"
    );
    session
        .batch_execute(&text)
        .await
        .map_err(MoverError::sql(session.side(), "beginning"))
}

/// Writes a transactional message into the side's change stream.
pub(super) async fn emit(
    client: &impl GenericClient,
    side: Side,
    message: &Message,
) -> Result<(), MoverError> {
    let content = serde_json::to_string(message).unwrap_or_default();
    client
        .execute(
            "select pg_logical_emit_message(true, $1, $2::text)",
            &[&MESSAGE_PREFIX, &content],
        )
        .await
        .map_err(MoverError::sql(side, "writing a message into the log"))?;
    Ok(())
}
