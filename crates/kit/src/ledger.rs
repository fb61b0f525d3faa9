//! Aggregates as the events that made them, and logs that only grow.
//!
//! A stream is appended to with the version that the writer has read: of two
//! writers one is told to read again. Each event carries the digest of itself
//! and of the one before it, so that a change of any of them shows
//! ([`verify`]); what was cut off at the end shows against a [`StreamHead`] that was
//! kept elsewhere. The table refuses changes by a trigger, and by missing
//! rights where the service's role does not own it.

mod chain;

use futures_util::TryStreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use crate::database::DatabaseError;

pub use chain::{BrokenChain, Digest, Link, StreamHead};

/// What one event may hold.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
/// At most so many events on a page.
pub const MAX_PAGE: i64 = 500;

/// Something whose state is the fold of what has happened to it. Pure.
pub trait Aggregate: Default {
    /// Stands before the id in the stream's name: `job`.
    const KIND: &'static str;
    /// What can happen. Its JSON is kept for ever: add variants and fields
    /// with defaults, change none. The variant's name is the event's kind.
    type Event: Serialize + DeserializeOwned;

    /// What it is after one more event.
    #[must_use]
    fn evolve(self, event: Self::Event) -> Self;
}

/// Which version the writer has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Exactly this one; 0 for a new stream.
    Version(i64),
    /// It does not matter, as in a log. Writers wait for each other until
    /// their transactions end.
    Any,
}

/// An event as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number in the stream, from 1.
    pub version: i64,
    /// What kind of event.
    pub kind: String,
    /// What happened, as JSON.
    pub payload: String,
    /// When.
    pub at: OffsetDateTime,
}

/// Why a ledger did not do it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another writer has appended: read again and decide again.
    #[error("the stream {stream} has version {actual}, not {expected}")]
    Conflict {
        /// The stream's name.
        stream: String,
        /// What the writer had read.
        expected: i64,
        /// What is there.
        actual: i64,
    },
    /// An event is no JSON, or one that is there no longer reads as one.
    #[error("an event of the stream {stream} does not fit its type")]
    Event {
        /// The stream's name.
        stream: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// An event is too large.
    #[error("an event of the stream {stream} is larger than {MAX_PAYLOAD_BYTES} bytes")]
    TooLarge {
        /// The stream's name.
        stream: String,
    },
    /// Events that were stored have been changed.
    #[error("the stream {stream} was tampered with: {broken}")]
    Tampered {
        /// The stream's name.
        stream: String,
        /// Where.
        broken: BrokenChain,
    },
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

#[derive(FromRow)]
struct Row {
    version: i64,
    kind: String,
    payload: String,
    at: i64,
    previous: Vec<u8>,
    digest: Vec<u8>,
}

impl Row {
    fn link<'a>(&'a self, stream: &'a str) -> Link<'a> {
        Link {
            stream,
            version: self.version,
            kind: &self.kind,
            payload: &self.payload,
            at: self.at,
        }
    }

    fn record(self) -> Record {
        let nanoseconds = i128::from(self.at) * 1000;
        Record {
            version: self.version,
            kind: self.kind,
            payload: self.payload,
            at: OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        }
    }
}

/// The name of an aggregate's stream.
pub fn stream<A: Aggregate>(id: &str) -> String {
    format!("{}/{id}", A::KIND)
}

/// What an aggregate is, and its version; the default and 0 if nothing has
/// happened to it.
pub async fn load<A: Aggregate>(
    connection: &mut PgConnection,
    id: &str,
) -> Result<(A, i64), LedgerError> {
    let stream = stream::<A>(id);
    let query = "select version, payload from ledger where stream = $1 order by version";
    let mut rows = sqlx::query_as::<_, (i64, String)>(query)
        .bind(&stream)
        .fetch(connection);
    let (mut state, mut version) = (A::default(), 0);
    while let Some((next, payload)) = rows.try_next().await? {
        let event = serde_json::from_str(&payload).map_err(|source| LedgerError::Event {
            stream: stream.clone(),
            source,
        })?;
        state = state.evolve(event);
        version = next;
    }
    Ok((state, version))
}

/// Appends an aggregate's events in the transaction of `connection`.
pub async fn append_to<A: Aggregate>(
    connection: &mut PgConnection,
    id: &str,
    version: i64,
    events: &[A::Event],
) -> Result<StreamHead, LedgerError> {
    append(
        connection,
        &stream::<A>(id),
        ExpectedVersion::Version(version),
        events,
    )
    .await
}

/// Until the transaction ends, so that the next writer sees this one's events.
const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('kit:ledger:' || $1, 0))";

