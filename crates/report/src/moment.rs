//! Something that happened, in a sentence.

use crate::clock::minute;
use conductor::{
    JournalEntry, OrderEvent, OrderOutcome, RecordedEvent, ReportEvent,
    status::{HandoverStatus, Pause},
};
use plan::Length;
use protocol::{
    Side,
    brown_out::{Ending, Event as BrownOut},
    checklist::{CheckResult, Event as Item},
    lifecycle::{Event as Life, Verified},
    owner::Outcome,
    rollout::{Actor, Event as Steps, StopReason},
    shared_data::Event as Shared,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

/// So many milliseconds are no length of time but a moment: some day of 1973, or later.
const SINCE_1970_MIN: i64 = 100_000_000_000;

/// Something that happened to an extraction.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Moment {
    /// The journal's number of it.
    pub seq: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// To which extraction; `*` is to all.
    pub extraction: String,
    /// Of what kind it is.
    pub kind: Kind,
    /// What, in a sentence.
    pub text: String,
    /// Which person, or the plan; none where it followed from what was decided before.
    pub by: Option<String>,
    /// The numbers that it went by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Value>,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It began, was copied, ended.
    Life,
    /// A share of the clients changed sides.
    Share,
    /// The writes did, or were to.
    Handover,
    /// Both sides were compared.
    Verify,
    /// A step was passed, approved or stopped; a person ordered something.
    Decision,
}

/// What a moment says: its kind, the sentence, who, and the numbers.
struct Telling(Kind, String, Option<String>, Vec<Value>);

impl Moment {
    /// What a row of the journal tells by itself; none where it is a detail of something
    /// larger. [`MomentReader`] knows more of who wanted it.
    pub fn read(entry: &JournalEntry) -> Option<Self> {
        Self::of(entry, entry.recorded().as_ref())
    }

    /// What a row tells; none where it is a detail of something larger.
    pub(crate) fn of(entry: &JournalEntry, recorded: Option<&RecordedEvent>) -> Option<Self> {
        let Telling(kind, text, by, evidence) = match recorded {
            Some(RecordedEvent::Replication(event)) => life(event)?,
            Some(RecordedEvent::SharedData(event)) => shared(event),
            Some(RecordedEvent::Rollout(event)) => steps(event)?,
            Some(RecordedEvent::Order(event)) => order(event)?,
            Some(RecordedEvent::Report(event)) => report(event)?,
            Some(RecordedEvent::Checklist(event)) => item(event),
            Some(RecordedEvent::BrownOut(event)) => brown_out(event),
            None => other(&serde_json::from_str(entry.event.get()).unwrap_or_default()),
        };
        Some(Self {
            seq: entry.seq,
            at_ms: entry.at_ms,
            extraction: entry.extraction.clone(),
            kind,
            text,
            by,
            evidence,
        })
    }
}

fn telling(kind: Kind, text: impl Into<String>) -> Telling {
    Telling(kind, text.into(), None, Vec::new())
}

/// The word for a hand-over away from this side.
pub(crate) fn handover_word(from: Side) -> &'static str {
    match from {
        Side::Monolith => "switch",
        Side::Service => "rollback",
    }
}

fn life(event: &Life) -> Option<Telling> {
    Some(match event {
        Life::Started { .. } => telling(Kind::Life, "It began."),
        Life::Prepared => telling(Kind::Life, "Both databases were prepared."),
        Life::Copied => telling(Kind::Life, "The first copy was complete."),
        Life::Verified { result } => telling(
            Kind::Verify,
            match result {
                Verified::Agreed(_) => "Both sides were compared, and no row differed.",
                Verified::Differed => "Both sides were compared, and rows differed.",
                Verified::Never => "An earlier comparison counts no more.",
            },
        ),
        Life::ReadsShifted { reads } => telling(
            Kind::Share,
            format!("{reads} of the clients read from the service."),
        ),
        Life::HandoverBegan { epoch, from, .. } => telling(
            Kind::Handover,
            format!("A {} began, as decision {epoch}.", handover_word(*from)),
        ),
        Life::RehearsalBegan { epoch, from, .. } => telling(
            Kind::Handover,
            format!(
                "The rehearsal of a {} began, as decision {epoch}.",
                handover_word(*from)
            ),
        ),
        Life::HandoverEnded {
            outcome: Outcome::Committed,
            ..
        } => telling(Kind::Handover, "It was committed."),
        Life::HandoverEnded { reason: None, .. } => telling(
            Kind::Handover,
            "It got as far as the commit point and was undone there, as planned.",
        ),
        Life::HandoverEnded {
            reason: Some(reason),
            ..
        } => telling(
            Kind::Handover,
            format!("It was aborted, and nothing had changed: {reason}"),
        ),
        Life::Cancelled => telling(Kind::Life, "It was cancelled: nothing of it stayed."),
        Life::Finished => telling(Kind::Life, "It was finished: the service keeps the data."),
        Life::Rebuilt { .. } => telling(
            Kind::Life,
            "The journal was lost, and made again from the databases.",
        ),
        Life::HandoverStepped { .. } | Life::CancelBegan | Life::FinishBegan => return None,
    })
}

