//! Opens what a follower needs, in an order that leaves no gap.
//!
//! 1. The applier: it takes the target's replication origin, which only one
//!    session can hold, and only then reads the stream's row. From here on
//!    no other process moves the row.
//! 2. The catalogues of both sides.
//! 3. The replication connection, told to wait. On it the server says which
//!    cluster and timeline it is: the very server that streams is compared
//!    with the row.
//! 4. The slot: its confirmed position must not be past the row's. PostgreSQL
//!    would go on from the slot's without a word, and changes would be lost.
//! 5. The stream, from the row's position.

use super::feed::Feed;
use crate::{
    apply::{Applier, tables::Tables},
    database::session::{APPLICATION_NAME, Session},
    error::MoverError,
    extraction::Mover,
    objects::{slots, stream::StreamRow},
};
use pgwire_replication::{PgWireError, ReplicationClient, ReplicationConfig};
use protocol::{Side, owner::Claim, stream::Direction};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The longest that connecting or starting the stream may take.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// How often the source is told what it may discard. It answers at once with the
/// position that it has reached, also when nothing of ours changes.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);

/// How often an idle connection sends its status.
const WAKEUP_INTERVAL: Duration = Duration::from_secs(10);

/// Messages between the connection's task and ours; any of them may be large,
/// the queue behind it is bounded by bytes.
const BUFFER_EVENTS: usize = 128;

/// Text forms as in [`crate::database::session`], and a server that sends keepalives
/// every ten seconds.
const OPTIONS: &str = "-c timezone=UTC -c datestyle=ISO,YMD -c intervalstyle=postgres \
    -c extra_float_digits=1 -c bytea_output=hex -c search_path=pg_catalog \
    -c statement_timeout=0 -c wal_sender_timeout=20s";

/// What a follower is started with.
pub(super) struct Assignment {
    pub(super) mover: Mover,
    pub(super) direction: Direction,
    pub(super) claim: Claim,
}

/// Everything that a stream needs.
pub(super) struct Opened {
    pub(super) applier: Applier,
    pub(super) row: StreamRow,
    pub(super) tables: Tables,
    /// For the source's catalogue and the end of its log.
    pub(super) source: Arc<Session>,
    pub(super) feed: Feed,
    /// The origin of what we write at the source.
    pub(super) own_origin: String,
}

pub(super) async fn open(assignment: &Assignment) -> Result<Opened, MoverError> {
    let Assignment {
        mover,
        direction,
        claim,
    } = assignment;
    let side = direction.source();
    let (mut applier, row) = Applier::open(mover, *direction, *claim).await?;
    let source = Session::open(side, mover.database(side)).await?;
    let mappings = &mover.extraction().data.tables;
    let tables = Tables::load(*direction, mappings, &source, applier.session()).await?;
    applier.check_cross_boundary_keys(mover, &tables).await?;

    let mut client = connect(assignment, &row).await?;
    let lost = |problem: String| MoverError::Data {
        object: format!(
            "the {} stream of extraction `{}`",
            direction.as_str(),
            mover.extraction().name
        ),
        problem,
        remedy: "Changes in between cannot be had any more: cancel the extraction and start it \
                 again (or, where the service owns, restore it from a backup first)"
            .to_owned(),
    };
    let system = bounded(side, client.identify_system()).await?;
    if system.system_id != row.system_identifier
        || i64::from(system.timeline) != i64::from(row.timeline)
    {
        return Err(lost(format!(
            "the {side}'s server is not the one that it was: system identifier {} timeline {}, \
             but {} timeline {} before. It was restored, promoted or replaced",
            system.system_id, system.timeline, row.system_identifier, row.timeline
        )));
    }
    let name = mover.layout().slot(*direction);
    match slots::find(&source, &name).await? {
        Some(slot) if slot.lost => {
            return Err(lost(format!(
                "the log that slot {name} needs was removed by the server"
            )));
        }
        Some(slot) if slot.confirmed > row.position => {
            return Err(lost(format!(
                "slot {name} is at {}, ahead of {}, up to which changes are stored",
                slot.confirmed, row.position
            )));
        }
        Some(_) => {}
        None => {
            return Err(lost(format!(
                "there is no slot {name} in the {side}'s database"
            )));
        }
    }
    bounded(side, client.start()).await?;
    bounded(side, client.wait_started()).await?;
    Ok(Opened {
        applier,
        row,
        tables,
        source: Arc::new(source),
        feed: Feed::new(client, side),
        own_origin: mover.layout().origin(side),
    })
}

async fn connect(
    assignment: &Assignment,
    row: &StreamRow,
) -> Result<ReplicationClient, MoverError> {
    let Assignment {
        mover, direction, ..
    } = assignment;
    let side = direction.source();
    let (database, layout) = (mover.database(side), mover.layout());
    let config = ReplicationConfig::new(
        &database.host,
        &database.user,
        database.expose_password(),
        &database.database,
        layout.slot(*direction),
        layout.publication(),
    )
    .with_port(database.port)
    .with_start_lsn(pgwire_replication::Lsn::from_u64(row.position.0))
    .with_status_interval(STATUS_INTERVAL)
    .with_wakeup_interval(WAKEUP_INTERVAL)
    .with_buffer_size(BUFFER_EVENTS)
    .with_options(OPTIONS)
    .with_application_name(APPLICATION_NAME);
    bounded(side, ReplicationClient::connect_gated(config)).await
}

async fn bounded<T>(
    side: Side,
    step: impl Future<Output = Result<T, PgWireError>>,
) -> Result<T, MoverError> {
    match timeout(STEP_LIMIT, step).await {
        Ok(done) => done.map_err(|source| MoverError::Stream { side, source }),
        Err(_) => Err(MoverError::Deadline {
            side,
            doing: "opening the change stream",
            limit: STEP_LIMIT,
        }),
    }
}
