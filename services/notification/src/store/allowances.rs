//! The burst limit: how many notifications a user may get at once, per channel,
//! whichever instances they are asked of.

use std::time::Duration;

use kit::database::DatabaseError;
use sqlx::PgConnection;

use crate::message::Channel;

/// So many at once, and one more after each `refill`.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// At once.
    pub burst: u32,
    /// After it, one more.
    pub refill: Duration,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowance {
    /// Taken.
    Taken,
    /// There is none now; there is one after this many seconds.
    Exhausted {
        /// Rounded up.
        seconds: u32,
    },
}

/// The generic cell rate algorithm: one time per user and channel says when
/// the allowance will be whole again. The row is locked until the transaction
/// ends, so that many at once cannot take more than there is.
const TAKE: &str = "insert into allowances as a (user_id, channel, whole_at) \
     values ($1, $2, clock_timestamp() + $3) \
     on conflict (user_id, channel) do update \
     set whole_at = greatest(a.whole_at, clock_timestamp()) + $3 \
     where a.whole_at <= clock_timestamp() + $3 * ($4 - 1) returning 1";

const WAIT: &str = "select extract(epoch from whole_at - clock_timestamp() - $3 * ($4 - 1))::float8 \
     from allowances where user_id = $1 and channel = $2";

/// Takes one in the transaction of `connection`; what is rolled back is not
/// taken.
pub async fn take(
    connection: &mut PgConnection,
    user: &str,
    channel: Channel,
    limit: Limit,
) -> Result<Allowance, DatabaseError> {
    let taken: Option<i32> = sqlx::query_scalar(TAKE)
        .bind(user)
        .bind(channel.name())
        .bind(limit.refill)
        .bind(f64::from(limit.burst))
        .fetch_optional(&mut *connection)
        .await?;
    if taken.is_some() {
        return Ok(Allowance::Taken);
    }
    let wait: Option<f64> = sqlx::query_scalar(WAIT)
        .bind(user)
        .bind(channel.name())
        .bind(limit.refill)
        .bind(f64::from(limit.burst))
        .fetch_optional(connection)
        .await?;
    let wait = Duration::try_from_secs_f64(wait.unwrap_or_default()).unwrap_or_default();
    let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
    Ok(Allowance::Exhausted { seconds })
}
