//! How far a stream is that another process follows.

use crate::{Mover, MoverError, apply::progress, connect::Session};
use protocol::{Lsn, stream::Direction};
use std::time::Duration;
use tokio::time::sleep;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(20);

/// Between attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Tells how far the stream is by its row, for ever. Who follows it stores that
/// with the rows it applies; what moves on without any is heard of late.
pub async fn watch(mover: &Mover, direction: Direction, reached: impl Fn(Lsn)) {
    loop {
        if let Err(error) = look(mover, direction, &reached).await {
            tracing::debug!(stream = direction.as_str(), %error, "a stream's row is not seen");
        }
        sleep(RECONNECT_PAUSE).await;
    }
}

async fn look(
    mover: &Mover,
    direction: Direction,
    reached: impl Fn(Lsn),
) -> Result<(), MoverError> {
    let target = direction.target();
    let session = Session::open(target, mover.database(target)).await?;
    let extraction = &mover.extraction().name;
    // None: there is nothing yet to wait for.
    while let Some(row) = progress::read(&*session, target, extraction).await? {
        reached(row.position);
        sleep(LOOK).await;
    }
    Ok(())
}