fn shared(event: &Shared) -> Telling {
    match event {
        Shared::Started { .. } => telling(Kind::Life, "It began, with data that both sides share."),
        Shared::SharesSet { reads, writes, .. } => telling(
            Kind::Share,
            format!("{reads} of the clients read from the service, and {writes} write there."),
        ),
        Shared::Cancelled { .. } => telling(Kind::Life, "It was cancelled."),
    }
}

fn steps(event: &Steps) -> Option<Telling> {
    Some(match event {
        Steps::Began { steps, .. } => Telling(
            Kind::Decision,
            format!("The {} steps of the plan began.", steps.len()),
            Some("the plan".to_owned()),
            Vec::new(),
        ),
        Steps::PlanRead { .. } => telling(
            Kind::Decision,
            "From here on the steps go by a plan with another text.",
        ),
        Steps::StepsChanged { first, .. } => telling(
            Kind::Decision,
            format!(
                "A reload of the plan brought other steps, from step {} on.",
                first + 1
            ),
        ),
        Steps::Permitted { step, evidence, .. } => Telling(
            Kind::Decision,
            format!("Step {} might begin, and was asked for.", step + 1),
            Some("the plan".to_owned()),
            evidence.clone(),
        ),
        Steps::Entered { step, .. } => {
            telling(Kind::Decision, format!("Step {} was reached.", step + 1))
        }
        Steps::Passed { step, evidence } => Telling(
            Kind::Decision,
            format!("Step {} was passed.", step + 1),
            Some("the plan".to_owned()),
            evidence.clone(),
        ),
        Steps::Ended => telling(Kind::Decision, "All steps of the plan were done."),
        Steps::Stopped { why, undo } => {
            let by = match why {
                StopReason::Person { by, .. } => Some(by.to_string()),
                // The order before it says who.
                StopReason::Changed { .. } => None,
                _ => Some("the plan".to_owned()),
            };
            let undo = undo.map(|undo| format!("; due: {undo}"));
            let text = format!("The steps stopped: {why}{}.", undo.unwrap_or_default());
            Telling(Kind::Decision, text, by, Vec::new())
        }
        Steps::Evidence { evidence } => Telling(
            Kind::Decision,
            "What the gates found.".to_owned(),
            None,
            evidence.clone(),
        ),
        Steps::Undone { undo } => telling(Kind::Decision, format!("Taken back by {undo}.")),
        Steps::Resumed { step, by, .. } => Telling(
            Kind::Decision,
            format!("The steps went on with step {}.", step + 1),
            Some(by.to_string()),
            Vec::new(),
        ),
        Steps::Approved { step, by, note } => {
            let note = if note.is_empty() {
                ".".to_owned()
            } else {
                format!(": {note}")
            };
            let text = format!("Step {} was approved{note}", step + 1);
            Telling(Kind::Decision, text, Some(by.to_string()), Vec::new())
        }
        Steps::ApprovalLapsed { step } => telling(
            Kind::Decision,
            format!(
                "Step {} is to be approved again: a restart brought another plan.",
                step + 1
            ),
        ),
        Steps::Forgotten => return None,
    })
}

/// What a person ordered, and what came of it where that is not told by itself.
fn order(event: &OrderEvent) -> Option<Telling> {
    let (text, by) = match event {
        OrderEvent::Ordered {
            by,
            verb,
            parameters,
            ..
        } => {
            let with = values(parameters);
            (
                format!("Ordered: {verb}{with}."),
                Some(orderer(by.as_ref())),
            )
        }
        OrderEvent::Ended { outcome, .. } => {
            let text = match outcome {
                OrderOutcome::Done { result } if result.is_empty() => return None,
                OrderOutcome::Done { result } => format!("The order was done:{}.", values(result)),
                OrderOutcome::Refused { why } => format!("The order was refused: {why}"),
                OrderOutcome::Failed { why } => format!("The order failed: {why}"),
            };
            (text, None)
        }
    };
    Some(Telling(Kind::Decision, text, by, Vec::new()))
}

fn orderer(by: Option<&Actor>) -> String {
    match by {
        Some(by @ Actor::Person(_)) => format!("{by} (not proven)"),
        Some(by) => by.to_string(),
        None => "somebody with the token".to_owned(),
    }
}

