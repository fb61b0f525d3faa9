//! Why the steps of an extraction have stopped, in three sentences that mostly fit a line
//! of 80 columns each.

use crate::{
    clock::{length, second},
    moment::changes_sides,
};
use conductor::{
    JournalEntry, OrderEvent, RecordedEvent,
    status::{ExtractionStatus, NextVerb},
};
use protocol::{
    Side,
    lifecycle::Event as Life,
    owner::Outcome,
    rollout::{Actor, Event as Steps, StopReason},
    shared_data::Event as Shared,
};
use serde_json::Value;

/// So much of a plan's digest tells it from others.
const DIGEST_CHARS: usize = 12;

/// What stopped the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// What happened, to which share, who decided it, and when.
    pub happened: String,
    /// By which numbers, or in whose words.
    pub evidence: String,
    /// The plan that was gone by, the step, and the command that is wanted.
    pub next: String,
}

impl Stop {
    /// Of an extraction whose steps have stopped. `entries`: its last ones of the journal, in
    /// order. None where the steps have not stopped, or where earlier entries are needed.
    pub fn of(one: &ExtractionStatus, entries: &[JournalEntry]) -> Option<Self> {
        let rollout = one.rollout.as_ref()?;
        if rollout.state != "stopped" {
            return None;
        }
        let mut seen = EntriesRead::default();
        for entry in entries.iter().filter(|entry| entry.extraction == one.name) {
            if let Some(event) = entry.recorded() {
                seen.add(event, entry.at_ms);
            }
        }
        let found = seen.found?;
        let plan: String = found.plan?.chars().take(DIGEST_CHARS).collect();
        let due = if rollout.undo_is_due {
            ", to be taken back"
        } else {
            ""
        };
        let step = rollout.step.unwrap_or_default();
        Some(Self {
            happened: format!(
                "{} stopped {} UTC {}: {}{due}",
                one.name,
                second(found.at_ms),
                giver(&found.why, found.ordered.as_ref()),
                course(&found.before, &found.after)
            ),
            evidence: match (&found.why, &rollout.why) {
                // What was changed may be otherwise by now: the status knows.
                (StopReason::Changed { .. }, Some(why)) => why.clone(),
                (why, _) => evidence(why, &found.evidence),
            },
            next: format!(
                "plan {plan}, step {step} of {}; next: {}",
                rollout.steps.len(),
                wanted(one, &found.why)
            ),
        })
    }
}

/// Who has what.
#[derive(Debug, Clone, Copy)]
struct Place {
    owner: Side,
    /// In percent; none where no entry says it.
    reads: Option<f64>,
}

/// The last stop.
struct LastStop {
    why: StopReason,
    at_ms: i64,
    evidence: Vec<Value>,
    /// The plan's digest.
    plan: Option<String>,
    /// What a person ordered last before.
    ordered: Option<(Actor, String)>,
    before: Place,
    /// Where it was taken back, once it was.
    after: Place,
}

/// What the entries up to some one say.
struct EntriesRead {
    found: Option<LastStop>,
    /// Before the last change, and now.
    places: (Place, Place),
    /// From which side a hand-over goes.
    from: Option<Side>,
    evidence: Vec<Value>,
    plan: Option<String>,
    ordered: Option<(Actor, String)>,
}

impl Default for EntriesRead {
    fn default() -> Self {
        let nowhere = Place {
            owner: Side::Monolith,
            reads: None,
        };
        Self {
            found: None,
            places: (nowhere, nowhere),
            from: None,
            evidence: Vec::new(),
            plan: None,
            ordered: None,
        }
    }
}

impl EntriesRead {
    fn add(&mut self, event: RecordedEvent, at_ms: i64) {
        match event {
            RecordedEvent::Rollout(event) => self.add_step(event, at_ms),
            RecordedEvent::Order(OrderEvent::Ordered { by, verb, plan, .. }) => {
                self.plan = Some(plan);
                let by = by.unwrap_or_else(|| Actor::Person("somebody with the token".to_owned()));
                if changes_sides(&verb) {
                    self.ordered = Some((by, verb));
                }
            }
            RecordedEvent::Replication(Life::ReadsShifted { reads })
            | RecordedEvent::SharedData(Shared::SharesSet { reads, .. }) => {
                let owner = self.places.1.owner;
                let reads = Some(reads.percent());
                self.go_to(Place { owner, reads });
            }
            RecordedEvent::Replication(Life::HandoverBegan { from, .. }) => self.from = Some(from),
            RecordedEvent::Replication(Life::HandoverEnded { outcome, .. }) => {
                if let (Some(from), Outcome::Committed) = (self.from.take(), outcome) {
                    let owner = from.other();
                    let reads = self.places.1.reads;
                    self.go_to(Place { owner, reads });
                }
            }
            _ => {}
        }
    }

