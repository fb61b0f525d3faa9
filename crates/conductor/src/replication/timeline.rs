//! How long each step of a hand-over took.

use crate::{
    journal::now_ms,
    ports::HoldReport,
    status::{HandoverStatus, StepStatus, WaitStatus, between_ms, kind, outcome},
};
use protocol::{Epoch, Side, lifecycle::UnderWay, owner::Outcome};
use std::time::Instant;

pub(super) struct Timeline {
    epoch: Epoch,
    from: Side,
    is_rehearsal: bool,
    began: Instant,
    steps: Vec<(&'static str, Instant)>,
    waited_for: Vec<WaitStatus>,
    /// Where a process before this one began to hold writes: when, by the journal.
    cut_hold_ms: Option<i64>,
}

impl Timeline {
    pub(super) fn begin(epoch: Epoch, from: Side, is_rehearsal: bool) -> Self {
        Self {
            epoch,
            from,
            is_rehearsal,
            began: Instant::now(),
            steps: Vec::new(),
            waited_for: Vec::new(),
            cut_hold_ms: None,
        }
    }

    /// Of one that a process before this one began: its times count from here, and the
    /// journal tells when it began to hold writes, if it did.
    pub(super) fn after_restart(handover: &UnderWay, hold_began_ms: Option<i64>) -> Self {
        let (epoch, from) = (handover.epoch(), handover.from());
        let mut timeline = Self {
            cut_hold_ms: hold_began_ms,
            ..Self::begin(epoch, from, handover.is_rehearsal())
        };
        timeline.at(handover.stage().name());
        timeline
    }

    /// These were waited for in the step that is under way.
    pub(super) fn waited_for(&mut self, whom: Vec<String>) {
        let step = self.steps.last().map_or("ready", |(name, _)| *name);
        let waits = whom.into_iter().map(|whom| WaitStatus {
            step: step.to_owned(),
            whom,
        });
        self.waited_for.extend(waits);
    }

    /// A step has begun, if it is not the one under way.
    pub(super) fn at(&mut self, name: &'static str) {
        if self.steps.last().is_none_or(|(last, _)| *last != name) {
            self.steps.push((name, Instant::now()));
        }
    }

    pub(super) fn under_way(&self) -> HandoverStatus {
        self.report("under-way", None)
    }

    pub(super) fn end(self, how: Outcome, reason: Option<String>) -> HandoverStatus {
        let word = outcome(how, self.is_rehearsal, reason.as_deref());
        self.report(word, reason)
    }

    fn report(&self, outcome: &str, reason: Option<String>) -> HandoverStatus {
        let now = Instant::now();
        let ends = self.steps.iter().skip(1).map(|(_, at)| *at).chain([now]);
        let steps = self
            .steps
            .iter()
            .zip(ends)
            .map(|((name, from), to)| StepStatus {
                name: (*name).to_owned(),
                ms: millis(*from, to),
            });
        HandoverStatus {
            kind: kind(self.from).to_owned(),
            rehearsal: self.is_rehearsal,
            outcome: outcome.to_owned(),
            reason,
            epoch: self.epoch.0,
            total_ms: millis(self.began, now),
            hold: HoldReport::default(),
            pause_ms_max: self.cut_hold_ms.map(|began| between_ms(began, now_ms())),
            steps: steps.collect(),
            waited_for: self.waited_for.clone(),
            split_tables: Vec::new(),
        }
    }
}

fn millis(from: Instant, to: Instant) -> f64 {
    (to.saturating_duration_since(from).as_secs_f64() * 1e6).round() / 1e3
}
