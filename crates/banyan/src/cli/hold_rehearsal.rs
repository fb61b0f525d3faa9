//! `banyan rehearse --hold`: hand-overs that are undone at their commit point, one after
//! the other, and what they say of the one that is meant.

use super::{commands, render};
use crate::exit::Failure;
use conductor::{
    api::Parameters,
    status::{ExtractionStatus, HandoverStatus, WaitStatus},
};
use serde::Serialize;
use std::{collections::BTreeSet, path::Path, time::Duration};

/// Each holds requests of real users.
pub(super) const TIMES_MAX: u8 = 20;

/// How often, and how long from the end of one to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    pub(super) times: u8,
    pub(super) pause: Duration,
}

/// What they say of the hand-over that is meant.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Figures {
    /// How long writes would be held.
    pause_ms: Spread,
    /// Requests that were held.
    held_requests: u64,
    /// The longest of these waited for so long.
    held_ms_max: f64,
    /// How long each step took.
    steps_ms: Vec<StepSpread>,
    waited_for: Vec<WaitStatus>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct StepSpread {
    step: String,
    #[serde(flatten)]
    ms: Spread,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    extraction: &'a str,
    #[serde(flatten)]
    figures: Figures,
    /// Each, as `banyan switch --json` shows one.
    rehearsals: &'a [HandoverStatus],
}

/// What is agreed to.
pub(super) fn question(one: &ExtractionStatus, Rounds { times, .. }: Rounds) -> String {
    let name = &one.name;
    let to = if one.owner == "service" {
        "back to the monolith"
    } else {
        "to the service"
    };
    let often = match times {
        1 => String::new(),
        times => format!(" {times} times"),
    };
    format!(
        "Rehearse the hand-over of `{name}` {to}{often}? Each time its writes are held at the \
         gateway, for `switch.hold` at most, its tables are locked and fenced, and upgraded \
         connections on its routes are closed. Then all of that is undone: nothing is handed over."
    )
}

/// Rehearses; ends at the first that does not get as far as the commit point.
pub(super) async fn run(
    state: &Path,
    extraction: &str,
    Rounds { times, pause }: Rounds,
    json: bool,
) -> Result<(), Failure> {
    let mut rehearsals: Vec<HandoverStatus> = Vec::new();
    for number in 1..=times {
        if number > 1 {
            tokio::time::sleep(pause).await;
        }
        let nothing = Parameters::default();
        let answer = commands::ask(state, extraction, "rehearse", &nothing).await?;
        let reply = commands::done(answer, json)?;
        let Some(last) = reply.status.last_handover.filter(|last| last.rehearsal) else {
            return Err(Failure::NotDone("the rehearsal left no report".to_owned()));
        };
        if !json {
            say!("{number} of {times}:");
            render::handover(&last);
        }
        let is_through = last.outcome == "rehearsed";
        rehearsals.push(last);
        if !is_through {
            break;
        }
    }
    let through: Vec<_> = rehearsals
        .iter()
        .filter(|one| one.outcome == "rehearsed")
        .cloned()
        .collect();
    let figures = figures(&through);
    if json {
        let rehearsals = &rehearsals;
        render::json(&Report {
            extraction,
            figures,
            rehearsals,
        })?;
    } else if !through.is_empty() {
        tell(extraction, through.len(), &figures);
    }
    if through.len() == usize::from(times) {
        Ok(())
    } else {
        Err(Failure::Reported(1))
    }
}

/// Of those that got as far as the commit point.
fn figures(rehearsals: &[HandoverStatus]) -> Figures {
    let pause = |one: &HandoverStatus| {
        let held = one.steps.iter().skip_while(|step| is_before(&step.name));
        held.map(|step| step.ms).sum()
    };
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
    Figures {
        pause_ms: spread(rehearsals.iter().map(pause)),
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

/// Whether a step comes before requests are held.
fn is_before(step: &str) -> bool {
    matches!(step, "ready" | "lock")
}

/// By the nearest rank: of fewer than a hundred the 99th is the largest.
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
        p99: at(99),
        max: at(100),
    }
}

fn tell(extraction: &str, count: usize, figures: &Figures) {
    let Figures {
        pause_ms,
        held_requests,
        held_ms_max,
        steps_ms,
        waited_for,
    } = figures;
    let by = match count {
        1 => "1 rehearsal".to_owned(),
        count => format!("{count} rehearsals"),
    };
    let pause = format!(
        "Writes of `{extraction}` would pause for {:.0} ms (p50), {:.0} ms (p99), {:.0} ms at \
         most: by {by}, in which {held_requests} requests were held, for {held_ms_max:.0} ms at \
         most.",
        pause_ms.p50, pause_ms.p99, pause_ms.max
    );
    say!("{}", render::wrapped(&pause));
    let steps: Vec<_> = steps_ms
        .iter()
        .map(|StepSpread { step, ms }| format!("{step} {:.0} to {:.0}", ms.p50, ms.max))
        .collect();
    let steps = steps.join(", ");
    say!(
        "{}",
        render::paragraph("steps in ms (p50 to max): ", "  ", &steps)
    );
    for WaitStatus { step, whom } in waited_for {
        say!(
            "{}",
            render::paragraph("waited for ", "  ", &format!("in {step}: {whom}"))
        );
    }
    let end = "Nothing was handed over, and the locks and the fence are gone. A switch opens the \
               other side where these were undone.";
    say!("{}", render::wrapped(end));
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::{ports::HoldReport, status::StepStatus};

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
        let found = figures(&[
            rehearsal(&one(10.0), 3, "a"),
            rehearsal(&one(30.0), 4, "b"),
            rehearsal(&one(20.0), 0, "a"),
        ]);
        let pause = Spread {
            p50: 22.0,
            p99: 32.0,
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
    fn of_nothing_there_are_no_figures() {
        assert_eq!(figures(&[]), Figures::default());
    }
}
