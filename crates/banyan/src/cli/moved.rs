//! The mover of an extraction of the plan, for what needs no `serve`.

use crate::exit::Failure;
use mover::Mover;
use plan::{ExtractionName, Plan};

/// It; refused where the plan has no such extraction, or its data do not move.
pub(super) fn mover_of(plan: &Plan, extraction: &str) -> Result<Mover, Failure> {
    let name = ExtractionName::new(extraction).map_err(Failure::Refused)?;
    let data = plan
        .extractions
        .get(&name)
        .and_then(|one| one.data.replicate());
    data.map(|data| Mover::new(&name, data)).ok_or_else(|| {
        Failure::Refused(format!(
            "the plan moves no data by an extraction `{extraction}`"
        ))
    })
}