/// Reads entries in order, and knows who ordered what the later ones speak of.
#[derive(Debug, Default)]
pub struct MomentReader {
    /// By extraction, who gave the last order that changes where requests go, and which.
    ordered: BTreeMap<String, String>,
}

impl MomentReader {
    /// What the next entry tells; none where it is a detail of something larger.
    pub fn read(&mut self, entry: &JournalEntry) -> Option<Moment> {
        self.of(entry, entry.recorded().as_ref())
    }

    pub(crate) fn of(
        &mut self,
        entry: &JournalEntry,
        recorded: Option<&RecordedEvent>,
    ) -> Option<Moment> {
        let mut moment = Moment::of(entry, recorded)?;
        match recorded {
            Some(RecordedEvent::Order(OrderEvent::Ordered { by, verb, .. }))
                if changes_sides(verb) =>
            {
                let order = format!("{} ({verb})", orderer(by.as_ref()));
                self.ordered.insert(entry.extraction.clone(), order);
            }
            Some(RecordedEvent::Rollout(Steps::Stopped {
                why: StopReason::Changed { .. },
                ..
            })) => moment.by = self.ordered.get(&entry.extraction).cloned(),
            _ => {}
        }
        Some(moment)
    }
}

/// Whether an order has requests go to another side.
pub(crate) fn changes_sides(verb: &str) -> bool {
    matches!(verb, "shift" | "withdraw" | "switch" | "rollback")
}

fn values(named: &Map<String, Value>) -> String {
    let mut text = String::new();
    // How it stood when it was decided on is for who reads the journal.
    let told = named.iter().filter(|(_, value)| !value.is_object());
    for (with_unit, value) in told {
        let name = with_unit.strip_suffix("_ms").unwrap_or(with_unit);
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Array(all) if all.iter().all(Value::is_string) => {
                let all: Vec<_> = all.iter().filter_map(Value::as_str).collect();
                all.join(", ")
            }
            _ if name.len() < with_unit.len() => time(value),
            value => value.to_string(),
        };
        let part = if value == "true" {
            format!(" {name}")
        } else {
            format!(" {name} {value}")
        };
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&part);
    }
    text
}

/// Milliseconds as a length of time, as the plan writes it, or as a moment.
fn time(millis: &Value) -> String {
    match millis.as_i64() {
        Some(at @ SINCE_1970_MIN..) => minute(at),
        Some(length @ 0..) => Length(Duration::from_millis(length.unsigned_abs())).to_string(),
        _ => millis.to_string(),
    }
}

/// A hand-over has said its outcome by itself; here is what it held.
fn report(event: &ReportEvent) -> Option<Telling> {
    let ReportEvent::Reported { of, report } = event;
    if of == "verify" {
        let number = |key: &str| report.get(key).and_then(Value::as_f64);
        let (rows, differences) = (number("rows")?, number("differences")?);
        let text = format!("{rows} rows were compared, {differences} differed.");
        return Some(telling(Kind::Verify, text));
    }
    let last: HandoverStatus = serde_json::from_value(report.clone()).ok()?;
    let total = last.total_ms;
    let text = match last.pause() {
        Some(pause @ Pause::Measured(_)) => format!(
            "It paused writes for {pause} and held {} requests, for {:.0} ms at most; it took \
             {total:.0} ms in all.",
            last.hold.held_requests, last.hold.hold_ms_max,
        ),
        Some(pause @ Pause::AtMost(_)) => format!(
            "It paused writes for {pause}: the process ended in it. It took {total:.0} ms from \
             the restart on."
        ),
        Some(Pause::Never) | None => {
            format!("It paused no write; it took {total:.0} ms in all.")
        }
    };
    Some(telling(Kind::Handover, text))
}

fn item(event: &Item) -> Telling {
    match event {
        Item::Checked {
            item, result, text, ..
        } => telling(
            Kind::Decision,
            match result {
                CheckResult::Passed => format!("`{item}` was checked and passed: {text}."),
                CheckResult::Failed => format!("`{item}` was checked and failed: {text}."),
                CheckResult::Skipped => format!("`{item}` could not be checked: {text}."),
            },
        ),
        Item::Attested { item, by, note, .. } => Telling(
            Kind::Decision,
            format!("`{item}` was attested: {note}"),
            Some(by.to_string()),
            Vec::new(),
        ),
    }
}

