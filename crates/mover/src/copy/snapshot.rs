//! The slot of a direction and the snapshot that belongs to it.

use crate::{
    database::{replication::ReplicationConnection, session::Session, sql},
    error::{MoverError, ReplicationError},
    layout::Layout,
    objects::{
        sessions,
        slots::{self, CREATE_LIMIT, ClusterIdentity},
    },
};
use bytes::Bytes;
use plan::DatabaseUrl;
use protocol::{Lsn, stream::Direction};
use std::time::Duration;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// What the server may take longer than each wait, before it is taken for gone.
const GRACE: Duration = Duration::from_secs(10);

/// The slot that a snapshot is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SnapshotSlot {
    /// The direction's own, which its stream is read from then.
    OfStream,
    /// One that goes with the session: only the snapshot is wanted, and that the
    /// transactions have ended that ran before it.
    Passing,
}

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
    /// Makes the slot, which waits for each of the transactions that run, for
    /// [`CREATE_LIMIT`] at most: the server itself gives up then, whether we are
    /// still there or not, and leaves no slot behind. `session` is one of the
    /// same database, to ask whom it waited for.
    pub(super) async fn open(
        database: &DatabaseUrl,
        session: &Session,
        layout: &Layout,
        direction: Direction,
        slot: SnapshotSlot,
    ) -> Result<Self, MoverError> {
        let making = Self::make(database, layout, direction, slot);
        let made = tokio::time::timeout(CREATE_LIMIT + GRACE, making).await;
        match made {
            Ok(Err(MoverError::Stream {
                source: ReplicationError::Server { code, .. },
                ..
            })) if code == SqlState::LOCK_NOT_AVAILABLE.code() => {
                Err(slots::waited_too_long(session).await)
            }
            Ok(made) => made,
            // Many transactions, each shorter than the limit.
            Err(_) => Err(slots::waited_too_long(session).await),
        }
    }

    async fn make(
        database: &DatabaseUrl,
        layout: &Layout,
        direction: Direction,
        slot: SnapshotSlot,
    ) -> Result<Self, MoverError> {
        let side = direction.source();
        let mut session = ReplicationConnection::open(side, database).await?;
        Self::export(&mut session, layout, direction, slot)
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
        direction: Direction,
        slot: SnapshotSlot,
    ) -> Result<(String, Lsn, ClusterIdentity), ReplicationError> {
        let system = session.identify_system().await?;
        let limit = format!("set lock_timeout = {}", CREATE_LIMIT.as_millis());
        session.command(&limit).await?;
        session.command(&sessions::at_work(layout)).await?;
        // The spelling that all versions from 14 on know.
        let slot = match slot {
            SnapshotSlot::OfStream => sql::identifier(&layout.slot(direction)),
            // Of its own name: an earlier one may be just ending.
            SnapshotSlot::Passing => {
                format!("banyan_snapshot_{} TEMPORARY", Uuid::new_v4().simple())
            }
        };
        let create = format!("CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput EXPORT_SNAPSHOT");
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

/// Begins a transaction that reads what an exported snapshot sees.
pub(super) async fn take(session: &Session, name: &str) -> Result<(), MoverError> {
    let begin = format!(
        "begin isolation level repeatable read read only; set transaction snapshot {}",
        sql::literal(name)
    );
    session.batch_execute(&begin).await.map_err(MoverError::sql(
        session.side(),
        "taking the copy's snapshot",
    ))
}
