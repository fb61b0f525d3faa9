//! Something that happened, in a sentence.

use crate::clock::minute;
use conductor::{JournalEntry, OrderEvent, OrderOutcome, RecordedEvent, ReportEvent};
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
    /// What a row of the journal tells; none where it is a detail of something larger.
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
                StopReason::Person { by, .. } => by.to_string(),
                _ => "the plan".to_owned(),
            };
            let undo = undo.map(|undo| format!("; due: {undo}"));
            let text = format!("The steps stopped: {why}{}.", undo.unwrap_or_default());
            Telling(Kind::Decision, text, Some(by), Vec::new())
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
            let by = match by {
                Some(by @ Actor::Person(_)) => format!("{by} (not proven)"),
                Some(by) => by.to_string(),
                None => "somebody with the token".to_owned(),
            };
            (format!("Ordered: {verb}{with}."), Some(by))
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

fn values(named: &Map<String, Value>) -> String {
    let mut text = String::new();
    // How it stood when it was decided on is for who reads the journal.
    let told = named.iter().filter(|(_, value)| !value.is_object());
    for (name, value) in told {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
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

/// A hand-over has said its outcome by itself; here is what it held.
fn report(event: &ReportEvent) -> Option<Telling> {
    let ReportEvent::Reported { of, report } = event;
    let number = |key: &str| report.get(key).and_then(Value::as_f64);
    Some(match of.as_str() {
        "verify" => telling(
            Kind::Verify,
            format!(
                "{} rows were compared, {} differed.",
                number("rows")?,
                number("differences")?
            ),
        ),
        _ => telling(
            Kind::Handover,
            format!(
                "It took {:.0} ms and held {} requests, for {:.0} ms at most.",
                number("total_ms")?,
                number("held_requests")?,
                number("hold_ms_max")?
            ),
        ),
    })
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
