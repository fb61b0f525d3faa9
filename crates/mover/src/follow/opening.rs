//! Opens what a follower needs, in an order that leaves no gap.
//!
//! 1. The applier: it takes the target's replication origin, which only one
//!    session can hold, and only then reads the stream's row. From here on
//!    no other process moves the row.
//! 2. The catalogues of both sides.
//! 3. The replication connection, told to wait. On it the server says which
//!    cluster and timeline it is: the very server that streams is compared
//!    with the row.
//! 4. Whether anything is missing between the row and what the source would send
//!    ([`continuity`]): the slot, the log, the publication.
//! 5. The stream, from the row's position. From here on the slot is this connection's:
//!    nobody can drop it, make it again or advance it.
//! 6. The same comparison again: somebody may have done so since the first.

use super::{feed::Feed, status::Reporter};
use crate::{
    apply::{Applier, tables::Tables},
    database::{replication::ReplicationConnection, session::Session, settings},
    error::{MoverError, ReplicationError},
    extraction::{Mover, ReplicatedExtraction},
    objects::{
        continuity::{self, Gap, Known},
        joining,
        slots::{self, ClusterIdentity},
        stream::{self, Note, StreamRow},
    },
};
use plan::TableName;
use protocol::{
    Side,
    owner::{Claim, Owner},
    stream::Direction,
};
use std::time::{Duration, Instant};
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
    /// Whether the source is not to forget what is stored.
    pub(super) keeps_log: bool,
    pub(super) publication: PublishedThen,
    /// The origins of what we write at the source: the other direction's rows,
    /// and the copy's.
    pub(super) own_origins: Vec<String>,
}

/// Opens it; `looked`: when the source was compared with the row last. That is not
/// when an attempt began: the source may have been started between the two, and
/// what is followed from then on would lie behind the end that its log had there.
pub(super) async fn open(
    assignment: &Assignment,
    reporter: &Reporter,
    looked: &mut Instant,
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
    let joining = match direction {
        Direction::Forward => joining::read(&**applier.session(), mover.extraction()).await?,
        Direction::Reverse => joining::read(&*source, mover.extraction()).await?,
    };
    let mut tables =
        Tables::load(*direction, extraction, mappings, &source, applier.session()).await?;
    tables.join(&joining);
    applier.check_cross_boundary_keys(mover, &tables).await?;

    let mut connection = connect(mover, side).await?;
    let system = bounded(side, connection.identify_system()).await?;
    let cluster = ClusterIdentity {
        system_identifier: system.system_identifier,
        timeline: system.timeline,
    };
    let layout = mover.layout();
    let target = direction.target();
    let lacking = joining.lacking(mover.extraction(), side);
    let mut published = stream::published(&**applier.session(), target, extraction).await?;
    // What was read before the server ended may have been stored after it was back.
    let known = Known {
        row: &row,
        published: "",
        joining: &lacking,
        had: joining.had_until(*direction),
        unseen: row.unchanged.max(looked.elapsed()),
    };
    let before = Known {
        published: &published,
        ..known
    };
    let gap = continuity::gap(&source, &layout, &before, &cluster).await?;
    no_gap(mover, *direction, &mut applier, gap).await?;
    if published.is_empty() {
        published = continuity::fingerprint(&source, &layout.publication()).await?;
        applier.note(Note::Published(&published)).await?;
    }
    let (name, publication) = (layout.slot(*direction), layout.publication());
    // What is not copied yet will be followed from a position that may be earlier
    // than that to which the others have come: the log is kept.
    let keeps_log = *direction == Direction::Forward
        && applier.owner() == Owner::Monolith
        && !lacking.is_empty();
    let stored = match slots::find(&source, &name).await? {
        Some(slot) if keeps_log => slot.confirmed.min(row.position),
        _ => row.position,
    };
    let changes = connection.stream(&name, &publication, row.position, stored);
    let changes = bounded(side, changes).await?;
    // A server that starts after this has ended the session that is asked.
    let comparing = Instant::now();
    let known = Known {
        published: &published,
        unseen: row.unchanged.max(looked.elapsed()),
        ..known
    };
    let gap = continuity::gap(&source, &layout, &known, &cluster).await?;
    no_gap(mover, *direction, &mut applier, gap).await?;
    *looked = comparing;
    Ok(Opened {
        publication: PublishedThen {
            mover: mover.clone(),
            direction: *direction,
            published,
            joining: lacking,
        },
        applier,
        row,
        tables,
        source,
        feed: Feed::new(changes, side),
        keeps_log,
        own_origins: layout.origins(side),
    })
}

/// What the source published when following began, compared while it is followed.
pub(super) struct PublishedThen {
    mover: Mover,
    direction: Direction,
    published: String,
    /// Tables that are only being added.
    joining: Vec<TableName>,
}

impl PublishedThen {
    /// Whose it is.
    pub(super) fn mover(&self) -> &Mover {
        &self.mover
    }

    /// Fails where it was edited: changes may have been left out from then on.
    pub(super) async fn check(&self, source: &Session, owner: Owner) -> Result<(), MoverError> {
        let layout = self.mover.layout();
        match continuity::edited(source, &layout, &self.published, &self.joining).await? {
            Some(gap) => Err(lost(&self.mover, self.direction, owner, &gap)),
            None => Ok(()),
        }
    }
}

/// Fails where changes are lost.
async fn no_gap(
    mover: &Mover,
    direction: Direction,
    applier: &mut Applier,
    gap: Option<Gap>,
) -> Result<(), MoverError> {
    let Some(gap) = gap else { return Ok(()) };
    if gap.passes_from_sight() {
        applier.note(Note::WentBack).await?;
    }
    Err(lost(mover, direction, applier.owner(), &gap))
}

/// Changes are lost: what is left to do.
fn lost(mover: &Mover, direction: Direction, owner: Owner, gap: &Gap) -> MoverError {
    let extraction = mover.extraction();
    MoverError::Data {
        object: format!(
            "the {} stream of extraction `{}`",
            direction.as_str(),
            extraction.name
        ),
        problem: gap.to_string(),
        remedy: way_out(direction, owner, extraction),
    }
}

/// What is printed exists and works in the phase in which it is.
fn way_out(direction: Direction, owner: Owner, extraction: &ReplicatedExtraction) -> String {
    let name = &extraction.name;
    let (source, target) = (direction.source(), direction.target());
    // Rows that one side added and the other has not yet cannot be told from
    // rows that the other has deleted.
    let whole = match owner {
        Owner::Monolith => format!(
            "run `banyan cancel {name} --empty`, then `banyan start {name}` (this empties the \
             service's tables)"
        ),
        Owner::Service | Owner::Nobody => format!(
            "the service keeps the data: carry over by hand what only the monolith has, then run \
             `banyan finish {name}` (there is no rollback then)"
        ),
    };
    if extraction.appends() {
        return format!(
            "What is missing cannot be had any more, and both sides insert into a table of it: {whole}"
        );
    }
    let again = format!("run `banyan recopy {name}`");
    if owner == source.into() {
        format!(
            "What is missing cannot be had any more: {again} (it makes the {target}'s rows those of \
             the {source}; what only the {target} has is deleted)"
        )
    } else {
        format!(
            "The {source} does not own the data, so no row is missing: {again} (it begins the stream \
             anew)"
        )
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
