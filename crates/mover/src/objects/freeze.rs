//! The freeze of a side's tables: while its row stands, event triggers refuse what
//! would change their shape.
//!
//! Only a superuser can make event triggers, and a freeze is only offered where
//! they are. Their function is ours ([`crate::layout`]), and both go with the schema.

use crate::{
    error::MoverError,
    layout::{FREEZE_TRIGGERS, SCHEMA},
};
use plan::ExtractionName;
use protocol::Side;
use std::time::Duration;
use tokio_postgres::GenericClient;

/// What a superuser runs before tables of this database can be frozen; nothing
/// where that has been done.
pub(crate) async fn wanted(
    client: &impl GenericClient,
    side: Side,
) -> Result<Option<String>, MoverError> {
    let names: Vec<&str> = FREEZE_TRIGGERS.iter().map(|(name, _)| *name).collect();
    let rows = client
        .query(
            "select e.evtname::text from pg_event_trigger e \
             where e.evtname = any($1) and e.evtenabled in ('O', 'A') \
               and e.evtfoid = to_regprocedure($2)",
            &[&names, &format!("{SCHEMA}.keep_shape()")],
        )
        .await
        .map_err(MoverError::sql(side, "looking for the event triggers"))?;
    let found: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    let lacking = FREEZE_TRIGGERS
        .iter()
        .filter(|(name, _)| !found.contains(name))
        .map(|(name, event)| {
            format!(
                "drop event trigger if exists {name}; create event trigger {name} on {event} \
                 execute function {SCHEMA}.keep_shape();"
            )
        });
    let statements: Vec<String> = lacking.collect();
    Ok((!statements.is_empty()).then(|| statements.join(" ")))
}

/// Freezes these tables for so long from now; says until when, in UTC.
pub(crate) async fn begin(
    client: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
    tables: &[String],
    lasts: Duration,
) -> Result<String, MoverError> {
    let write = format!(
        "insert into {SCHEMA}.frozen (extraction, relations, until) \
         values ($1, array(select r::regclass::oid from unnest($2::text[]) r), \
            now() + make_interval(secs => $3)) \
         on conflict (extraction) do update \
            set relations = excluded.relations, until = excluded.until \
         returning to_char(until at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    );
    let row = client
        .query_one(
            &write,
            &[&extraction.as_str(), &tables, &lasts.as_secs_f64()],
        )
        .await
        .map_err(MoverError::sql(side, "freezing the tables"))?;
    Ok(row.get(0))
}

/// Ends the freeze; whether there was one.
pub(crate) async fn end(
    client: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
) -> Result<bool, MoverError> {
    let delete = format!("delete from {SCHEMA}.frozen where extraction = $1 and until > now()");
    let ended = client
        .execute(&delete, &[&extraction.as_str()])
        .await
        .map_err(MoverError::sql(side, "ending the freeze"))?;
    Ok(ended > 0)
}
