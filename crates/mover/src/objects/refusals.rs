//! What a side's fence has refused since it was put up, by the sequences in which
//! the fence counts (`layout::refusals`).

use super::notes::TIME;
use crate::{database::session::Session, layout::Layout};
use protocol::Side;
use serde::Serialize;
use tokio_postgres::{Error, GenericClient};

/// Statements that a side's fence has refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// Whose fence.
    pub side: Side,
    /// How many statements.
    pub statements: u64,
    /// When the first was refused, in UTC; empty where none was.
    pub first_seen: String,
    /// When the last was.
    pub last_seen: String,
    /// The same in milliseconds since 1970; 0 where none was.
    pub last_seen_ms: i64,
}

/// What a side's fence has refused; `None`: it does not count, or that cannot be
/// read. Nothing is decided by it, so that it stands in nobody's way.
pub(crate) async fn read(
    client: &impl GenericClient,
    side: Side,
    layout: &Layout,
) -> Option<Refusals> {
    let read = async {
        if exists(client, layout).await? {
            counted(client, side, layout).await.map(Some)
        } else {
            Ok(None)
        }
    };
    read.await.unwrap_or_else(|error: Error| {
        tracing::debug!(%side, %error, "what the fence has refused cannot be read");
        None
    })
}

async fn counted(
    client: &impl GenericClient,
    side: Side,
    layout: &Layout,
) -> Result<Refusals, Error> {
    let [count, first, last] = layout.refusal_counters();
    let time = |name| {
        format!("to_char(to_timestamp({name}.last_value / 1000) at time zone 'UTC', {TIME})")
    };
    let select = format!(
        "select c.last_value, {}, {}, l.last_value from {count} c, {first} f, {last} l where c.is_called",
        time("f"),
        time("l")
    );
    let none = || Refusals {
        side,
        statements: 0,
        first_seen: String::new(),
        last_seen: String::new(),
        last_seen_ms: 0,
    };
    let row = client.query_opt(&select, &[]).await?;
    Ok(row.map_or_else(none, |row| Refusals {
        side,
        statements: u64::try_from(row.get::<_, i64>(0)).unwrap_or_default(),
        first_seen: row.get(1),
        last_seen: row.get(2),
        last_seen_ms: row.get(3),
    }))
}

/// Counts anew: the side owns, and its fence has come down.
pub(crate) async fn reset(session: &Session, side: Side, layout: &Layout) {
    let reset = async {
        if exists(&**session, layout).await? {
            let [count, ..] = layout.refusal_counters();
            let reset = format!("select setval('{count}', 1, false)");
            session.batch_execute(&reset).await?;
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = reset.await {
        tracing::warn!(%side, %error, "refusals are not counted anew");
    }
}

/// Makes the counters where one is missing: an earlier version made none, and
/// somebody may have dropped one.
pub(crate) async fn make_missing(session: &Session, layout: &Layout) {
    let make = async {
        if !exists(&**session, layout).await? {
            session
                .batch_execute(&layout.create_refusal_counters())
                .await?;
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = make.await {
        let side = session.side();
        tracing::warn!(%side, %error, "refusals are not counted");
    }
}

/// Whether all of them are there.
async fn exists(client: &impl GenericClient, layout: &Layout) -> Result<bool, Error> {
    let names = layout.refusal_counters();
    let all = "select bool_and(to_regclass(name) is not null) from unnest($1::text[]) name";
    let row = client.query_one(all, &[&names.as_slice()]).await?;
    Ok(row.get(0))
}
