//! Where a schedule and its steps stand in the file.

use crate::{
    base::{KeyPath, PlanError},
    extraction::{Extraction, Step},
};

pub(super) fn rollout(extraction: &Extraction) -> KeyPath {
    KeyPath::extraction(&extraction.name).key("rollout")
}

/// Of a step, by its place from 0.
pub(super) fn step(extraction: &Extraction, at: usize) -> KeyPath {
    rollout(extraction).key("steps").item(at)
}

/// The first step that is so.
pub(super) fn first(extraction: &Extraction, is_so: impl Fn(&Step) -> bool) -> Option<usize> {
    let schedule = extraction.schedule.as_ref()?;
    schedule.steps.iter().position(is_so)
}

/// What is wrong with a gate of a step, which may be one of all steps.
pub(super) fn gate_error(
    extraction: &Extraction,
    at: usize,
    gate: &str,
    message: impl Into<String>,
) -> PlanError {
    let own = step(extraction, at).key("gates").key(gate);
    PlanError::of(own, message).or_of(rollout(extraction).key("gates").key(gate))
}
