//! What was seen while an extraction ran, as the databases keep it: rows that
//! were written past a fence, and who writes the tables that move.
//!
//! Durable: it outlasts restarts and take-overs. Rows past a fence are counted
//! in the transaction that moves the stream past them, so each once.

use super::schema;
use crate::{error::MoverError, layout::SCHEMA};
use plan::ExtractionName;
use protocol::Side;
use serde::Serialize;
use std::collections::BTreeSet;
use tokio_postgres::{GenericClient, Row};

/// The most writers that are kept of an extraction; a database with more has
/// no plan.
pub(crate) const WRITERS_MAX: i64 = 1_000;

/// How times are told.
pub(super) const TIME: &str = r#"'YYYY-MM-DD"T"HH24:MI:SS"Z"'"#;

/// Rows that were written past a fence and not taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiscardedRows {
    /// Where they were written.
    pub side: Side,
    /// How many changes of rows.
    pub rows: i64,
    /// When the first was noticed, in UTC.
    pub first_seen: String,
    /// When the last was.
    pub last_seen: String,
}

/// A session that has been seen to write tables that move.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Writer {
    /// Its `application_name`, which may be empty.
    pub application: String,
    /// Its role.
    pub role: String,
    /// Its client's address; empty for a local socket, or where our role may
    /// not see it.
    pub address: String,
    /// The tables of the extraction that it wrote.
    pub tables: BTreeSet<String>,
    /// Tables that it wrote in the same transactions and that stay: after the
    /// switch these cannot be one transaction any more.
    pub together_with: BTreeSet<String>,
    /// In how many samples it was.
    pub sightings: i64,
    /// When it was seen first, in UTC.
    pub first_seen: String,
    /// When it was seen last.
    pub last_seen: String,
}

/// For how long it was looked who writes.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Looking {
    /// Since when, in UTC; not all the time since then.
    pub since: Option<String>,
    /// For how many seconds.
    pub seconds: f64,
}

/// Counts rows that were written past the source's fence, in the transaction
/// that moves the stream past them. `target` is the stream's.
pub(crate) async fn add_discarded(
    client: &impl GenericClient,
    target: Side,
    extraction: &ExtractionName,
    rows: i64,
) -> Result<(), MoverError> {
    let add = format!(
        "insert into {SCHEMA}.discarded as found (extraction, rows) values ($1, $2) \
         on conflict (extraction) do update \
         set rows = found.rows + excluded.rows, last_at = now()"
    );
    client
        .execute(&add, &[&extraction.as_str(), &rows])
        .await
        .map_err(MoverError::sql(target, "counting rows past the fence"))?;
    Ok(())
}

/// The rows that were written past the fence of `target`'s other side.
pub(crate) async fn discarded(
    client: &impl GenericClient,
    target: Side,
    extraction: &ExtractionName,
) -> Result<Option<DiscardedRows>, MoverError> {
    if !schema::has(client, target, "discarded").await? {
        return Ok(None);
    }
    let select = format!(
        "select rows, to_char(first_at at time zone 'UTC', {TIME}), \
         to_char(last_at at time zone 'UTC', {TIME}) \
         from {SCHEMA}.discarded where extraction = $1"
    );
    let row = client
        .query_opt(&select, &[&extraction.as_str()])
        .await
        .map_err(MoverError::sql(target, "reading the rows past the fence"))?;
    Ok(row.map(|row| DiscardedRows {
        side: target.other(),
        rows: row.get(0),
        first_seen: row.get(1),
        last_seen: row.get(2),
    }))
}

/// Forgets so many of them: what has come since stays.
pub(crate) async fn clear_discarded(
    client: &impl GenericClient,
    target: Side,
    extraction: &ExtractionName,
    rows: i64,
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(target, "clearing the rows past the fence");
    let subtract = format!("update {SCHEMA}.discarded set rows = rows - $2 where extraction = $1");
    client
        .execute(&subtract, &[&extraction.as_str(), &rows])
        .await
        .map_err(wrap())?;
    let delete = format!("delete from {SCHEMA}.discarded where extraction = $1 and rows <= 0");
    client
        .execute(&delete, &[&extraction.as_str()])
        .await
        .map_err(wrap())?;
    Ok(())
}

/// Who was seen to write, most often first.
pub(crate) async fn writers(
    client: &impl GenericClient,
    extraction: &ExtractionName,
) -> Result<Vec<Writer>, MoverError> {
    let side = Side::Monolith;
    if !schema::has(client, side, "writer").await? {
        return Ok(Vec::new());
    }
    let select = format!(
        "select application, role, address, tables, together_with, sightings, \
         to_char(first_at at time zone 'UTC', {TIME}), \
         to_char(last_at at time zone 'UTC', {TIME}) \
         from {SCHEMA}.writer where extraction = $1 order by application, role, address"
    );
    let rows = client
        .query(&select, &[&extraction.as_str()])
        .await
        .map_err(MoverError::sql(side, "reading who was seen to write"))?;
    Ok(rows.iter().map(writer).collect())
}

