//! How often something may be tried: counted in PostgreSQL, so that it holds
//! over all instances.
//!
//! A count begins with the first try and ends after the window. An attempt is
//! counted before its password is tried, and taken back when that was right:
//! many at once are no way around. The table is bounded by what can be counted
//! within a window: a login or a registration costs a hash, of which there are
//! only so many, and links have a bound over all.

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use kit::Problem;
use kit::database::{Database, DatabaseError};

use crate::digest::kept;

/// What is counted, and how often it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counter {
    key: Vec<u8>,
    most: u32,
}

impl Counter {
    /// Of a name that is not kept: it may be a password that somebody typed
    /// into the wrong field.
    pub(crate) fn new(kind: &str, name: &str, most: u32) -> Self {
        let key = kept(&format!("{kind} {name}"));
        Self { key, most }
    }

    /// Of an address. Of IPv6 the network: who has one address has them all.
    pub(crate) fn of_address(kind: &str, address: IpAddr, most: u32) -> Self {
        let name = match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("{:x?}", &address.segments()[..4]),
        };
        Self::new(kind, &name, most)
    }
}

/// Whether one more is too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// Some count is at its end; it is the first such attempt or not.
    Refused {
        wait_seconds: u32,
        is_first: bool,
    },
}

impl Verdict {
    pub(crate) fn allowed(self) -> Result<(), Problem> {
        match self {
            Self::Allowed => Ok(()),
            Self::Refused { wait_seconds, .. } => Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "throttled",
                "Too many attempts; `Retry-After` says when to try again.",
            )
            .retry_after(wait_seconds)),
        }
    }
}

const LOOK: &str = "select w.most, t.count, ceil(extract(epoch from t.ends - now()))::int \
     from unnest($1::bytea[], $2::int[]) as w (key, most) join throttle t on t.key = w.key \
     where t.ends > now()";

// In the order of the keys, so that two that count the same do not wait for
// each other crosswise.
const COUNT: &str = "with counted as ( \
       insert into throttle as t (key, count, ends) \
       select key, 1, now() + make_interval(secs => $3) from unnest($1::bytea[]) as w (key) \
       order by key \
       on conflict (key) do update set \
         count = case when t.ends > now() then least(t.count, 1000000000) + 1 else 1 end, \
         ends = case when t.ends > now() then t.ends else excluded.ends end \
       returning key, count, ends \
     ) select w.most, c.count, ceil(extract(epoch from c.ends - now()))::int \
     from unnest($1::bytea[], $2::int[]) as w (key, most) join counted c on c.key = w.key";

// Only the first one that is refused writes: a flood of them reads.
const MARK: &str = "update throttle set count = count + 1 where key in ( \
     select t.key from unnest($1::bytea[], $2::int[]) as w (key, most) \
     join throttle t on t.key = w.key \
     where t.count = w.most and t.ends > now() order by t.key for update of t)";

const TAKE_BACK: &str = "update throttle set count = greatest(count - 1, 0) where key in ( \
     select key from throttle where key = any($1) order by key for update)";

/// Counts attempts.
#[derive(Debug, Clone)]
pub(crate) struct Throttle {
    database: Database,
    window: Duration,
}

impl Throttle {
    pub(crate) fn new(database: Database, window: Duration) -> Self {
        Self { database, window }
    }

    /// Whether another attempt would be one too many. Counts only the first
    /// one that is.
    pub(crate) async fn look(&self, counters: &[Counter]) -> Result<Verdict, DatabaseError> {
        let (keys, most) = bound(counters);
        let found: Vec<(i32, i32, i32)> = sqlx::query_as(LOOK)
            .bind(&keys)
            .bind(&most)
            .fetch_all(self.database.pool())
            .await?;
        let found = found.into_iter();
        let verdict =
            judged(found.map(|(most, count, wait)| (most, count.saturating_add(1), wait)));
        let Verdict::Refused {
            wait_seconds,
            is_first: true,
        } = verdict
        else {
            return Ok(verdict);
        };
        let mark = sqlx::query(MARK).bind(keys).bind(most);
        let marked = mark.execute(self.database.pool()).await?;
        Ok(Verdict::Refused {
            wait_seconds,
            is_first: marked.rows_affected() > 0,
        })
    }

    /// Counts an attempt.
    pub(crate) async fn count(&self, counters: &[Counter]) -> Result<Verdict, DatabaseError> {
        let (keys, most) = bound(counters);
        let found: Vec<(i32, i32, i32)> = sqlx::query_as(COUNT)
            .bind(keys)
            .bind(most)
            .bind(self.window.as_secs_f64())
            .fetch_all(self.database.pool())
            .await?;
        Ok(judged(found.into_iter()))
    }

    /// The attempt was no failure.
    pub(crate) async fn take_back(&self, counters: &[Counter]) -> Result<(), DatabaseError> {
        let (keys, _) = bound(counters);
        sqlx::query(TAKE_BACK)
            .bind(keys)
            .execute(self.database.pool())
            .await?;
        Ok(())
    }

    /// Begins anew.
    pub(crate) async fn forget(&self, counters: &[Counter]) -> Result<(), DatabaseError> {
        let (keys, _) = bound(counters);
        sqlx::query("delete from throttle where key = any($1)")
            .bind(keys)
            .execute(self.database.pool())
            .await?;
        Ok(())
    }
}

fn bound(counters: &[Counter]) -> (Vec<&[u8]>, Vec<i32>) {
    let most = |counter: &Counter| i32::try_from(counter.most).unwrap_or(i32::MAX);
    counters
        .iter()
        .map(|counter| (&counter.key[..], most(counter)))
        .unzip()
}

fn judged(counts: impl Iterator<Item = (i32, i32, i32)>) -> Verdict {
    let over: Vec<_> = counts.filter(|(most, count, _)| count > most).collect();
    let Some(wait) = over.iter().map(|(_, _, wait)| *wait).max() else {
        return Verdict::Allowed;
    };
    Verdict::Refused {
        wait_seconds: u32::try_from(wait).unwrap_or(0).max(1),
        is_first: over.iter().any(|(most, count, _)| *count == most + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_of_those_that_are_over_counts() {
        let refused = |wait_seconds, is_first| Verdict::Refused {
            wait_seconds,
            is_first,
        };
        assert_eq!(judged([].into_iter()), Verdict::Allowed);
        assert_eq!(judged([(3, 3, 9)].into_iter()), Verdict::Allowed);
        assert_eq!(
            judged([(3, 4, 9), (9, 4, 99)].into_iter()),
            refused(9, true)
        );
        assert_eq!(
            judged([(3, 5, 0), (2, 9, 7)].into_iter()),
            refused(7, false)
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let of = |text: &str| Counter::of_address("a", text.parse().unwrap(), 1);
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
