//! Schedules that would wait for ever: for somebody who may not, for what comes later, or
//! for requests that nobody sends.

use super::{
    control::{People, Role},
    step_path,
};
use crate::{
    base::{ExtractionName, KeyPath, Percent, PlanError},
    checklists::{AutomaticCheck, ChecklistItem, Checklists, DECOMMISSIONING},
    extraction::{Data, Extraction, Schedule, Step, StepDoes},
};
use std::collections::BTreeMap;

type Extractions = BTreeMap<ExtractionName, Extraction>;

const NOBODY: &str = "no key under `control.keys` has the role `approver`";

/// Refuses schedules that could never be gone through to their end.
pub(super) fn check(
    extractions: &Extractions,
    checklists: &Checklists,
    people: &People,
) -> Result<(), PlanError> {
    for extraction in extractions.values() {
        let Some(schedule) = &extraction.schedule else {
            continue;
        };
        require_operator(people, extraction)?;
        require_approver((people, checklists), extraction, schedule)?;
        refuse_items_to_come(checklists, extraction, schedule)?;
        refuse_retirement_of_shared_data(extraction)?;
        refuse_gates_without_requests(extraction, schedule)?;
        refuse_others_that_stay(extractions, extraction, schedule)?;
    }
    Ok(())
}

/// Whether somebody may do what a role may. Without keys, everybody may who may read the
/// state directory.
fn somebody_is(people: &People, role: Role) -> bool {
    people.is_empty() || people.values().any(|person| person.role >= role)
}

fn require_operator(people: &People, extraction: &Extraction) -> Result<(), PlanError> {
    if somebody_is(people, Role::Operator) {
        return Ok(());
    }
    let message = format!(
        "nobody may start `{}`: all keys have the role `viewer`",
        extraction.name
    );
    Err(PlanError::of(KeyPath::top("control").key("keys"), message)
        .remedy("Give somebody `role: operator` or `role: approver`"))
}

fn require_approver(
    (people, checklists): (&People, &Checklists),
    extraction: &Extraction,
    schedule: &Schedule,
) -> Result<(), PlanError> {
    if somebody_is(people, Role::Approver) {
        return Ok(());
    }
    if !schedule.automatic.promote {
        let path = step_path::rollout(extraction);
        let message = format!("nobody may let a step begin: {NOBODY}");
        return Err(PlanError::of(path.key("automatic").key("promote"), message)
            .remedy("Give somebody that role, or write `promote: on`"));
    }
    for (at, step) in (0..).zip(&schedule.steps) {
        let path = step_path::step(extraction, at);
        if step.approval.is_some() {
            let message = format!("nobody may approve it: {NOBODY}");
            return Err(PlanError::of(path.key("approval"), message)
                .remedy("Give somebody that role, or take the approval away"));
        }
        let is_retire = step.does == StepDoes::Retire;
        let (names, path) = if is_retire {
            (vec![DECOMMISSIONING.to_owned()], path)
        } else {
            (step.checklist.clone(), path.key("checklist"))
        };
        let items = checklists.items(&names).unwrap_or_default();
        if let Some(item) = items.iter().find(|item| item.check.is_none()) {
            let message = format!("nobody may attest `{}`: {NOBODY}", item.name);
            return Err(PlanError::of(path, message)
                .remedy("Give somebody that role, or name items that are checked by themselves"));
        }
    }
    Ok(())
}

/// Where both sides share the data no table of them is an old one: `finish`, for which
/// `retire` waits, is refused.
fn refuse_retirement_of_shared_data(extraction: &Extraction) -> Result<(), PlanError> {
    if extraction.data != Data::Shared {
        return Ok(());
    }
    let Some(at) = step_path::first(extraction, |step| step.does == StepDoes::Retire) else {
        return Ok(());
    };
    let message = format!(
        "a step of `{}` is `retire`, and both sides share its data: no table of it is an old one",
        extraction.name
    );
    Err(PlanError::of(step_path::step(extraction, at), message)
        .remedy("Leave it out: the steps are done after the one before it"))
}

