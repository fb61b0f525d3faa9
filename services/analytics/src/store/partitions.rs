//! A partition for each day: made ahead, dropped when its day is over for good.

use kit::database::{Database, DatabaseError, commit};
use tracing::info;

use crate::settings::Retention;

/// As many days without a round do no harm.
const AHEAD_DAYS: i32 = 3;
/// A drop waits for who reads, and whoever comes then waits for it: not long.
const TIMEOUT: &str = "set local lock_timeout = '2s'";
/// Hours that are deleted at once.
const SWEEP_LIMIT: u64 = 10_000;

/// Tables by the hour have no partitions: they are small.
const SWEEPS: [&str; 3] = [
    "delete from requests_by_hour where ctid = any(array(select ctid from requests_by_hour \
     where begins < clock_timestamp() - make_interval(days => $1) limit $2))",
    "delete from resources_by_hour where ctid = any(array(select ctid from resources_by_hour \
     where begins < clock_timestamp() - make_interval(days => $1) limit $2))",
    "delete from events_by_hour where ctid = any(array(select ctid from events_by_hour \
     where begins < clock_timestamp() - make_interval(days => $1) limit $2))",
];

/// Brings partitions up to date. Several at once wait for each other.
pub async fn keep(database: &Database, retention: Retention) -> Result<(), DatabaseError> {
    let mut transaction = database.begin().await?;
    sqlx::query(TIMEOUT).execute(&mut *transaction).await?;
    let dropped: i32 = sqlx::query_scalar("select keep_partitions($1, $2, $3)")
        .bind(retention.rows.cast_signed())
        .bind(retention.minutes.cast_signed())
        .bind(AHEAD_DAYS)
        .fetch_one(&mut *transaction)
        .await?;
    commit(transaction).await?;
    if dropped > 0 {
        info!(dropped, "days that are over were dropped");
    }
    for sweep in SWEEPS {
        let mut swept = SWEEP_LIMIT;
        while swept == SWEEP_LIMIT {
            let done = sqlx::query(sweep)
                .bind(retention.hours.cast_signed())
                .bind(SWEEP_LIMIT.cast_signed())
                .execute(database.pool())
                .await?;
            swept = done.rows_affected();
        }
    }
    Ok(())
}