fn brown_out(event: &BrownOut) -> Telling {
    let (text, by) = match event {
        BrownOut::Began {
            until, sunset, by, ..
        } => {
            let (until, sunset) = (minute(until.0), minute(sunset.0));
            let text = format!(
                "The old ways are refused until {until}, and clients told that they go on {sunset}."
            );
            (text, Some(by.to_string()))
        }
        BrownOut::Ended { why } => match why {
            Ending::Time => ("The brown-out was over.".to_owned(), None),
            Ending::Person(by) => ("The brown-out was ended.".to_owned(), Some(by.to_string())),
            Ending::Owner => {
                let text = "The brown-out ended, since the service did not get all requests.";
                (text.to_owned(), None)
            }
        },
    };
    Telling(Kind::Decision, text, by, Vec::new())
}

/// An event of another kind says its own name, and who, where it has that.
fn other(event: &Value) -> Telling {
    let word = |key: &str| event.get(key).and_then(Value::as_str);
    let name = word("event").unwrap_or("something").replace('-', " ");
    let what = ["verb", "item", "note", "outcome"]
        .into_iter()
        .filter_map(word)
        .filter(|text| !text.is_empty());
    let mut text = name;
    for part in what {
        text.push_str(": ");
        text.push_str(part);
    }
    Telling(
        Kind::Decision,
        text,
        word("by").map(str::to_owned),
        Vec::new(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, value::to_raw_value};

    fn entry(seq: i64, event: &Value) -> JournalEntry {
        JournalEntry {
            seq,
            at_ms: 0,
            extraction: "contracts".to_owned(),
            version: 1,
            event: to_raw_value(event).unwrap(),
            hash: String::new(),
        }
    }

    fn text(event: &Value) -> String {
        Moment::read(&entry(1, event)).unwrap().text
    }

    #[test]
    fn lengths_and_moments_are_told_as_such() {
        let ordered = json!({ "event": "ordered", "by": null, "verb": "brown-out", "plan": "p",
            "parameters": { "for_ms": 600_000, "sunset_ms": 1_796_090_000_000_i64,
                "tables": ["a", "b"], "yes": true } });
        assert_eq!(
            text(&ordered),
            "Ordered: brown-out for 10m, sunset 2026-12-01 01:53 UTC, tables a, b, yes."
        );
    }

    /// While it is looked whether all is ready, nobody waits.
    #[test]
    fn a_hand_over_tells_the_pause_of_writes() {
        let of = |steps: Value| {
            text(&json!({ "event": "reported", "of": "handover", "report": {
                "kind": "switch", "outcome": "committed", "reason": null, "epoch": 1,
                "total_ms": 812.0, "held_requests": 3, "hold_ms_p50": 2.0, "hold_ms_max": 7.0,
                "steps": steps } }))
        };
        let ready = json!({ "name": "ready", "ms": 770.0 });
        let [hold, fence] =
            [("hold", 2.0), ("fence", 39.0)].map(|(name, ms)| json!({ "name": name, "ms": ms }));
        assert_eq!(
            of(json!([ready, hold, fence])),
            "It paused writes for 41 ms and held 3 requests, for 7 ms at most; it took 812 ms in all."
        );
        assert_eq!(
            of(json!([ready])),
            "It paused no write; it took 812 ms in all."
        );
        let cut = text(&json!({ "event": "reported", "of": "handover", "report": {
            "kind": "switch", "outcome": "aborted", "reason": "the conductor was restarted",
            "epoch": 1, "total_ms": 191.0, "held_requests": 0, "hold_ms_p50": 0.0,
            "hold_ms_max": 0.0, "pause_ms_max": 1404.0,
            "steps": [{ "name": "abort", "ms": 190.0 }] } }));
        assert_eq!(
            cut,
            "It paused writes for 1404 ms at most: the process ended in it. It took 191 ms from \
             the restart on."
        );
    }

    #[test]
    fn a_stop_for_what_a_person_did_names_the_person() {
        let ordered = json!({ "event": "ordered", "by": { "key-holder": "ole" },
            "verb": "withdraw", "parameters": {}, "plan": "p" });
        let noted = json!({ "event": "ordered", "by": { "key-holder": "ada" },
            "verb": "attest", "parameters": {}, "plan": "p" });
        let stopped = json!({ "event": "rollout-stopped", "undo": null,
            "why": { "because": "changed", "what": "not by the plan" } });
        let by = |events: &[&Value]| {
            let mut reader = MomentReader::default();
            let moments = (1..)
                .zip(events)
                .filter_map(|(seq, event)| reader.read(&entry(seq, event)));
            moments.last().unwrap().by
        };
        assert_eq!(
            by(&[&ordered, &noted, &stopped]).as_deref(),
            Some("ole (withdraw)")
        );
        assert_eq!(by(&[&stopped]), None);
    }
}
