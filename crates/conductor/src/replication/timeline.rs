//! How long each step of a hand-over took.

use crate::{
    ports::HoldReport,
    status::{HandoverStatus, StepStatus, kind, outcome},
};
use protocol::{Epoch, Side, owner::Outcome};
use std::time::Instant;

pub(super) struct Timeline {
    epoch: Epoch,
    from: Side,
    began: Instant,
    steps: Vec<(&'static str, Instant)>,
}

impl Timeline {
    pub(super) fn begin(epoch: Epoch, from: Side) -> Self {
        Self {
            epoch,
            from,
            began: Instant::now(),
            steps: Vec::new(),
        }
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
        self.report(outcome(how), reason)
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
            outcome: outcome.to_owned(),
            reason,
            epoch: self.epoch.0,
            total_ms: millis(self.began, now),
            hold: HoldReport::default(),
            steps: steps.collect(),
            split_tables: Vec::new(),
        }
    }
}

fn millis(from: Instant, to: Instant) -> f64 {
    (to.saturating_duration_since(from).as_secs_f64() * 1e6).round() / 1e3
}
