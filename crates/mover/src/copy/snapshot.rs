//! The forward slot and the snapshot that belongs to it.

use crate::{
    database::{replication::ReplicationConnection, sql},
    error::{MoverError, ReplicationError},
    layout::Layout,
    objects::{
        sessions,
        slots::{CREATE_LIMIT, ClusterIdentity},
    },
};
use bytes::Bytes;
use plan::DatabaseUrl;
use protocol::{Lsn, Side, stream::Direction};

/// Making the slot waits for transactions that run, and is bounded here.
const UNBOUNDED: &str = "set lock_timeout = 0";

/// A snapshot that others may use, as long as this is alive.
pub(super) struct ExportedSnapshot {
    /// What `set transaction snapshot` takes.
    pub(super) name: String,
    /// Everything before is in the snapshot, everything after in the slot.
    pub(super) position: Lsn,
    /// Where the position means something.
    pub(super) cluster: ClusterIdentity,
    /// Its end is the snapshot's end.
    _session: ReplicationConnection,
}

impl ExportedSnapshot {
    /// Makes the slot, which waits for transactions that run, for
    /// [`CREATE_LIMIT`] at most. A slot whose making outlives that wait is
    /// dropped by the next copy, or by cancel.
    pub(super) async fn open(database: &DatabaseUrl, layout: &Layout) -> Result<Self, MoverError> {
        tokio::time::timeout(CREATE_LIMIT, Self::make(database, layout))
            .await
            .unwrap_or(Err(MoverError::Deadline {
                side: Side::Monolith,
                doing: "making the replication slot (it waits for transactions that run)",
                limit: CREATE_LIMIT,
            }))
    }

    async fn make(database: &DatabaseUrl, layout: &Layout) -> Result<Self, MoverError> {
        let side = Side::Monolith;
        let mut session = ReplicationConnection::open(side, database).await?;
        Self::export(&mut session, layout)
            .await
            .map(|(name, position, cluster)| Self {
                name,
                position,
                cluster,
                _session: session,
            })
            .map_err(|source| MoverError::Stream { side, source })
    }

    async fn export(
        session: &mut ReplicationConnection,
        layout: &Layout,
    ) -> Result<(String, Lsn, ClusterIdentity), ReplicationError> {
        let system = session.identify_system().await?;
        session.command(UNBOUNDED).await?;
        session.command(&sessions::at_work(layout)).await?;
        // The spelling that all versions from 14 on know.
        let create = format!(
            "CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT",
            sql::identifier(&layout.slot(Direction::Forward))
        );
        let rows = session.command(&create).await?;
        let made = rows.first().map(Vec::as_slice).unwrap_or_default();
        let wrong = || ReplicationError::Protocol("a new slot without position or snapshot");
        let text = |at: usize| {
            made.get(at)
                .and_then(Option::as_ref)
                .map(|bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned())
                .ok_or_else(wrong)
        };
        let cluster = ClusterIdentity {
            system_identifier: system.system_identifier,
            timeline: system.timeline,
        };
        Ok((text(2)?, text(1)?.parse().map_err(|_| wrong())?, cluster))
    }
}
