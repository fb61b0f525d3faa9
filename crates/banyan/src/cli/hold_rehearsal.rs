//! `banyan rehearse --hold`: hand-overs that are undone at their commit point, one after
//! the other, and what they say of the one that is meant.

use super::{commands, render};
use crate::exit::Failure;
use conductor::{
    api::Parameters,
    outlook::rehearsal::{Figures, StepSpread},
    status::{ExtractionStatus, HandoverStatus, WaitStatus},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{path::Path, time::Duration};

/// Each holds requests of real users.
pub(super) const TIMES_MAX: u8 = 20;

/// How often, and how long from the end of one to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    pub(super) times: u8,
    pub(super) pause: Duration,
}

/// What it prints with `--json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report<'a> {
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
    let figures = Figures::of(&through);
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
        "Writes of `{extraction}` would pause for {:.0} ms (p50), {:.0} ms at most: by {by}, in \
         which {held_requests} requests were held, for {held_ms_max:.0} ms at most.",
        pause_ms.p50, pause_ms.max
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

/// Of one that got through.
#[cfg(test)]
pub(super) fn example() -> serde_json::Value {
    let rehearsals = [HandoverStatus {
        outcome: "rehearsed".to_owned(),
        rehearsal: true,
        waited_for: vec![WaitStatus::default()],
        ..HandoverStatus::default()
    }];
    serde_json::json!(Report {
        extraction: "contracts",
        figures: Figures::of(&rehearsals),
        rehearsals: &rehearsals,
    })
}
