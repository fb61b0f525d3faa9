//! The verb that a person is asked for. The sentence of what comes next and the console's
//! button both go by it.

use crate::status::{ExtractionStatus, NextVerb, RolloutStatus};

/// The shares of readers that are proposed one after the other, in percent.
const SHARES: [f64; 4] = [5.0, 10.0, 50.0, 100.0];

/// The verb that a person is asked for; `None`: it goes on by itself, or may stay as it is.
pub fn asks(one: &ExtractionStatus) -> Option<NextVerb> {
    // Until that is known, nothing is accepted.
    if one.owner == "unknown" {
        return None;
    }
    match steps(one) {
        Some(rollout) => rollout.asks.clone(),
        None => of_phase(one),
    }
}

/// The steps of the plan, where it is for them to say what comes next.
pub(super) fn steps(one: &ExtractionStatus) -> Option<&RolloutStatus> {
    let is_gone_by_steps = matches!(
        one.phase.as_str(),
        "following" | "switched" | "shared" | "switching" | "rolling-back" | "rehearsing"
    );
    let rollout = one.rollout.as_ref().filter(|_| is_gone_by_steps);
    rollout.filter(|rollout| matches!(rollout.state.as_str(), "idle" | "running" | "stopped"))
}

/// Where each step is a person's.
fn of_phase(one: &ExtractionStatus) -> Option<NextVerb> {
    let joins = !one.joining.is_empty();
    let differences = one.last_verify.as_ref().map(|last| last.differences);
    match one.phase.as_str() {
        "planned" => Some(NextVerb::Start),
        "following" if one.left_readers => Some(NextVerb::Withdraw),
        // They end the copy of what is being added, or need it.
        "following" if joins => None,
        "following" => Some(match differences {
            None => NextVerb::Verify { differences: 0 },
            Some(differences @ 1..) => NextVerb::Verify { differences },
            Some(0) if one.wanted_reads() >= 100.0 => NextVerb::Switch,
            Some(0) => more(one),
        }),
        "shared" if one.reads_percent < 100.0 => Some(more(one)),
        "shared" if one.writes_percent.is_some_and(|share| share < 100.0) => Some(NextVerb::Switch),
        _ => None,
    }
}

/// The next larger share of readers.
fn more(one: &ExtractionStatus) -> NextVerb {
    let now = one.wanted_reads();
    let next = SHARES.into_iter().find(|share| *share > now + f64::EPSILON);
    NextVerb::Shift {
        reads_percent: next.unwrap_or(100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::VerifyStatus;

    fn at(phase: &str, reads_percent: f64, differences: Option<u64>) -> ExtractionStatus {
        ExtractionStatus {
            name: "orders".to_owned(),
            phase: phase.to_owned(),
            reads_percent,
            writes_percent: (phase == "shared").then_some(reads_percent),
            last_verify: differences.map(|differences| VerifyStatus {
                differences,
                ..VerifyStatus::default()
            }),
            ..ExtractionStatus::default()
        }
    }

    fn shift(reads_percent: f64) -> NextVerb {
        NextVerb::Shift { reads_percent }
    }

    #[test]
    fn one_thing_is_asked_at_a_time() {
        let verify = |differences| Some(NextVerb::Verify { differences });
        for (phase, reads, differences, wanted) in [
            ("planned", 0.0, None, Some(NextVerb::Start)),
            ("copying", 0.0, None, None),
            ("following", 0.0, None, verify(0)),
            ("following", 20.0, None, verify(0)),
            ("following", 0.0, Some(2), verify(2)),
            ("following", 0.0, Some(0), Some(shift(5.0))),
            ("following", 10.0, Some(0), Some(shift(50.0))),
            ("following", 20.0, Some(0), Some(shift(50.0))),
            ("following", 100.0, Some(0), Some(NextVerb::Switch)),
            ("rehearsing", 100.0, Some(0), None),
            ("switched", 100.0, Some(0), None),
            ("shared", 50.0, None, Some(shift(100.0))),
            ("shared", 100.0, None, None),
            ("finished", 100.0, Some(0), None),
            ("", 0.0, None, None),
        ] {
            assert_eq!(
                asks(&at(phase, reads, differences)),
                wanted,
                "{phase} {reads}"
            );
        }
        let reads_only = ExtractionStatus {
            writes_percent: Some(20.0),
            ..at("shared", 100.0, None)
        };
        assert_eq!(asks(&reads_only), Some(NextVerb::Switch));
    }

    /// What a stream withholds is wanted still: the next share is not a lower one.
    #[test]
    fn the_next_share_is_larger_than_what_is_wanted() {
        let withheld = ExtractionStatus {
            reads_withdrawn: true,
            reads_wanted_percent: Some(50.0),
            ..at("following", 0.0, Some(0))
        };
        assert_eq!(asks(&withheld), Some(shift(100.0)));
    }

    #[test]
    fn nothing_is_asked_for_that_would_be_refused() {
        let unknown = |phase: &str| ExtractionStatus {
            owner: "unknown".to_owned(),
            ..at(phase, 0.0, None)
        };
        for phase in ["planned", "following", "switched"] {
            assert_eq!(asks(&unknown(phase)), None, "{phase}");
        }
        for (reads, differences) in [(0.0, None), (20.0, Some(2)), (100.0, Some(0))] {
            let joins = ExtractionStatus {
                joining: vec!["notes".to_owned()],
                ..at("following", reads, differences)
            };
            assert_eq!(asks(&joins), None, "{reads}");
        }
    }

    #[test]
    fn steps_that_go_on_or_are_taken_back_ask_nobody() {
        let of = |state: &str, asked: Option<NextVerb>| {
            let rollout = RolloutStatus {
                state: state.to_owned(),
                asks: asked,
                ..RolloutStatus::default()
            };
            asks(&ExtractionStatus {
                rollout: Some(rollout),
                ..at("following", 10.0, Some(0))
            })
        };
        let resume = Some(NextVerb::Resume { step: Some(2) });
        assert_eq!(of("stopped", resume.clone()), resume);
        for state in ["stopped", "running", "idle"] {
            assert_eq!(of(state, None), None, "{state}");
        }
        assert_eq!(of("done", None), Some(shift(50.0)), "the phase's");
    }

    #[test]
    fn readers_that_a_rollback_left_are_to_be_withdrawn() {
        let left = ExtractionStatus {
            left_readers: true,
            ..at("following", 20.0, Some(0))
        };
        assert_eq!(asks(&left), Some(NextVerb::Withdraw));
    }
}
