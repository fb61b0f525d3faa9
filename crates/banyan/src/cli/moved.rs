//! The mover of an extraction of the plan, for what needs no `serve`.

use crate::exit::Failure;
use conductor::status::no_extraction;
use mover::Mover;
use plan::{Extraction, ExtractionName, Plan};

/// It; refused where the plan has no such extraction, or its data do not move.
pub(super) fn mover_of(plan: &Plan, extraction: &str) -> Result<Mover, Failure> {
    let one = of_plan(plan, extraction)?;
    let data = one.data.replicate();
    data.map(|data| Mover::new(&one.name, data)).ok_or_else(|| {
        Failure::Refused(format!(
            "both sides share the data of `{extraction}` (`mode: shared`): none of them move"
        ))
    })
}

/// The extraction of this name.
pub(super) fn of_plan<'a>(plan: &'a Plan, name: &str) -> Result<&'a Extraction, Failure> {
    let known = || plan.extractions.keys().map(ExtractionName::as_str);
    let mut all = plan.extractions.values();
    all.find(|one| one.name.as_str() == name)
        .ok_or_else(|| Failure::Refused(format!("the plan has {}", no_extraction(name, known()))))
}
