//! The steps of a plan: what is shown of them, and what a person orders.

use super::{
    commands::{ask, done},
    render,
    step_lines::lines,
};
use crate::{client::Client, exit::Failure};
use conductor::{
    api::{HaltRequest, Parameters},
    status::ExtractionStatus,
};
use plan::{Data, Plan};
use protocol::rollout::{TimelineEntry, UnixMillis, rehearse};
use report::clock::minute;
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

/// Why an extraction is where it is.
pub(super) async fn why(state: &Path, extraction: &str, json: bool) -> Result<(), Failure> {
    let status = Client::find(state)?.status().await?;
    let Some(one) = status.extractions.iter().find(|one| one.name == extraction) else {
        return Err(Failure::Refused(format!(
            "there is no extraction `{extraction}`: see `banyan status`"
        )));
    };
    if json {
        return render::json(&one.rollout);
    }
    if one.rollout.is_none() {
        let text = format!(
            "`{extraction}` is {} and has no steps in the plan (`rollout.steps`): each one is a \
             person's.",
            one.phase
        );
        say!("{}", render::wrapped(&text));
        return Ok(());
    }
    tell(one);
    Ok(())
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
pub(super) fn rehearsal(plan: &Plan, from_ms: i64, json: bool) -> Result<(), Failure> {
    let mut schedules = BTreeMap::new();
    for (name, one) in &plan.extractions {
        if let Some(steps) = &one.schedule {
            schedules.insert(name.clone(), (steps, one.data == Data::Shared));
        }
    }
    if schedules.is_empty() {
        let text = "no extraction of the plan has `rollout.steps`: there is nothing to rehearse. \
                    `steps: [{ reads: 5%, for: 24h }, { reads: 100% }, switch]` would be some";
        return Err(Failure::Refused(text.to_owned()));
    }
    let timeline = rehearse(&schedules, UnixMillis(from_ms)).map_err(Failure::refused)?;
    if json {
        return render::json(&timeline);
    }
    let mut shown = BTreeMap::new();
    for entry in &timeline {
        say!("{}", rehearsed(entry));
        let is_step = !entry.gates.is_empty();
        // Once, and again where a step has others.
        if is_step && shown.insert(&entry.extraction, &entry.gates) != Some(&entry.gates) {
            let text = format!("gates: {}", entry.gates.join(", "));
            say!("{}", render::wrapped(&text));
        }
    }
    let people = timeline.iter().filter(|one| one.asks_a_person).count();
    let end = timeline.last().map_or(from_ms, |last| last.at.0);
    let days = (end - from_ms) / 86_400_000;
    let asked = match people {
        0 => "nobody is asked".to_owned(),
        1 => "a person is asked once".to_owned(),
        _ => format!("a person is asked {people} times"),
    };
    let text = format!(
        "{days} days at least, and {asked}. Gates are taken to pass, copies to take no time."
    );
    say!("{}", render::wrapped(&text));
    Ok(())
}

fn rehearsed(entry: &TimelineEntry) -> String {
    let person = if entry.asks_a_person { "PERSON  " } else { "" };
    format!(
        "{}  {}: {person}{}",
        minute(entry.at.0),
        entry.extraction,
        entry.what
    )
}
