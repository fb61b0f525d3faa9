//! What the journal has of a rollout beside where it is.

use protocol::rollout::{Event, UnixMillis};

/// Of all events up to now.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// How many decisions led to where it is.
    pub(super) decisions: u64,
    /// The steps that it was begun or resumed by, or that a reload brought since.
    pub(super) begun_by: Option<Vec<String>>,
    /// The digest of the plan that what is decided goes by.
    pub(super) plan: Option<String>,
    /// The step that was entered last, unless what it wants was taken back since or it is
    /// gone on anew.
    pub(super) entered: Option<(usize, UnixMillis)>,
}

impl Recorded {
    pub(super) fn of(history: &[Event]) -> Self {
        let mut recorded = Self::default();
        for event in history {
            recorded.add(event);
        }
        recorded
    }

    pub(super) fn add(&mut self, event: &Event) {
        // A plan that was read leads to no other state, and what is asked for not by itself.
        let leads = !matches!(event, Event::PlanRead { .. } | Event::Permitted { .. });
        self.decisions += u64::from(leads);
        match event {
            Event::Entered { step, at } => self.entered = Some((*step, *at)),
            Event::Undone { .. } | Event::Resumed { .. } | Event::Forgotten => self.entered = None,
            _ => {}
        }
        if let Some(steps) = steps(event) {
            self.begun_by = Some(steps.clone());
        }
        if let Some(plan) = plan(event) {
            self.plan = Some(plan.clone());
        }
    }
}

/// The steps of the plan, where they were written down with an event.
fn steps(event: &Event) -> Option<&Vec<String>> {
    match event {
        Event::Began { steps, .. }
        | Event::Resumed { steps, .. }
        | Event::StepsChanged { steps, .. } => Some(steps),
        _ => None,
    }
}

/// The digest of the plan's text, where it was written down with an event.
fn plan(event: &Event) -> Option<&String> {
    match event {
        Event::Began { plan, .. } | Event::PlanRead { plan } | Event::StepsChanged { plan, .. } => {
            Some(plan)
        }
        _ => None,
    }
}
