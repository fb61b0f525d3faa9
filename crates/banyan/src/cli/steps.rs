//! The steps of a plan: what is shown of them, and what a person orders.

use super::{
    commands::{ask, done, one_of},
    moved::of_plan,
    render,
    step_lines::{halt_line, lines, notices},
};
use crate::{client::Client, exit::Failure};
use conductor::{
    JournalEntry,
    api::{HaltRequest, Parameters},
    status::{ExtractionStatus, NextVerb, RolloutStatus},
};
use plan::{Plan, Role};
use protocol::rollout::{TimelineEntry, UnixMillis, rehearse};
use report::{
    Stop,
    clock::{length, minute},
};
use std::{collections::BTreeMap, path::Path};

/// Orders something of an extraction's steps.
pub(super) async fn order(
    state: &Path,
    extraction: &str,
    verb: &str,
    parameters: &Parameters,
    json: bool,
) -> Result<(), Failure> {
    let answer = ask(state, extraction, verb, parameters).await?;
    let reply = done(answer, json)?;
    if json {
        return render::json(&reply.status);
    }
    tell(&reply.status);
    Ok(())
}

/// Whether the step that waits for a person is to begin; `None`: none may be approved.
pub(super) fn approval_question(one: &ExtractionStatus) -> Option<String> {
    let asks = |rollout: &&RolloutStatus| matches!(rollout.asks, Some(NextVerb::Approve { .. }));
    let rollout = one.rollout.as_ref().filter(asks)?;
    let step = rollout.step_words()?;
    let of = rollout.to_approve();
    let of = of.map_or_else(String::new, |of| {
        format!(" It waits for approval of \"{of}\".")
    });
    Some(format!("Let step {step} of `{}` begin?{of}", one.name))
}

/// Halts all rollouts, or ends that.
pub(super) async fn halt(state: &Path, asked: &HaltRequest, json: bool) -> Result<(), Failure> {
    let status = Client::find(state)?.halt(asked).await?;
    if json {
        return render::json(&status);
    }
    let text = match &status.halted {
        Some(why) => format!(
            "No step begins, ends or is taken back by itself: {why}. `banyan halt --off` ends that; \
             verbs work as before."
        ),
        None => "The plan's steps go on.".to_owned(),
    };
    say!("{}", render::wrapped(&text));
    Ok(())
}

/// Why an extraction is where it is; of one whose steps have stopped in three lines.
pub(super) async fn why(state: &Path, extraction: &str, json: bool) -> Result<(), Failure> {
    let client = Client::find(state)?;
    let status = client.status().await?;
    let halted = status.halted;
    let one = one_of(status.extractions, extraction)?;
    if json {
        return render::json(&one.rollout);
    }
    let Some(rollout) = &one.rollout else {
        let text = format!(
            "`{extraction}` is {} and has no steps in the plan (`rollout.steps`): each one is a \
             person's.",
            one.phase
        );
        say!("{}", render::wrapped(&text));
        return Ok(());
    };
    if let Some(line) = halt_line(extraction, halted.as_deref(), rollout) {
        say!("{}", render::wrapped(&line));
    }
    let stop = match rollout.state.as_str() {
        "stopped" => stop(&client, &one).await?,
        _ => None,
    };
    match stop {
        Some(stop) => {
            for line in stop_lines(&stop) {
                say!("{line}");
            }
            for line in notices(extraction, rollout) {
                say!("{}", render::wrapped(&line));
            }
        }
        None => tell(&one),
    }
    Ok(())
}

/// Why its steps have stopped, by as much of the journal as that takes.
async fn stop(client: &Client, one: &ExtractionStatus) -> Result<Option<Stop>, Failure> {
    let mut entries = Vec::new();
    loop {
        let before = entries.first().map(|first: &JournalEntry| first.seq);
        let earlier = client.entries_before(&one.name, before).await?;
        let is_all = earlier.is_empty();
        entries.splice(..0, earlier);
        let stop = Stop::of(one, &entries);
        if is_all || stop.is_some() {
            return Ok(stop);
        }
    }
}

/// What was decided by is cut where it is too long for its line: `banyan status` has all of
/// it. What is to be typed is not.
fn stop_lines(stop: &Stop) -> [String; 3] {
    [
        render::paragraph("", "  ", &stop.happened),
        render::cut(&stop.evidence),
        render::paragraph("", "  ", &stop.next),
    ]
}

fn tell(one: &ExtractionStatus) {
    let Some(rollout) = &one.rollout else {
        return;
    };
    for line in lines(&one.name, rollout) {
        say!("{}", render::wrapped(&line));
    }
    say!(
        "{}",
        render::wrapped(&format!("{}: next: {}", one.name, one.next))
    );
    if let Some(undo) = &rollout.undo {
        say!("{}", render::wrapped(&format!("{}: {undo}", one.name)));
    }
}

/// Goes through the plan's schedules on a clock of its own, and shows when what happens.
pub(super) fn rehearsal(
    plan: &Plan,
    only: Option<&str>,
    from_ms: i64,
    json: bool,
) -> Result<(), Failure> {
    let mut timeline = rehearse(plan, UnixMillis(from_ms)).map_err(Failure::refused)?;
    if let Some(name) = only
        && of_plan(plan, name)?.schedule.is_none()
    {
        return Err(Failure::Refused(format!(
            "`{name}` has no steps in the plan (`rollout.steps`): there is nothing to rehearse"
        )));
    }
    timeline.retain(|entry| only.is_none_or(|name| entry.extraction.as_str() == name));
    if timeline.is_empty() {
        let text = "no extraction of the plan has `rollout.steps`: there is nothing to rehearse. \
                    `steps: [{ reads: 5%, for: 24h }, { reads: 100% }, switch]` would be some";
        return Err(Failure::Refused(text.to_owned()));
    }
    if json {
        return render::json(&timeline);
    }
    say!("All steps of the plan, as if they began now: not from where things stand.");
    for line in timeline_lines(&timeline) {
        say!("{line}");
    }
    say!("{}", render::wrapped(&summary(plan, &timeline, from_ms)));
    Ok(())
}

