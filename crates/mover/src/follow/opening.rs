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

use super::{feed::Feed, status::Reporter};
use crate::{
    apply::{Applier, tables::Tables},
    database::{replication::ReplicationConnection, session::Session, settings},
    error::{MoverError, ReplicationError},
    extraction::Mover,
    objects::{slots, stream::StreamRow},
};
use plan::ExtractionName;
use protocol::{
    Side,
    owner::{Claim, Owner},
    stream::Direction,
};
use std::time::Duration;
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
    /// For the source's catalogue.
    pub(super) source: Session,
    pub(super) feed: Feed,
    /// The origins of what we write at the source: the other direction's rows,
    /// and the copy's.
    pub(super) own_origins: Vec<String>,
}

pub(super) async fn open(
    assignment: &Assignment,
    reporter: &Reporter,
) -> Result<Opened, MoverError> {
    let Assignment {
        mover,
        direction,
        claim,
    } = assignment;
    let side = direction.source();
    let (mut applier, row) = Applier::open(mover, *direction, *claim).await?;
    reporter.stored(&row);
    let source = Session::open(side, mover.database(side)).await?;
    let mappings = &mover.extraction().data.tables;
    let extraction = &mover.extraction().name;
    let tables = Tables::load(*direction, extraction, mappings, &source, applier.session()).await?;
    applier.check_cross_boundary_keys(mover, &tables).await?;

    let mut connection = connect(mover, side).await?;
    let remedy = way_out(applier.owner(), extraction);
    let lost = |problem: String| MoverError::Data {
        object: format!(
            "the {} stream of extraction `{extraction}`",
            direction.as_str()
        ),
        problem,
        remedy: remedy.clone(),
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
        source,
        feed: Feed::new(stream, side),
        own_origins: mover.layout().origins(side),
    })
}

/// What is left to do where changes of the log are lost. What does not work
/// once the service owns is not proposed then.
fn way_out(owner: Owner, extraction: &ExtractionName) -> String {
    match owner {
        Owner::Monolith => format!(
            "Changes in between cannot be had any more: run `banyan cancel {extraction}`, then \
             `banyan start {extraction}`"
        ),
        Owner::Service | Owner::Nobody => "Changes in between cannot be had any more. The service \
             owns the data and goes on; a rollback is not possible without them"
            .to_owned(),
    }
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
