//! How far the stream is behind, also while it does not stream: the end of the
//! source's log and its clock, over a session of its own; and how much of that
//! log the source has to keep for it.

use super::status::Reporter;
use crate::{database::session::Session, error::MoverError, extraction::Mover};
use postgres_types::PgLsn;
use protocol::{Lsn, stream::Direction};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How often the end of the source's log is asked for.
const INTERVAL: Duration = Duration::from_millis(250);

/// Between attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// An answer that takes longer is none.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The last is null where there is no such slot, or it is lost.
const LOG_END: &str = "select pg_current_wal_flush_lsn(), \
    (extract(epoch from clock_timestamp() - '2000-01-01 00:00:00+00') * 1000000)::bigint, \
    (select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), restart_lsn)::bigint \
     from pg_replication_slots where slot_name = $1)";

/// Reports for ever.
pub(super) async fn sample(mover: Mover, direction: Direction, reporter: Arc<Reporter>) {
    loop {
        let lost = follow_end(&mover, direction, &reporter).await;
        if let Err(error) = lost {
            tracing::debug!(side = %direction.source(), %error, "the end of the log is not known");
        }
        reporter.log_end_unknown();
        sleep(RECONNECT_PAUSE).await;
    }
}

/// Returns only an error.
async fn follow_end(
    mover: &Mover,
    direction: Direction,
    reporter: &Reporter,
) -> Result<(), MoverError> {
    let side = direction.source();
    let slot = mover.layout().slot(direction);
    let wrap = || MoverError::sql(side, "asking for the end of the log");
    let session = Session::open(side, mover.database(side)).await?;
    let statement = session.prepare(LOG_END).await.map_err(wrap())?;
    loop {
        let answer = timeout(ANSWER_LIMIT, session.query_one(&statement, &[&slot])).await;
        let row = answer
            .map_err(|_| MoverError::Deadline {
                side,
                doing: "asking for the end of the log",
                limit: ANSWER_LIMIT,
            })?
            .map_err(wrap())?;
        let retained: Option<i64> = row.get(2);
        reporter.retained(retained.and_then(|bytes| bytes.try_into().ok()));
        reporter.log_end(Lsn(row.get::<_, PgLsn>(0).into()), row.get(1));
        sleep(INTERVAL).await;
    }
}
