//! How long the kit's own tables keep rows.

use std::time::Duration;

use crate::database::{Database, DatabaseError};
use crate::{idempotency, outbox, saga};

/// Sagas that have ended are kept so long for whoever asks about them.
const SAGA_RETENTION: Duration = Duration::from_hours(30 * 24);

/// Deletes what is expired or not needed any more in the kit's own tables, at
/// most `limit` rows of each kind; how many there were. Call it every few
/// minutes; in several instances at once is no harm.
pub async fn sweep(database: &Database, limit: i64) -> Result<u64, DatabaseError> {
    let records = idempotency::sweep(database, limit).await?;
    let events = outbox::sweep(database, limit).await?;
    let sagas = saga::sweep(database, SAGA_RETENTION, limit).await?;
    Ok(records + events + sagas)
}
