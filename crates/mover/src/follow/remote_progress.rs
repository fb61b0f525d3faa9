//! How far a stream is that another process follows, by its row.

use crate::{database::session::Session, error::MoverError, extraction::Mover, objects::stream};
use protocol::{Lsn, stream::Direction};
use std::time::Duration;
use tokio::time::sleep;

/// Between two reads of the row.
const INTERVAL: Duration = Duration::from_millis(20);

/// Between attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Passes the stored position to `reached`, for ever. The other process stores
/// it with the rows that it applies; progress without rows is stored late.
pub async fn watch(mover: &Mover, direction: Direction, reached: impl Fn(Lsn)) {
    loop {
        if let Err(error) = poll(mover, direction, &reached).await {
            tracing::debug!(stream = direction.as_str(), %error, "a stream's row is not seen");
        }
        sleep(RECONNECT_PAUSE).await;
    }
}

async fn poll(
    mover: &Mover,
    direction: Direction,
    reached: impl Fn(Lsn),
) -> Result<(), MoverError> {
    let target = direction.target();
    let session = Session::open(target, mover.database(target)).await?;
    let extraction = &mover.extraction().name;
    // None: there is nothing yet to wait for.
    while let Some(row) = stream::read(&*session, target, extraction).await? {
        reached(row.position);
        sleep(INTERVAL).await;
    }
    Ok(())
}
