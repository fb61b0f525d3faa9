//! Rules about the publication that bears the name of ours.

use super::facts::SideFacts;
use crate::{extraction::Mover, objects::publication};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id},
};

/// Rules about one side.
pub(super) fn of_side(side: Side, facts: &SideFacts, mover: &Mover) -> Vec<Finding> {
    let name = mover.layout().publication();
    let object = format!("publication {name} in the {side}'s database");
    let tables = mover.tables(side).collect();
    let Some(found) = &facts.publication else {
        return if facts.prepared {
            vec![edited(mover, object, "it is gone")]
        } else {
            Vec::new()
        };
    };
    // Of one in use, which tables it has is asked elsewhere, by the plan.
    let tables = if facts.prepared {
        found.names()
    } else {
        tables
    };
    let Some(difference) = found.difference(&tables) else {
        return Vec::new();
    };
    let drop = publication::drop_statement(&name);
    if facts.prepared {
        vec![edited(mover, object, &difference)]
    } else if found.ours {
        // It is made again when the extraction is prepared.
        Vec::new()
    } else {
        vec![Finding::refuse(
            Id::PublicationNotOurs,
            object,
            format!(
                "it has the name of ours, belongs to {}, and {difference}",
                found.owner
            ),
            format!(
                "Give the extraction another name, or run as {}: {drop}",
                found.owner
            ),
        )]
    }
}

fn edited(mover: &Mover, object: String, difference: &str) -> Finding {
    let extraction = &mover.extraction().name;
    Finding::refuse(
        Id::PublicationEdited,
        object,
        format!("{difference}: changes may be missing on the other side"),
        format!(
            "Run `banyan recopy {extraction}`: it makes the publication again and brings over what \
             is missing. Then `banyan verify {extraction}`"
        ),
    )
}