const HEAD: &str =
    "select version, digest from ledger where stream = $1 order by version desc limit 1";

const INSERT: &str = "insert into ledger (stream, version, kind, payload, at, previous, digest) \
     values ($1, $2, $3, $4, $5, $6, $7)";

/// Appends events to a stream in the transaction of `connection`; the new end.
pub async fn append<E: Serialize>(
    connection: &mut PgConnection,
    stream: &str,
    expected: ExpectedVersion,
    events: &[E],
) -> Result<StreamHead, LedgerError> {
    sqlx::query(LOCK)
        .bind(stream)
        .execute(&mut *connection)
        .await?;
    let mut head = head(connection, stream).await?;
    if let ExpectedVersion::Version(expected) = expected
        && expected != head.version
    {
        return Err(LedgerError::Conflict {
            stream: stream.to_owned(),
            expected,
            actual: head.version,
        });
    }
    let at: i64 =
        sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
            .fetch_one(&mut *connection)
            .await?;
    for event in events {
        let (kind, payload) = written(stream, event)?;
        let link = Link {
            stream,
            version: head.version + 1,
            kind: &kind,
            payload: &payload,
            at,
        };
        let digest = link.digest(head.digest);
        sqlx::query(INSERT)
            .bind(stream)
            .bind(link.version)
            .bind(&kind)
            .bind(&payload)
            .bind(at)
            .bind(head.digest.as_bytes())
            .bind(digest.as_bytes())
            .execute(&mut *connection)
            .await?;
        head = StreamHead {
            version: link.version,
            digest,
        };
    }
    Ok(head)
}

fn written<E: Serialize>(stream: &str, event: &E) -> Result<(String, String), LedgerError> {
    let value = serde_json::to_value(event).map_err(|source| LedgerError::Event {
        stream: stream.to_owned(),
        source,
    })?;
    // As serde writes enums: a name, or an object of one name. An enum with a
    // tag has it as `kind` or `type`.
    let kind = match &value {
        serde_json::Value::String(name) => name.clone(),
        serde_json::Value::Object(fields) => ["kind", "type"]
            .iter()
            .find_map(|tag| fields.get(*tag)?.as_str())
            .or_else(|| fields.keys().next().map(String::as_str))
            .unwrap_or("event")
            .to_owned(),
        _ => "event".to_owned(),
    };
    let payload = value.to_string();
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(LedgerError::TooLarge {
            stream: stream.to_owned(),
        });
    }
    Ok((kind, payload))
}

/// The end of a stream. Keep it elsewhere: [`verify`] then tells whether the
/// stream has been cut off or written anew.
pub async fn head(connection: &mut PgConnection, stream: &str) -> Result<StreamHead, LedgerError> {
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as(HEAD)
        .bind(stream)
        .fetch_optional(connection)
        .await?;
    Ok(
        row.map_or(StreamHead::NONE, |(version, digest)| StreamHead {
            version,
            digest: Digest::from_bytes(&digest),
        }),
    )
}

/// Reads events after `version`, at most `limit`.
pub async fn read(
    connection: &mut PgConnection,
    stream: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<Record>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select version, kind, payload, at, previous, digest from ledger \
         where stream = $1 and version > $2 order by version limit $3",
    )
    .bind(stream)
    .bind(after)
    .bind(limit.clamp(1, MAX_PAGE))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Row::record).collect())
}

/// Recomputes a whole stream; its end. With `known`, an end that was seen
/// before, it must have been part of it.
pub async fn verify(
    connection: &mut PgConnection,
    stream: &str,
    known: Option<StreamHead>,
) -> Result<StreamHead, LedgerError> {
    let tampered = |broken| LedgerError::Tampered {
        stream: stream.to_owned(),
        broken,
    };
    let query = "select version, kind, payload, at, previous, digest from ledger \
         where stream = $1 order by version";
    let mut rows = sqlx::query_as::<_, Row>(query)
        .bind(stream)
        .fetch(connection);
    let mut head = StreamHead::NONE;
    while let Some(row) = rows.try_next().await? {
        let (previous, digest) = (
            Digest::from_bytes(&row.previous),
            Digest::from_bytes(&row.digest),
        );
        head = row
            .link(stream)
            .follows(head, previous, digest)
            .map_err(tampered)?;
        if let Some(known) = known
            && known.version == head.version
            && known.digest != head.digest
        {
            return Err(tampered(BrokenChain::Rewritten(head.version)));
        }
    }
    match known {
        Some(known) if known.version > head.version => {
            Err(tampered(BrokenChain::Missing(head.version + 1)))
        }
        _ => Ok(head),
    }
}
