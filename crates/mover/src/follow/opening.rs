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
    database::{replication::ReplicationConnection, session::Session, settings},
    error::{MoverError, ReplicationError},
    extraction::Mover,
    objects::{slots, stream::StreamRow},
};
use protocol::{Side, owner::Claim, stream::Direction};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The longest that connecting or starting the stream may take.
const STEP_LIMIT: Duration = Duration::from_secs(10);

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
    /// The origins of what we write at the source: the other direction's rows,
    /// and the copy's.
    pub(super) own_origins: Vec<String>,
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

    let mut connection = connect(mover, side).await?;
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
    let system = bounded(side, connection.identify_system()).await?;
    if system.system_identifier != row.system_identifier || system.timeline != row.timeline {
        return Err(lost(format!(
            "the {side}'s server is not the one that it was: system identifier {} timeline {}, \
             but {} timeline {} before. It was restored, promoted or replaced",
            system.system_identifier, system.timeline, row.system_identifier, row.timeline
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
    let publication = mover.layout().publication();
    let stream = bounded(side, connection.stream(&name, &publication, row.position)).await?;
    Ok(Opened {
        applier,
        row,
        tables,
        source: Arc::new(source),
        feed: Feed::new(stream, side),
        own_origins: mover.layout().origins(side),
    })
}

async fn connect(mover: &Mover, side: Side) -> Result<ReplicationConnection, MoverError> {
    let opening = ReplicationConnection::open(side, mover.database(side));
    let mut connection = in_time(side, opening).await?;
    bounded(side, connection.command(settings::FOLLOWING)).await?;
    Ok(connection)
}

async fn bounded<T>(
    side: Side,
    step: impl Future<Output = Result<T, ReplicationError>>,
) -> Result<T, MoverError> {
    let step = async {
        step.await
            .map_err(|source| MoverError::Stream { side, source })
    };
    in_time(side, step).await
}

async fn in_time<T>(
    side: Side,
    step: impl Future<Output = Result<T, MoverError>>,
) -> Result<T, MoverError> {
    timeout(STEP_LIMIT, step)
        .await
        .unwrap_or(Err(MoverError::Deadline {
            side,
            doing: "opening the change stream",
            limit: STEP_LIMIT,
        }))
}