/// An item that is done only after the step that waits for it.
fn refuse_items_to_come(
    checklists: &Checklists,
    extraction: &Extraction,
    schedule: &Schedule,
) -> Result<(), PlanError> {
    for (at, step) in (0..).zip(&schedule.steps) {
        let has_all_writes = schedule.steps.iter().take(at).any(gives_all_writes);
        for (number, name) in (0..).zip(&step.checklist) {
            let items = checklists.items(std::slice::from_ref(name));
            let mut items = items.unwrap_or_default().into_iter();
            let to_come = items.find_map(|item| {
                let why = to_come(item, extraction, has_all_writes)?;
                Some((item, why))
            });
            let Some((item, why)) = to_come else { continue };
            let path = step_path::step(extraction, at)
                .key("checklist")
                .item(number);
            let message = format!("`{step}` would wait for `{}` for ever: {why}", item.name);
            return Err(PlanError::of(path, message).remedy(
                "Take it away here: `banyan retire` has `decommissioning` checked at the end",
            ));
        }
    }
    Ok(())
}

/// Why an item cannot be done before a step, if it cannot.
fn to_come(
    item: &ChecklistItem,
    extraction: &Extraction,
    has_all_writes: bool,
) -> Option<&'static str> {
    match item.check? {
        AutomaticCheck::Migrated if !has_all_writes => {
            Some("the service gets all writes by it, or later")
        }
        // Where both sides share the tables it is attested.
        AutomaticCheck::TablesUnused | AutomaticCheck::RoutesUnused
            if extraction.data != Data::Shared =>
        {
            Some("it is looked who uses the old side only after `banyan finish`, which comes last")
        }
        _ => None,
    }
}

fn gives_all_writes(step: &Step) -> bool {
    match step.does {
        StepDoes::Switch => true,
        StepDoes::Shares { writes, .. } => writes == Percent::ALL,
        StepDoes::Reads(_) | StepDoes::Watch | StepDoes::Retire => false,
    }
}

/// A gate on the service's answers in a step that sends it nothing. One of all steps does
/// not count there; testers may be enough for the step's own.
fn refuse_gates_without_requests(
    extraction: &Extraction,
    schedule: &Schedule,
) -> Result<(), PlanError> {
    if extraction.force.is_some() || extraction.flag.is_some() {
        return Ok(());
    }
    for (at, step) in (0..).zip(&schedule.steps) {
        let Some((Percent::ZERO, writes)) = step.does.shares() else {
            continue;
        };
        let gates = &step.gates;
        let throughput = gates.throughput.filter(|one| !one.dry_run);
        let mut names: Vec<&str> = throughput.map(|_| "throughput").into_iter().collect();
        if writes == Percent::ZERO {
            names.extend(gates.requests.map(|_| "requests"));
            let errors = gates.error_rate.filter(|one| !one.dry_run);
            names.extend(errors.map(|_| "error-rate"));
            let latency = gates.latency.iter().filter(|(_, one)| !one.dry_run);
            names.extend(latency.map(|(of, _)| of.as_str()));
        }
        let Some(gate) = names.first() else { continue };
        let path = step_path::step(extraction, at).key("gates").key(gate);
        let message = format!("`{step}` never passes it: the service gets no such requests then");
        return Err(PlanError::of(path, message)
            .remedy("Take it away here, or raise the step's share above 0%"));
    }
    Ok(())
}

/// One that waits for another to switch, whose steps never do.
fn refuse_others_that_stay(
    extractions: &Extractions,
    extraction: &Extraction,
    schedule: &Schedule,
) -> Result<(), PlanError> {
    for (at, name) in (0..).zip(&schedule.after) {
        let other = extractions.get(name);
        // Where it has no steps, a person switches it.
        let Some(other) = other.and_then(|one| one.schedule.as_ref()) else {
            continue;
        };
        if other.steps.iter().any(gives_all_writes) {
            continue;
        }
        let path = step_path::rollout(extraction).key("after").item(at);
        let message = format!(
            "`{}` waits until `{name}` has switched, and the steps of `{name}` never switch",
            extraction.name
        );
        return Err(PlanError::of(path, message).remedy(format!(
            "Add `switch` to the steps of `{name}`, or take `{name}` away here"
        )));
    }
    Ok(())
}
