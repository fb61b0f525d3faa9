//! From an extraction's status to what a rollout goes by, and from a rollout to what is
//! shown of it.

use crate::status::{AnswersStatus, ExtractionStatus, GateStatus, NextVerb, RolloutStatus};
use plan::{Percent, Schedule, step_changes};
use protocol::{
    Side,
    rollout::{
        Action, Decision, Gate, Rollout, Standing, Verdict, WaitsFor, changed_since, resume_step,
    },
};

/// How an extraction stands.
pub(super) fn standing(status: &ExtractionStatus, shared: bool) -> Standing {
    let share = |percent: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 10,000"
        )]
        let points = (percent.clamp(0.0, 100.0) * 100.0).round() as u16;
        Percent::from_basis_points(points).unwrap_or(Percent::ZERO)
    };
    let by = Side::BOTH
        .into_iter()
        .find(|side| side.as_str() == status.owner);
    match status.phase.as_str() {
        "preparing" | "copying" => Standing::Coming,
        "switching" | "rolling-back" | "rehearsing" => Standing::HandingOver,
        "cancelling" => Standing::Ending,
        "following" | "switched" => Standing::Owned {
            by: match by {
                Some(by) => by,
                // Nobody knows for now.
                None => return Standing::Unknown,
            },
            reads: share(status.wanted_reads()),
            writes: None,
        },
        "shared" if shared => Standing::Owned {
            by: Side::Monolith,
            reads: share(status.reads_percent),
            writes: Some(share(status.writes_percent.unwrap_or_default())),
        },
        // There is no way back from it: the steps are gone through, not begun anew.
        "finishing" | "finished" => Standing::Finished,
        "planned" => Standing::Absent,
        // The worker has said nothing yet.
        _ => Standing::Unknown,
    }
}

/// A rollout, as it is shown.
pub(super) struct RolloutView<'a> {
    pub(super) schedule: &'a Schedule,
    pub(super) rollout: &'a Rollout,
    pub(super) decisions: u64,
    /// The steps that it was begun or resumed by.
    pub(super) begun_by: Option<&'a [String]>,
    pub(super) decision: &'a Decision,
    pub(super) gates: &'a [Gate],
    /// What both sides answered lately.
    pub(super) answers: Option<AnswersStatus>,
    pub(super) standing: Standing,
    /// Why what is due was refused.
    pub(super) refused: Option<String>,
    /// Why other steps do not take effect.
    pub(super) steps_refused: Option<String>,
    /// What was asked for and is under way.
    pub(super) asked: Option<Action>,
}

impl RolloutView<'_> {
    pub(super) fn status(&self) -> RolloutStatus {
        let position = self.rollout.position();
        let steps = &self.schedule.steps;
        let (until, mut waits_for) = match self.decision {
            Decision::Wait(waiting) => (
                waiting.until,
                waiting.for_what.iter().map(ToString::to_string).collect(),
            ),
            Decision::Do(action) => (None, vec![word(*action).to_owned()]),
            Decision::Rest | Decision::Note(_) => (None, Vec::new()),
        };
        if let Some(asked) = self.asked {
            let doing = format!("{}, which is under way", word(asked));
            waits_for.retain(|one: &String| one != word(asked));
            waits_for.push(doing);
        }
        let words: Vec<_> = steps.iter().map(ToString::to_string).collect();
        RolloutStatus {
            state: match self.rollout {
                Rollout::Idle => "idle",
                Rollout::Running(_) => "running",
                Rollout::Stopped { .. } => "stopped",
                Rollout::Done => "done",
            }
            .to_owned(),
            step: position.map(|position| position.step + 1),
            decisions: self.decisions,
            changed: self
                .begun_by
                .map(|was| step_changes(was, &words))
                .unwrap_or_default(),
            steps: words,
            entered_ms: position.and_then(|at| at.entered).map(|at| at.0),
            until_ms: until.map(|until| until.0),
            why: self.why(),
            waits_for,
            asks: self.asks(),
            resume_step: resume_step(self.schedule, self.rollout, self.standing),
            refused: self.refused.clone(),
            steps_refused: self.steps_refused.clone(),
            gates: self.gates.iter().map(shown).collect(),
            answers: self.answers.clone(),
            undo: self.undo(),
            undo_is_due: matches!(self.rollout, Rollout::Stopped { undo: Some(_), .. }),
        }
    }

    /// Why it has stopped, and what is so by now where that is not so any more.
    fn why(&self) -> Option<String> {
        let Rollout::Stopped { why, .. } = self.rollout else {
            return None;
        };
        Some(
            match changed_since(self.schedule, self.rollout, self.standing) {
                Some(now) => format!("{why}; now {now}"),
                None => why.to_string(),
            },
        )
    }

    /// The verb of a person that is waited for.
    fn asks(&self) -> Option<NextVerb> {
        let Decision::Wait(waiting) = self.decision else {
            return None;
        };
        let step = self.rollout.position().map_or(1, |at| at.step + 1);
        waiting.for_what.iter().find_map(|one| match one {
            WaitsFor::Approval { of } => Some(NextVerb::Approve {
                step,
                of: Some(of.clone()),
            }),
            WaitsFor::Promotion => Some(NextVerb::Approve { step, of: None }),
            WaitsFor::Resume { step, .. } => Some(NextVerb::Resume { step: *step }),
            WaitsFor::Retire => Some(NextVerb::Finish),
            WaitsFor::Start
            | WaitsFor::Work(_)
            | WaitsFor::Others(_)
            | WaitsFor::Time
            | WaitsFor::Gate { .. }
            | WaitsFor::HaltEnd { .. } => None,
        })
    }

    /// What would take back what the service has, in words.
    fn undo(&self) -> Option<String> {
        let Standing::Owned { by, reads, writes } = self.standing else {
            return None;
        };
        let has_writes = writes.is_some_and(|writes| writes > Percent::ZERO);
        match by {
            Side::Service if writes.is_none() => Some(
                "`banyan rollback` hands the writes back, with all that was written since"
                    .to_owned(),
            ),
            _ if reads > Percent::ZERO || has_writes => {
                Some("`banyan withdraw` sends all back to the monolith at once".to_owned())
            }
            _ => None,
        }
    }
}

fn shown(gate: &Gate) -> GateStatus {
    GateStatus {
        name: gate.name.clone(),
        verdict: match gate.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::NeedMore => "needs-more",
            Verdict::Unknown => "unknown",
        }
        .to_owned(),
        text: gate.text.clone(),
        dry_run: gate.is_dry_run,
        evidence: gate.evidence.clone(),
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Shift { .. } => "the shift",
        Action::Verify => "a verify",
        Action::Switch => "the switch",
        Action::RollBack => "the rollback",
        Action::Withdraw => "the withdrawal",
    }
}

/// Whether versus-monolith figures can be had: the monolith still answers reads.
pub(super) fn compares(standing: Standing) -> bool {
    let Standing::Owned { by, reads, .. } = standing else {
        return false;
    };
    by == Side::Monolith && reads < Percent::ALL
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that are forgotten wait for `banyan start`.
    #[test]
    fn only_what_is_cancelled_begins_anew() {
        let of = |phase: &str| {
            let status = ExtractionStatus {
                phase: phase.to_owned(),
                owner: "service".to_owned(),
                ..ExtractionStatus::default()
            };
            standing(&status, false)
        };
        assert_eq!(of("cancelling"), Standing::Ending);
        for phase in ["finishing", "finished"] {
            assert_eq!(of(phase), Standing::Finished, "{phase}");
        }
    }
}
