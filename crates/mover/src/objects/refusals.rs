//! What a side's fence has refused since it was put up, by the sequences in which
//! the fence counts (`layout::refusals`).

use super::{notes::TIME, schema};
use crate::{database::session::Session, error::MoverError, layout::Layout};
use protocol::Side;
use serde::Serialize;
use tokio_postgres::GenericClient;

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
}

/// What a side's fence has refused; `None`: it does not count.
pub(crate) async fn read(
    client: &impl GenericClient,
    side: Side,
    layout: &Layout,
) -> Result<Option<Refusals>, MoverError> {
    let [count, first, last] = layout.refusal_counters();
    let time = |name| {
        format!("to_char(to_timestamp({name}.last_value / 1000) at time zone 'UTC', {TIME})")
    };
    let select = format!(
        "select c.last_value, {}, {} from {count} c, {first} f, {last} l where c.is_called",
        time("f"),
        time("l")
    );
    if !exists(client, side, layout).await? {
        return Ok(None);
    }
    let row = client
        .query_opt(&select, &[])
        .await
        .map_err(MoverError::sql(side, "reading what the fence has refused"))?;
    let none = || Refusals {
        side,
        statements: 0,
        first_seen: String::new(),
        last_seen: String::new(),
    };
    Ok(Some(row.map_or_else(none, |row| Refusals {
        side,
        statements: u64::try_from(row.get::<_, i64>(0)).unwrap_or_default(),
        first_seen: row.get(1),
        last_seen: row.get(2),
    })))
}

/// Counts anew: the side owns, and its fence has come down.
pub(crate) async fn reset(
    session: &Session,
    side: Side,
    layout: &Layout,
) -> Result<(), MoverError> {
    if !exists(&**session, side, layout).await? {
        return Ok(());
    }
    let [count, ..] = layout.refusal_counters();
    let reset = format!("select setval('{count}', 1, false)");
    session
        .batch_execute(&reset)
        .await
        .map_err(MoverError::sql(side, "counting refusals anew"))
}

async fn exists(
    client: &impl GenericClient,
    side: Side,
    layout: &Layout,
) -> Result<bool, MoverError> {
    // The last that is made.
    let [.., last] = layout.refusal_counters();
    let name = last.rsplit('.').next().unwrap_or_default();
    schema::has(client, side, name).await
}
