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
    /// The source's timeline; 0 once its log was found to end before `position`.
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

/// The source's publication as it was when following began, by
/// [`super::continuity`]; empty until it has been looked at. For whoever has
/// claimed the target, which brings its schema up to date.
pub(crate) async fn published(
    client: &impl GenericClient,
    target: Side,
    extraction: &ExtractionName,
) -> Result<String, MoverError> {
    let select = format!("select parts from {SCHEMA}.published where extraction = $1");
    let row = client
        .query_opt(&select, &[&extraction.as_str()])
        .await
        .map_err(MoverError::sql(target, "reading what was published"))?;
    Ok(row.map(|row| row.get(0)).unwrap_or_default())
}

/// Keeps what the source publishes as a stream begins, in the transaction that
/// writes the stream's row.
pub(crate) async fn keep_published(
    client: &impl GenericClient,
    target: Side,
    extraction: &ExtractionName,
    parts: &str,
) -> Result<(), MoverError> {
    let keep = format!(
        "insert into {SCHEMA}.published values ($1, $2) \
         on conflict (extraction) do update set parts = excluded.parts"
    );
    client
        .execute(&keep, &[&extraction.as_str(), &parts])
        .await
        .map(drop)
        .map_err(MoverError::sql(target, "keeping what is published"))
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

/// What is written into a stream's row beside its position.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Note<'a> {
    /// The source's publication, the first time that it is looked at.
    Published(&'a str),
    /// The source's log ends before the position: nothing of it is to be
    /// followed from here, whatever it grows to.
    WentBack,
}

/// Writes a note. The caller has locked the ownership row in this transaction.
pub(crate) async fn note(
    client: &impl GenericClient,
    target: Side,
    extraction: &ExtractionName,
    note: Note<'_>,
) -> Result<(), MoverError> {
    match note {
        Note::Published(parts) => keep_published(client, target, extraction, parts).await,
        Note::WentBack => {
            let update = format!("update {SCHEMA}.stream set timeline = 0 where extraction = $1");
            client
                .execute(&update, &[&extraction.as_str()])
                .await
                .map(drop)
                .map_err(MoverError::sql(target, "writing the stream's row"))
        }
    }
}

/// Has a stream go on from an earlier position. The caller has locked the
/// ownership row in this transaction; `None`: there is no such stream that applies.
/// Returns where it stood.
pub(crate) async fn go_back(
    client: &impl GenericClient,
    target: Side,
    extraction: &ExtractionName,
    earlier: Lsn,
) -> Result<Option<Lsn>, MoverError> {
    let wrap = || MoverError::sql(target, "moving the stream's position back");
    let find = format!(
        "select position from {SCHEMA}.stream \
         where extraction = $1 and state <> 'copying' for update"
    );
    let name = extraction.as_str();
    let found = client.query_opt(&find, &[&name]).await.map_err(wrap())?;
    let Some(found) = found else { return Ok(None) };
    let stood = Lsn(found.get::<_, PgLsn>(0).into());
    let update = format!("update {SCHEMA}.stream set position = $2 where extraction = $1");
    let position = PgLsn::from(earlier.min(stood).0);
    client
        .execute(&update, &[&name, &position])
        .await
        .map_err(wrap())?;
    Ok(Some(stood))
}

/// Where a stream begins anew.
pub(crate) struct Beginning<'a> {
    pub(crate) state: StreamState,
    pub(crate) position: Lsn,
    pub(crate) system_identifier: &'a str,
    pub(crate) timeline: i32,
    pub(crate) published: &'a str,
}

/// Has a stream begin anew. The caller has locked the ownership row in this
/// transaction. False: there is no such stream.
pub(crate) async fn begin_anew(
    client: &impl GenericClient,
    target: Side,
    extraction: &ExtractionName,
    beginning: &Beginning<'_>,
) -> Result<bool, MoverError> {
    let update = format!(
        "update {SCHEMA}.stream set state = $2, epoch = $3, position = $4, \
            system_identifier = $5, timeline = $6, changed_at = now() \
         where extraction = $1"
    );
    let (word, epoch) = words(beginning.state);
    let changed = client
        .execute(
            &update,
            &[
                &extraction.as_str(),
                &word,
                &epoch,
                &PgLsn::from(beginning.position.0),
                &beginning.system_identifier,
                &beginning.timeline,
            ],
        )
        .await
        .map_err(MoverError::sql(target, "writing the stream's row"))?;
    keep_published(client, target, extraction, beginning.published).await?;
    Ok(changed == 1)
}
