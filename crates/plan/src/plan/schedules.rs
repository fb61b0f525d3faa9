//! That the schedules of all extractions fit what is moved, and each other.

use super::step_path;
use crate::{
    base::{ExtractionName, PlanError},
    checklists::Checklists,
    extraction::{Data, Extraction, StepDoes},
};
use std::collections::BTreeMap;

/// Refuses schedules that could never be gone through.
pub(super) fn check(
    extractions: &BTreeMap<ExtractionName, Extraction>,
    checklists: &Checklists,
) -> Result<(), PlanError> {
    for extraction in extractions.values() {
        refuse_split_writes(extraction)?;
        refuse_streams_that_are_not(extraction)?;
        refuse_copies_that_are_not(extraction)?;
        let Some(schedule) = &extraction.schedule else {
            continue;
        };
        for (at, step) in (0..).zip(&schedule.steps) {
            checklists.items(&step.checklist).map_err(|name| {
                let message = format!(
                    "`{step}` of `{}` waits for `{name}`, which is no checklist and no item of one",
                    extraction.name
                );
                PlanError::of(step_path::step(extraction, at).key("checklist"), message)
                    .remedy("Correct the name, or add it under `checklists.lists`")
            })?;
        }
        for (at, before) in (0..).zip(&schedule.after) {
            if !extractions.contains_key(before) {
                let message = format!(
                    "`{}` waits for `{before}`, which is no extraction",
                    extraction.name
                );
                return Err(PlanError::of(
                    step_path::rollout(extraction).key("after").item(at),
                    message,
                )
                .remedy("Correct the name under `rollout.after`, or take it away"));
            }
        }
        refuse_circle(extraction, extractions)?;
    }
    Ok(())
}

/// Writes have one owner where the data move.
fn refuse_split_writes(extraction: &Extraction) -> Result<(), PlanError> {
    let Data::Replicate(_) = extraction.data else {
        return Ok(());
    };
    if let Some(at) = step_path::first(extraction, |step| {
        matches!(step.does, StepDoes::Shares { .. })
    }) {
        let message = format!(
            "a step of `{}` splits the writes, and its data move: they have one owner",
            extraction.name
        );
        return Err(
            PlanError::of(step_path::step(extraction, at).key("writes"), message)
                .remedy("Leave `writes` out: `switch` hands over all of them at once"),
        );
    }
    Ok(())
}

/// Where both sides share the data nothing flows, and nothing is verified.
fn refuse_streams_that_are_not(extraction: &Extraction) -> Result<(), PlanError> {
    if extraction.data != Data::Shared {
        return Ok(());
    }
    let lag = step_path::first(extraction, |step| step.gates.lag.is_some());
    let verify = step_path::first(extraction, |step| step.gates.verify.is_some());
    let (lag, verify) = (lag.map(|at| (at, "lag")), verify.map(|at| (at, "verify")));
    if let Some((at, gate)) = lag.or(verify) {
        let message = format!(
            "`{}` has a gate on `{gate}`, and both sides share its data",
            extraction.name
        );
        return Err(step_path::gate_error(extraction, at, gate, message)
            .remedy("Take it away: there are no two copies that could differ"));
    }
    Ok(())
}

/// Where no reads are copied, none are compared.
fn refuse_copies_that_are_not(extraction: &Extraction) -> Result<(), PlanError> {
    let asks = step_path::first(extraction, |step| step.gates.shadow.is_some());
    if let Some(at) = asks.filter(|_| extraction.shadow.is_none()) {
        let message = format!(
            "`{}` has a gate on `shadow`, and no reads of it are copied",
            extraction.name
        );
        return Err(step_path::gate_error(extraction, at, "shadow", message)
            .remedy("Add `shadow: { share: 1% }` to it, or take the gate away"));
    }
    Ok(())
}

/// Extractions that wait for each other would wait for ever.
fn refuse_circle(
    extraction: &Extraction,
    extractions: &BTreeMap<ExtractionName, Extraction>,
) -> Result<(), PlanError> {
    let waits_for = |name: &ExtractionName| {
        let schedule = extractions.get(name).and_then(|one| one.schedule.as_ref());
        schedule.map(|one| one.after.clone()).unwrap_or_default()
    };
    let mut due = waits_for(&extraction.name);
    let mut seen = Vec::new();
    while let Some(next) = due.pop() {
        if next == extraction.name {
            let message = format!("`{next}` waits for itself, by way of `rollout.after`");
            return Err(
                PlanError::of(step_path::rollout(extraction).key("after"), message)
                    .remedy("Take one of the names in that circle away"),
            );
        }
        if !seen.contains(&next) {
            due.extend(waits_for(&next));
            seen.push(next);
        }
    }
    Ok(())
}