fn writer(row: &Row) -> Writer {
    let set = |at: usize| row.get::<_, Vec<String>>(at).into_iter().collect();
    Writer {
        application: row.get(0),
        role: row.get(1),
        address: row.get(2),
        tables: set(3),
        together_with: set(4),
        sightings: row.get(5),
        first_seen: row.get(6),
        last_seen: row.get(7),
    }
}

/// Adds what was seen of a writer, unless the extraction was cancelled
/// meanwhile or too many are kept.
pub(crate) async fn add_writer(
    client: &impl GenericClient,
    extraction: &ExtractionName,
    seen: &Writer,
) -> Result<(), MoverError> {
    let add = format!(
        "insert into {SCHEMA}.writer as found \
            (extraction, application, role, address, tables, together_with, sightings) \
         select $1, $2, $3, $4, $5::text[], $6::text[], $7::bigint \
         where exists (select from {SCHEMA}.owner where extraction = $1) \
           and (select count(*) from {SCHEMA}.writer where extraction = $1) < {WRITERS_MAX} \
         on conflict (extraction, application, role, address) do update set \
            tables = array(select distinct unnest(found.tables || excluded.tables) order by 1), \
            together_with = array(select distinct \
                unnest(found.together_with || excluded.together_with) order by 1), \
            sightings = found.sightings + excluded.sightings, last_at = now()"
    );
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    client
        .execute(
            &add,
            &[
                &extraction.as_str(),
                &seen.application,
                &seen.role,
                &seen.address,
                &list(&seen.tables),
                &list(&seen.together_with),
                &seen.sightings,
            ],
        )
        .await
        .map_err(MoverError::sql(
            Side::Monolith,
            "keeping who was seen to write",
        ))?;
    Ok(())
}

/// Forgets the writers of this `application_name`; says how many.
pub(crate) async fn forget_writer(
    client: &impl GenericClient,
    extraction: &ExtractionName,
    application: &str,
) -> Result<u64, MoverError> {
    if !schema::has(client, Side::Monolith, "writer").await? {
        return Ok(0);
    }
    let delete = format!("delete from {SCHEMA}.writer where extraction = $1 and application = $2");
    client
        .execute(&delete, &[&extraction.as_str(), &application])
        .await
        .map_err(MoverError::sql(Side::Monolith, "forgetting a writer"))
}

/// Adds to the time for which it was looked.
pub(crate) async fn add_looking(
    client: &impl GenericClient,
    extraction: &ExtractionName,
    seconds: f64,
) -> Result<(), MoverError> {
    let add = format!(
        "insert into {SCHEMA}.observation as found (extraction, seconds) select $1, $2::float8 \
         where exists (select from {SCHEMA}.owner where extraction = $1) \
         on conflict (extraction) do update set seconds = found.seconds + excluded.seconds"
    );
    client
        .execute(&add, &[&extraction.as_str(), &seconds])
        .await
        .map_err(MoverError::sql(
            Side::Monolith,
            "keeping for how long it was looked",
        ))?;
    Ok(())
}

/// Begins to look anew: other tables may be written by others.
pub(crate) async fn look_anew(
    client: &impl GenericClient,
    extraction: &ExtractionName,
) -> Result<(), MoverError> {
    let update =
        format!("update {SCHEMA}.observation set seconds = 0, since = now() where extraction = $1");
    client
        .execute(&update, &[&extraction.as_str()])
        .await
        .map(drop)
        .map_err(MoverError::sql(Side::Monolith, "looking anew who writes"))
}

/// For how long it was looked.
pub(crate) async fn looking(
    client: &impl GenericClient,
    extraction: &ExtractionName,
) -> Result<Looking, MoverError> {
    let side = Side::Monolith;
    if !schema::has(client, side, "observation").await? {
        return Ok(Looking::default());
    }
    let select = format!(
        "select to_char(since at time zone 'UTC', {TIME}), seconds \
         from {SCHEMA}.observation where extraction = $1"
    );
    let row = client
        .query_opt(&select, &[&extraction.as_str()])
        .await
        .map_err(MoverError::sql(side, "reading for how long it was looked"))?;
    Ok(row.map_or_else(Looking::default, |row| Looking {
        since: row.get(0),
        seconds: row.get(1),
    }))
}

/// Forgets all of an extraction on this side.
pub(crate) async fn clear(
    client: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
) -> Result<(), MoverError> {
    if !schema::has(client, side, "writer").await? {
        return Ok(());
    }
    for table in ["discarded", "observation", "writer"] {
        let delete = format!("delete from {SCHEMA}.{table} where extraction = $1");
        client
            .execute(&delete, &[&extraction.as_str()])
            .await
            .map_err(MoverError::sql(side, "forgetting what was seen"))?;
    }
    Ok(())
}