    fn go_to(&mut self, place: Place) {
        self.places = (self.places.1, place);
    }

    fn add_step(&mut self, event: Steps, at_ms: i64) {
        match event {
            Steps::Began { plan, .. }
            | Steps::PlanRead { plan }
            | Steps::StepsChanged { plan, .. }
            | Steps::Permitted { plan, .. } => self.plan = Some(plan),
            Steps::Evidence { evidence } => self.evidence = evidence,
            Steps::Stopped { why, .. } => {
                let (earlier, now) = self.places;
                let is_changed = matches!(why, StopReason::Changed { .. });
                self.found = Some(LastStop {
                    evidence: std::mem::take(&mut self.evidence),
                    plan: self.plan.clone(),
                    ordered: self.ordered.clone(),
                    before: if is_changed { earlier } else { now },
                    after: now,
                    at_ms,
                    why,
                });
            }
            Steps::Undone { .. } => {
                let now = self.places.1;
                if let Some(found) = &mut self.found {
                    found.after = now;
                }
            }
            Steps::Resumed { .. } | Steps::Forgotten => self.found = None,
            _ => {}
        }
    }
}

/// From where to where it went.
fn course(before: &Place, after: &Place) -> String {
    let reads = |place: &Place| place.reads.map(|reads| format!("{reads}%"));
    match (before.owner, after.owner, reads(before), reads(after)) {
        (Side::Service, Side::Service, ..) => "after the switch".to_owned(),
        (Side::Service, Side::Monolith, _, Some(share)) if after.reads > Some(0.0) => {
            format!("writes taken back, reads {share}")
        }
        (Side::Service, Side::Monolith, ..) => "all taken back".to_owned(),
        (Side::Monolith, Side::Service, ..) => "switched".to_owned(),
        (_, _, Some(from), Some(to)) if from != to => format!("reads {from} to {to}"),
        (_, _, _, Some(to)) => format!("reads {to}"),
        (_, _, _, None) => "before the first shift".to_owned(),
    }
}

/// Who stopped it, or did what it stopped for.
fn giver(why: &StopReason, ordered: Option<&(Actor, String)>) -> String {
    match (why, ordered) {
        (StopReason::Gate { gate, .. }, _) => format!("by gate {gate}"),
        (StopReason::Person { by, .. }, _) => format!("by {by}"),
        (StopReason::Changed { .. }, Some((by, verb))) => format!("by {by} ({verb})"),
        (StopReason::Changed { .. }, None) => "not by the plan".to_owned(),
        (StopReason::Failed { .. }, _) => "by banyan".to_owned(),
        (StopReason::PlanChanged { .. }, _) => "by another plan".to_owned(),
    }
}

fn evidence(why: &StopReason, all: &[Value]) -> String {
    match why {
        StopReason::Gate { gate, found } => {
            let of_gate = numbers_of(gate, all);
            of_gate.unwrap_or_else(|| found.clone())
        }
        StopReason::Person { note, .. } if note.is_empty() => "no reason was given".to_owned(),
        StopReason::Person { note, .. } => format!("in their words: {note}"),
        why => why.to_string(),
    }
}

/// What a gate that compares requests went by, short: numbers, limit, window and test.
fn numbers_of(gate: &str, all: &[Value]) -> Option<String> {
    // One with two conditions has evidence of both.
    let flat = all.iter().flat_map(|one| match one {
        Value::Array(both) => both.as_slice(),
        one => std::slice::from_ref(one),
    });
    let has_failed = |one: &&Value| one["gate"] == gate && one["found"]["verdict"] == "fail";
    let failed = flat.into_iter().find(has_failed)?;
    let (condition, grounds) = (&failed["condition"], &failed["found"]["grounds"]);
    let share = |side: &Value| {
        let (events, requests) = (side["events"].as_f64()?, side["requests"].as_u64()?);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let percent = 100.0 * events / requests.max(1) as f64;
        Some(format!("{percent:.2}% of {requests}"))
    };
    let limit = condition["max"]["secs"].as_i64();
    let nanos = condition["max"]["nanos"].as_i64().unwrap_or_default();
    let limit = limit.map(|seconds| length(seconds * 1000 + nanos / 1_000_000));
    let did = match limit {
        _ if gate == "error-rate" => "failed".to_owned(),
        Some(limit) => format!("took more than {limit}"),
        None => "were slow".to_owned(),
    };
    let allowed = condition["allowed"].as_f64();
    let allowed = allowed.map_or_else(String::new, |more| format!(" (+{:.0}% may)", more * 100.0));
    let threshold = grounds["threshold"].as_f64()?;
    let service = &grounds["service"];
    let (seen, test) = match grounds["test"].as_str()? {
        "one-proportion" => (
            format!("{} {did}, {:.2}% may,", share(service)?, 100.0 * threshold),
            "one proportion",
        ),
        "two-proportions" => (
            format!(
                "{} {did}, monolith {}{allowed}",
                share(service)?,
                share(&grounds["monolith"])?
            ),
            "two proportions",
        ),
        "mann-whitney" => (
            format!(
                "slower with probability {:.2} of {} requests, {threshold:.2} may,",
                grounds["estimate"].as_f64()?,
                service["requests"]
            ),
            "Mann-Whitney",
        ),
        _ => return None,
    };
    let window = match (grounds["from"].as_i64(), grounds["to"].as_i64()) {
        (Some(from), Some(to)) => format!(" in {}", length(to - from)),
        _ => String::new(),
    };
    Some(format!("{seen}{window}; {test}"))
}