/// When what happens, in lines that fit.
fn timeline_lines(timeline: &[TimelineEntry]) -> Vec<String> {
    const INDENT: &str = "                      ";
    let mut lines = Vec::new();
    let mut shown = BTreeMap::new();
    for entry in timeline {
        let person = if entry.asks_a_person { "PERSON  " } else { "" };
        let text = format!("{}: {person}{}", entry.extraction, entry.what);
        let first = format!("{}  ", minute(entry.at.0));
        lines.push(render::paragraph(&first, INDENT, &text));
        for item in &entry.items {
            let how = if item.automatic {
                "checked"
            } else {
                "attested"
            };
            let text = format!("{how}: {}: {}", item.name, item.text);
            lines.push(render::paragraph(INDENT, &format!("{INDENT}  "), &text));
        }
        let is_step = !entry.gates.is_empty();
        // Once, and again where a step has others.
        if is_step && shown.insert(&entry.extraction, &entry.gates) != Some(&entry.gates) {
            let text = format!("gates: {}", entry.gates.join(", "));
            lines.push(render::paragraph(INDENT, &format!("{INDENT}  "), &text));
        }
    }
    lines
}

/// How long it takes, who is asked how often, and what that goes by.
fn summary(plan: &Plan, timeline: &[TimelineEntry], from_ms: i64) -> String {
    let end = timeline.last().map_or(from_ms, |last| last.at.0);
    let lasts = length(end - from_ms);
    let asked = [Role::Operator, Role::Approver].map(|role| {
        let count = timeline.iter().filter(|one| one.role == Some(role)).count();
        let people = plan.control.people.iter();
        let people = people.filter(|(_, person)| person.role >= role);
        let names: Vec<_> = people.map(|(name, _)| name.as_str()).collect();
        let names = match &names[..] {
            [] if plan.control.people.is_empty() => String::new(),
            [] => " (nobody has that role)".to_owned(),
            names => format!(" ({})", names.join(", ")),
        };
        match count {
            0 => None,
            1 => Some(format!("an {role}{names} is asked once")),
            _ => Some(format!("an {role}{names} is asked {count} times")),
        }
    });
    let asked: Vec<_> = asked.into_iter().flatten().collect();
    let asked = if asked.is_empty() {
        "nobody is asked".to_owned()
    } else {
        asked.join(", ")
    };
    format!(
        "{lasts} at least, and {asked}. Gates and checks are taken to pass, people to answer at \
         once, copies to take no time."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_approved_is_named() {
        let at = |asks: Option<Option<&str>>| {
            approval_question(&ExtractionStatus {
                name: "contracts".to_owned(),
                rollout: Some(RolloutStatus {
                    state: "running".to_owned(),
                    step: Some(2),
                    steps: vec!["reads 5%".to_owned(), "switch".to_owned()],
                    asks: asks.map(|of| NextVerb::Approve {
                        step: 2,
                        of: of.map(str::to_owned),
                    }),
                    ..RolloutStatus::default()
                }),
                ..ExtractionStatus::default()
            })
        };
        assert_eq!(
            at(Some(Some("the report"))).unwrap(),
            "Let step 2 of 2 (switch) of `contracts` begin? It waits for approval of \"the report\"."
        );
        assert!(at(Some(None)).unwrap().ends_with("begin?"));
        assert_eq!(at(None), None);
    }

    #[test]
    fn a_timeline_fits_the_screen_with_all_that_is_to_come() {
        let text = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services: { s: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/s" } }
gateway: { listen: "127.0.0.1:5" }
control: { keys: { ada: { role: approver, key: 0123456789abcdef }, ole: { role: operator, key: 123456789abcdef0 } } }
extractions:
  contracts:
    service: s
    routes: [{ path: /contracts }]
    data: { mode: replicate, schema: s, tables: { public.contracts: {} } }
    rollout:
      key: { header: x-user }
      gates: { error-rate: { max: 1% }, p95: { max: 1s }, p99: { max: 2s }, requests: 1000, lag: { max: 5s } }
      steps:
        - { reads: 5%, for: 1d, checklist: [pre-migration] }
        - { reads: 100%, approval: "the lead has seen the report of the first day, and so has whoever is on call this week" }
        - switch
        - { watch: 7d }
        - retire
"#;
        let plan = Plan::parse(text, |_| None).unwrap();
        let timeline = rehearse(&plan, UnixMillis(0)).unwrap();
        let mut lines = timeline_lines(&timeline).join("\n");
        lines += "\n";
        lines += &render::wrapped(&summary(&plan, &timeline, 0));
        insta::assert_snapshot!(lines);
        let end = timeline.last().unwrap().at.0;
        let short = summary(&plan, &timeline, end - 95_000);
        assert!(short.starts_with("95 s at least, and "), "{short}");
        for line in lines.lines() {
            assert!(
                line.chars().count() <= usize::from(render::COLUMNS),
                "{line}"
            );
        }
    }
}
