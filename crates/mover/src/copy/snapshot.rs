//! The forward slot and the snapshot that belongs to it.

use crate::{
    database::{replication, sql},
    error::MoverError,
    objects::slots::{CREATE_LIMIT, ClusterIdentity},
};
use bytes::Bytes;
use pgwire_replication::{PgWireError, ReplicationClient};
use plan::DatabaseUrl;
use protocol::{Lsn, Side};

/// Nothing may end the session while the copy needs its snapshot.
const SESSION: &str = "set idle_session_timeout = 0; \
    set idle_in_transaction_session_timeout = 0; set lock_timeout = 0; set statement_timeout = 0";

/// A snapshot that others may use, as long as this is alive.
pub(super) struct ExportedSnapshot {
    /// What `set transaction snapshot` takes.
    pub(super) name: String,
    /// Everything before is in the snapshot, everything after in the slot.
    pub(super) position: Lsn,
    /// Where the position means something.
    pub(super) cluster: ClusterIdentity,
    /// Its end is the snapshot's end.
    _session: ReplicationClient,
}

impl ExportedSnapshot {
    /// Makes the slot, which waits for transactions that run, for
    /// [`CREATE_LIMIT`] at most. A slot whose making outlives that wait is
    /// dropped by the next copy, or by cancel.
    pub(super) async fn open(database: &DatabaseUrl, slot: &str) -> Result<Self, MoverError> {
        match tokio::time::timeout(CREATE_LIMIT, Self::make(database, slot)).await {
            Ok(made) => made.map_err(|source| MoverError::Stream {
                side: Side::Monolith,
                source,
            }),
            Err(_) => Err(MoverError::Deadline {
                side: Side::Monolith,
                doing: "making the replication slot (it waits for transactions that run)",
                limit: CREATE_LIMIT,
            }),
        }
    }

    async fn make(database: &DatabaseUrl, slot: &str) -> Result<Self, PgWireError> {
        let mut session =
            ReplicationClient::connect_gated(replication::configuration(database)).await?;
        let system = session.identify_system().await?;
        session.simple_query(SESSION).await?;
        // The spelling that all versions from 14 on know.
        let create = format!(
            "CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT",
            sql::identifier(slot)
        );
        let rows = session.simple_query(&create).await?;
        let made = rows.first().map(Vec::as_slice).unwrap_or_default();
        let text = |at: usize| {
            made.get(at)
                .and_then(Option::as_ref)
                .map(|bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned())
                .ok_or_else(|| {
                    PgWireError::Protocol("a new slot without position or snapshot".into())
                })
        };
        let wrong = |what: &str| PgWireError::Protocol(format!("a new slot with a wrong {what}"));
        Ok(Self {
            name: text(2)?,
            position: text(1)?.parse().map_err(|_| wrong("position"))?,
            cluster: ClusterIdentity {
                system_identifier: system.system_id,
                timeline: i32::try_from(system.timeline).map_err(|_| wrong("timeline"))?,
            },
            _session: session,
        })
    }
}