/// What a person is to type.
fn wanted(one: &ExtractionStatus, why: &StopReason) -> String {
    let name = &one.name;
    let resume = match &one.asks {
        Some(NextVerb::Resume { step: Some(step) }) => {
            format!("`banyan resume {name} --step {step}`")
        }
        Some(NextVerb::Resume { step: None }) => format!("`banyan resume {name}`"),
        _ => return one.next.clone(),
    };
    let is_switched = one.owner == Side::Service.as_str();
    match why {
        // Going on with what harms is not the first thing to think of.
        StopReason::Gate { .. } if is_switched => {
            format!("`banyan rollback {name}`; mended, {resume}")
        }
        _ if one.left_readers => format!("`banyan withdraw {name}`, {resume}"),
        _ => resume,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::{outlook, status::RolloutStatus};
    use serde_json::{json, value::to_raw_value};

    const AT: i64 = 1_796_090_000_000;

    fn entries(events: &[Value]) -> Vec<JournalEntry> {
        let began = json!({ "event": "rollout-began", "steps": ["reads 50%", "switch"],
            "plan": "3f9a1c2b4d5e6f708192" });
        let shifted = json!({ "event": "reads-shifted", "reads": 5000 });
        let events = [began, shifted].into_iter().chain(events.iter().cloned());
        (1..)
            .zip(events)
            .map(|(seq, event)| JournalEntry {
                seq,
                at_ms: AT + seq * 1000,
                extraction: "contracts".to_owned(),
                version: 1,
                event: to_raw_value(&event).unwrap(),
                hash: String::new(),
            })
            .collect()
    }

    fn stopped(reads_percent: f64) -> ExtractionStatus {
        outlook::with(ExtractionStatus {
            name: "contracts".to_owned(),
            phase: "following".to_owned(),
            owner: "monolith".to_owned(),
            reads_percent,
            rollout: Some(RolloutStatus {
                state: "stopped".to_owned(),
                step: Some(1),
                steps: vec!["reads 50%".to_owned(), "switch".to_owned()],
                asks: Some(NextVerb::Resume { step: None }),
                ..RolloutStatus::default()
            }),
            ..ExtractionStatus::default()
        })
    }

    fn lines(one: &ExtractionStatus, events: &[Value]) -> [String; 3] {
        let stop = Stop::of(one, &entries(events)).unwrap();
        [stop.happened, stop.evidence, stop.next]
    }

    fn by_gate(gate: &str, condition: &Value, test: &str, threshold: f64) -> [Value; 2] {
        let grounds = json!({ "test": test, "from": AT, "to": AT + 20_000,
            "service": { "requests": 188, "events": 119.0 },
            "monolith": { "requests": 2000, "events": 2.0 },
            "estimate": 0.634, "threshold": threshold });
        let other = json!({ "gate": "requests", "have": 7 });
        let own = json!([{ "gate": gate, "found": { "verdict": "pass", "grounds": [] } },
            { "gate": gate, "condition": condition,
                "found": { "verdict": "fail", "grounds": grounds } }]);
        [
            json!({ "event": "rollout-evidence", "evidence": [other, own] }),
            json!({ "event": "rollout-stopped", "undo": "withdraw",
                "why": { "because": "gate", "gate": gate, "found": "as it found" } }),
        ]
    }

    #[test]
    fn a_gate_is_told_in_three_lines_with_its_numbers_and_what_was_taken_back() {
        let undone = [
            json!({ "event": "reads-shifted", "reads": 0 }),
            json!({ "event": "step-undone", "undo": "withdraw" }),
        ];
        let versus = json!({ "condition": "errors-versus-monolith", "allowed": 0.1 });
        let stop = by_gate("error-rate", &versus, "two-proportions", 1.1);
        let told = lines(&stopped(0.0), &[stop, undone].concat());
        let wanted = [
            "contracts stopped 2026-12-01 01:53:24 UTC by gate error-rate: reads 50% to 0%",
            "63.30% of 188 failed, monolith 0.10% of 2000 (+10% may) in 20 s; two proportions",
            "plan 3f9a1c2b4d5e, step 1 of 2; next: `banyan resume contracts`",
        ];
        assert_eq!(told, wanted);
        assert!(told.iter().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn each_test_says_its_numbers() {
        let max = json!({ "condition": "latency-at-most", "quantile": 0.95,
            "max": { "secs": 0, "nanos": 250_000_000 } });
        let versus = json!({ "condition": "latency-versus-monolith", "allowed": 0.2 });
        for (gate, condition, test, threshold, wanted) in [
            (
                "p95",
                &max,
                "one-proportion",
                0.05,
                "63.30% of 188 took more than 250 ms, 5.00% may, in 20 s; one proportion",
            ),
            (
                "p95",
                &versus,
                "mann-whitney",
                0.55,
                "slower with probability 0.63 of 188 requests, 0.55 may, in 20 s; Mann-Whitney",
            ),
            ("prometheus", &versus, "readings", 1.0, "as it found"),
        ] {
            let [_, evidence, _] =
                lines(&stopped(50.0), &by_gate(gate, condition, test, threshold));
            assert_eq!(evidence, wanted);
        }
    }

    #[test]
    fn a_person_is_named_who_stopped_it_or_did_otherwise() {
        let paused = json!({ "event": "rollout-stopped", "undo": null,
            "why": { "because": "person", "by": { "key-holder": "ada" }, "note": "lunch" } });
        let [happened, evidence, _] = lines(&stopped(50.0), &[paused]);
        assert!(happened.ends_with("UTC by ada: reads 50%"), "{happened}");
        assert_eq!(evidence, "in their words: lunch");
        let by_hand = [
            json!({ "event": "ordered", "by": { "key-holder": "ole" }, "verb": "withdraw",
                "parameters": {}, "plan": "77778888999900001111" }),
            json!({ "event": "reads-shifted", "reads": 0 }),
            json!({ "event": "rollout-stopped", "undo": null,
                "why": { "because": "changed", "what": "taken back: not by the plan" } }),
        ];
        let [happened, evidence, next] = lines(&stopped(0.0), &by_hand);
        assert!(
            happened.ends_with("by ole (withdraw): reads 50% to 0%"),
            "{happened}"
        );
        assert_eq!(evidence, "taken back: not by the plan");
        assert!(next.starts_with("plan 777788889999, "), "{next}");
    }

    #[test]
    fn a_rollback_and_the_readers_that_it_left_are_told() {
        let nonce = "00000000-0000-0000-0000-000000000001";
        let began = |from: &str| json!({ "event": "handover-began", "epoch": 1, "from": from, "nonce": nonce });
        let ended = json!({ "event": "handover-ended", "outcome": "committed", "reason": null });
        let [found, stop] = by_gate("error-rate", &Value::Null, "one-proportion", 0.05);
        let undone = json!({ "event": "step-undone", "undo": "roll-back" });
        let events = [
            began("monolith"),
            ended.clone(),
            found,
            stop,
            began("service"),
            ended,
            undone,
        ];
        let mut one = stopped(50.0);
        one.left_readers = true;
        let [happened, _, next] = lines(&one, &events);
        assert!(
            happened.ends_with(": writes taken back, reads 50%"),
            "{happened}"
        );
        assert!(
            next.ends_with("`banyan withdraw contracts`, `banyan resume contracts`"),
            "{next}"
        );
        let switched = ExtractionStatus {
            owner: "service".to_owned(),
            left_readers: false,
            ..one.clone()
        };
        let [happened, _, next] = lines(&switched, &events[..4]);
        assert!(happened.ends_with(": after the switch"), "{happened}");
        // The way back is named before the way on.
        assert!(
            next.ends_with("next: `banyan rollback contracts`; mended, `banyan resume contracts`"),
            "{next}"
        );
        // After a rollback and another switch by hand, the status says that it is so again.
        let what = "the service does not own the data any more";
        let changed = json!({ "event": "rollout-stopped", "undo": null,
            "why": { "because": "changed", "what": what } });
        let mut again = switched.clone();
        let now = format!("{what}; now it is as the step wants");
        again.rollout.as_mut().unwrap().why = Some(now.clone());
        let [_, evidence, _] = lines(&again, &[changed]);
        assert_eq!(evidence, now);
        assert!(evidence.len() <= 80);
        // What has gone on has no stop to tell.
        let resumed = json!({ "event": "rollout-resumed", "step": 0, "by": "plan", "steps": [] });
        assert_eq!(
            Stop::of(&one, &entries(&[events[3].clone(), resumed])),
            None
        );
    }
}
