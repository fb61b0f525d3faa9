//! Rules about the publication that bears the name of ours.

use super::facts::SideFacts;
use crate::{extraction::Mover, objects::publication};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};

/// Rules about one side.
pub(super) fn of_side(side: Side, facts: &SideFacts, mover: &Mover) -> Vec<Finding> {
    let name = mover.layout().publication();
    let object = format!("publication {name} in the {side}'s database");
    let edited = |difference: &str| {
        Finding::refuse(
            Id::PublicationEdited,
            object.as_str(),
            format!("{difference}: changes may be missing on the other side"),
            mover.extraction().made_equal(),
        )
    };
    let finding =
        match (facts.prepared, &facts.publication) {
            (true, None) => Some(edited("it is gone")),
            // Which tables it has is asked elsewhere, by the plan.
            (true, Some(found)) => found.difference(&found.names()).as_deref().map(edited),
            // Ours is made again when the extraction is prepared.
            (false, Some(found)) if !found.ours => found
                .difference(&mover.tables(side).collect())
                .map(|difference| {
                    let (owner, drop) = (&found.owner, publication::drop_statement(&name));
                    Finding::refuse(
                        Id::PublicationNotOurs,
                        object.as_str(),
                        format!("it has the name of ours, belongs to {owner}, and {difference}"),
                        Remedy::run(
                            format!("Give the extraction another name, or run as {owner}"),
                            [Statement::new(side, drop)
                                .by(owner.as_str())
                                .caution("somebody may read that publication")],
                        ),
                    )
                }),
            (false, _) => None,
        };
    finding.into_iter().collect()
}
