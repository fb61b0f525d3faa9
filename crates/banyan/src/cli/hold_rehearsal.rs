//! `banyan rehearse --hold`: hand-overs that are undone at their commit point, one after
//! the other, and what they say of the one that is meant.

use super::{commands, render};
use crate::exit::Failure;
use conductor::{
    api::Parameters,
    outlook::rehearsal::{Figures, StepSpread},
    status::{ExtractionStatus, HandoverStatus, WaitStatus},
};
use plan::Length;
use report::clock;
use schemars::JsonSchema;
use serde::Serialize;
use std::{path::Path, time::Duration};

/// Each holds requests of real users: no more than a 99th percentile needs.
pub(super) const TIMES_MAX: u8 = 100;

/// All pauses together: by then the load is another.
const PAUSES_MAX: Duration = Duration::from_hours(24);

/// How often, and how long from the end of one to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    pub(super) times: u8,
    pub(super) pause: Duration,
}

impl Rounds {
    /// Refused where the pauses alone take too long.
    pub(super) fn new(times: u8, pause: Duration) -> Result<Self, Failure> {
        let rounds = Self { times, pause };
        if rounds.pauses() > PAUSES_MAX {
            return Err(Failure::Refused(format!(
                "{times} rehearsals with {} between them take longer than a day. Give a shorter \
                 `--pause`, or fewer `--times`",
                Length(pause)
            )));
        }
        Ok(rounds)
    }

    fn pauses(self) -> Duration {
        let pauses = u32::from(self.times.saturating_sub(1));
        self.pause.saturating_mul(pauses)
    }
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
pub(super) fn question(one: &ExtractionStatus, rounds: Rounds) -> String {
    let name = &one.name;
    let to = if one.owner == "service" {
        "back to the monolith"
    } else {
        "to the service"
    };
    let often = match rounds.times {
        1 => String::new(),
        times => format!(
            " {times} times, with {} between them (the pauses take {} in all)",
            Length(rounds.pause),
            clock::length(i64::try_from(rounds.pauses().as_millis()).unwrap_or(i64::MAX))
        ),
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
    let far = pause_ms
        .p99
        .map_or_else(String::new, |p99| format!("{p99:.0} ms (p99), "));
    let pause = format!(
        "Writes of `{extraction}` would pause for {:.0} ms (p50), {far}{:.0} ms at most: by {by}, \
         in which {held_requests} requests were held, for {held_ms_max:.0} ms at most.",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_agreed_to_says_how_often_and_for_how_long() {
        let one = ExtractionStatus {
            name: "contracts".to_owned(),
            ..ExtractionStatus::default()
        };
        let of = |times| question(&one, Rounds::new(times, Duration::from_secs(5)).unwrap());
        assert!(of(1).starts_with("Rehearse the hand-over of `contracts` to the service? Each"));
        let hundred = of(100);
        assert!(
            hundred.contains(" 100 times, with 5s between them (the pauses take 8 min in all)?"),
            "{hundred}"
        );
    }

    #[test]
    fn rehearsals_for_longer_than_a_day_are_refused() {
        let of = |times, hours| Rounds::new(times, Duration::from_hours(hours));
        assert!(of(25, 1).is_ok());
        let error = of(26, 1).unwrap_err().to_string();
        assert!(
            error.contains("26 rehearsals with 1h between them"),
            "{error}"
        );
        assert!(of(100, u64::MAX / 3600).is_err());
        assert!(of(1, u64::MAX / 3600).is_ok(), "there is no pause");
    }
}
