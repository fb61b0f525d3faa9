//! The row of a stream: how far it is and what it does, in the target's
//! database.

use super::owner::signed;
use crate::{error::MoverError, layout::SCHEMA};
use plan::ExtractionName;
use postgres_types::PgLsn;
use protocol::{Epoch, Lsn, Side, stream::StreamState};
use std::time::Duration;
use tokio_postgres::GenericClient;

/// `banyan.stream`, as the target's database holds it. Durable; changed only
/// in the transactions that apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRow {
    /// What is done with rows that come by.
    pub state: StreamState,
    /// Everything of the source up to here has been dealt with.
    pub position: Lsn,
    /// The source's cluster.
    pub system_identifier: String,
    /// The source's timeline.
    pub timeline: i32,
    /// How long ago it was changed last.
    pub unchanged: Duration,
}

/// Reads the row of the stream whose target is `target`. `None`: no such
/// stream has been prepared.
///
/// A stream that is still being copied is an error: there is nothing yet that
/// changes could be applied to.
pub async fn read(
    client: &impl GenericClient,
    target: Side,
    extraction: &ExtractionName,
) -> Result<Option<StreamRow>, MoverError> {
    let select = format!(
        "select state, epoch, position, system_identifier, timeline, \
         greatest(extract(epoch from clock_timestamp() - changed_at), 0)::float8 \
         from {SCHEMA}.stream where extraction = $1"
    );
    let row = client
        .query_opt(&select, &[&extraction.as_str()])
        .await
        .map_err(MoverError::sql(target, "reading the stream's row"))?;
    let Some(row) = row else { return Ok(None) };
    let epoch = Epoch(u64::try_from(row.get::<_, i64>(1)).unwrap_or_default());
    let unfit = |problem: &str, remedy: &str| MoverError::Data {
        object: format!("the stream of extraction `{extraction}` into the {target}'s database"),
        problem: problem.to_owned(),
        remedy: remedy.to_owned(),
    };
    let state = match row.get::<_, &str>(0) {
        "applying" => StreamState::Applying(epoch),
        "stopped" => StreamState::Stopped(epoch),
        "waiting" => StreamState::Waiting,
        "copying" => {
            return Err(unfit(
                "its tables are not copied yet",
                "Finish the copy first",
            ));
        }
        _ => {
            return Err(unfit(
                "its state is not a word that this version knows",
                "Use the version that wrote it",
            ));
        }
    };
    Ok(Some(StreamRow {
        state,
        position: Lsn(row.get::<_, PgLsn>(2).into()),
        system_identifier: row.get(3),
        timeline: row.get(4),
        unchanged: Duration::try_from_secs_f64(row.get(5)).unwrap_or_default(),
    }))
}

/// The words of a state in the row.
pub(crate) fn words(state: StreamState) -> (&'static str, i64) {
    match state {
        StreamState::Applying(epoch) => ("applying", signed(epoch)),
        StreamState::Stopped(epoch) => ("stopped", signed(epoch)),
        StreamState::Waiting => ("waiting", 0),
    }
}

/// Moves the row on from `$2`: extraction, old position, state, epoch, new
/// position. Matches no row when another process has moved it.
pub(crate) fn advance() -> String {
    format!(
        "update {SCHEMA}.stream set state = $3, epoch = $4, position = $5, changed_at = now() \
         where extraction = $1 and position = $2"
    )
}
