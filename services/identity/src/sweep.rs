//! Removes what is over, a little at a time.

use std::time::Duration;

use kit::Stopping;
use kit::database::{Database, DatabaseError};
use kit::outbox;

/// How often.
const PERIOD: Duration = Duration::from_mins(1);

/// Rows at once: no statement holds many locks or runs for long.
const ROWS: i64 = 1000;

/// Used refresh tokens are known for as long as an unused one would be good:
/// one that comes later is refused all the same, but no longer ends a session.
const STATEMENTS: [&str; 4] = [
    "delete from throttle where key = any(array( \
       select key from throttle where ends < now() order by key limit $1 for update skip locked))",
    "delete from link where digest = any(array( \
       select digest from link where expires_at < now() limit $1))",
    "delete from refresh_token where digest = any(array( \
       select digest from refresh_token where used_at < now() - make_interval(days => $2) limit $1))",
    "delete from session where id = any(array( \
       select id from session where expires_at < now() - make_interval(days => $2) limit $1))",
];

/// Removes one batch of each; whether there may be more.
pub(crate) async fn sweep(database: &Database, refresh_days: i32) -> Result<bool, DatabaseError> {
    let mut is_full = false;
    for statement in STATEMENTS {
        let mut query = sqlx::query(statement).bind(ROWS);
        if statement.contains("$2") {
            query = query.bind(refresh_days);
        }
        let removed = query.execute(database.pool()).await?.rows_affected();
        is_full |= removed >= ROWS.unsigned_abs();
    }
    is_full |= outbox::sweep(database, ROWS).await? >= ROWS.unsigned_abs();
    Ok(is_full)
}

/// Until the service stops.
pub(crate) async fn run(
    database: Database,
    refresh_days: i32,
    stopping: Stopping,
) -> Result<(), kit::Fault> {
    loop {
        let wait = match sweep(&database, refresh_days).await {
            Ok(true) => Duration::from_millis(100),
            Ok(false) => PERIOD,
            Err(error) => {
                tracing::warn!(%error, "what is over could not be removed");
                PERIOD
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopping.told() => return Ok(()),
        }
    }
}
