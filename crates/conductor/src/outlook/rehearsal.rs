//! What rehearsals of a hand-over say of the one that is meant.

use crate::status::{HandoverStatus, Pause, WaitStatus};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Of fewer times than this the 99th percentile is the largest, which is told as such.
const P99_TIMES_MIN: usize = 100;

/// What they say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Figures {
    /// How long writes would be held.
    pub pause_ms: Spread,
    /// Requests that were held.
    pub held_requests: u64,
    /// The longest of these waited for so long.
    pub held_ms_max: f64,
    /// How long each step took.
    pub steps_ms: Vec<StepSpread>,
    /// Who was waited for, each once.
    pub waited_for: Vec<WaitStatus>,
}

/// How some times are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Spread {
    /// Half of them are no longer.
    pub p50: f64,
    /// 99 of 100 are no longer; `None`: there are fewer than a hundred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// None is longer.
    pub max: f64,
}

/// How long a step took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct StepSpread {
    /// Its name.
    pub step: String,
    /// Its times.
    #[serde(flatten)]
    pub ms: Spread,
}

impl Figures {
    /// Of those that got as far as the commit point.
    pub fn of(rehearsals: &[HandoverStatus]) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for step in rehearsals.iter().flat_map(|one| &one.steps) {
            if !names.contains(&step.name.as_str()) {
                names.push(&step.name);
            }
        }
        let of = |name: &str| {
            let steps = rehearsals.iter().flat_map(|one| &one.steps);
            spread(steps.filter(|step| step.name == name).map(|step| step.ms))
        };
        let waits: BTreeSet<_> = rehearsals
            .iter()
            .flat_map(|one| &one.waited_for)
            .map(|wait| (&wait.step, &wait.whom))
            .collect();
        Self {
            pause_ms: spread(rehearsals.iter().filter_map(pause_ms)),
            held_requests: rehearsals.iter().map(|one| one.hold.held_requests).sum(),
            held_ms_max: rehearsals
                .iter()
                .map(|one| one.hold.hold_ms_max)
                .fold(0.0, f64::max),
            steps_ms: names
                .into_iter()
                .map(|name| StepSpread {
                    step: name.to_owned(),
                    ms: of(name),
                })
                .collect(),
            waited_for: waits
                .into_iter()
                .map(|(step, whom)| WaitStatus {
                    step: step.clone(),
                    whom: whom.clone(),
                })
                .collect(),
        }
    }
}

fn pause_ms(one: &HandoverStatus) -> Option<f64> {
    one.pause().and_then(Pause::ms)
}

/// By the nearest rank.
fn spread(times: impl Iterator<Item = f64>) -> Spread {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100);
        times
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    };
    Spread {
        p50: at(50),
        p99: (times.len() >= P99_TIMES_MIN).then(|| at(99)),
        max: at(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ports::HoldReport, status::StepStatus};

    fn rehearsal(steps: &[(&str, f64)], held: u64, whom: &str) -> HandoverStatus {
        HandoverStatus {
            rehearsal: true,
            outcome: "rehearsed".to_owned(),
            hold: HoldReport {
                held_requests: held,
                hold_ms_max: 7.0,
                ..HoldReport::default()
            },
            steps: steps
                .iter()
                .map(|(name, ms)| StepStatus {
                    name: (*name).to_owned(),
                    ms: *ms,
                })
                .collect(),
            waited_for: vec![WaitStatus {
                step: "fence".to_owned(),
                whom: whom.to_owned(),
            }],
            ..HandoverStatus::default()
        }
    }

    #[test]
    fn the_pause_is_what_comes_after_the_weak_lock() {
        let one = |fence| {
            [
                ("ready", 900.0),
                ("lock", 3.0),
                ("hold", 2.0),
                ("fence", fence),
            ]
        };
        let found = Figures::of(&[
            rehearsal(&one(10.0), 3, "a"),
            rehearsal(&one(30.0), 4, "b"),
            rehearsal(&one(20.0), 0, "a"),
        ]);
        let pause = Spread {
            p50: 22.0,
            p99: None,
            max: 32.0,
        };
        assert_eq!(found.pause_ms, pause);
        assert_eq!((found.held_requests, found.held_ms_max), (7, 7.0));
        let steps: Vec<_> = found.steps_ms.iter().map(|one| one.step.as_str()).collect();
        assert_eq!(steps, ["ready", "lock", "hold", "fence"]);
        let whom: Vec<_> = found
            .waited_for
            .iter()
            .map(|one| one.whom.as_str())
            .collect();
        assert_eq!(whom, ["a", "b"], "each once");
    }

    #[test]
    fn the_99th_percentile_needs_a_hundred() {
        let of = |count: u32| spread((1..=count).map(f64::from));
        assert_eq!((of(99).p99, of(99).max), (None, 99.0));
        assert_eq!((of(200).p99, of(200).max), (Some(198.0), 200.0));
    }

    #[test]
    fn of_nothing_there_are_no_figures() {
        assert_eq!(Figures::of(&[]), Figures::default());
    }
}
