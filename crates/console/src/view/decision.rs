//! Something that was decided: what it went by, and what it belongs to.

use conductor::JournalEntry;
use report::{Moment, clock};
use serde_json::Value;

/// So far back what the gates found is looked for, before a step is taken back: the stop and
/// the order to do so are written between the two.
const EVIDENCE_BEFORE_UNDO_MAX: usize = 4;

/// What its page shows.
#[derive(Debug)]
pub(crate) struct DecisionView {
    pub(crate) seq: i64,
    pub(crate) at: String,
    pub(crate) text: String,
    pub(crate) by: Option<String>,
    /// The digest of the plan that was in force: kept with it, or with what came before.
    pub(crate) plan: Option<String>,
    /// Of the chain, up to here.
    pub(crate) hash: String,
    /// JSON.
    pub(crate) evidence: Vec<String>,
    pub(crate) related: Vec<Related>,
    /// The entry as it was written, as JSON.
    pub(crate) entry: String,
}

/// An entry that says why, or what came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Related {
    pub(crate) seq: i64,
    pub(crate) what: &'static str,
    pub(crate) text: String,
}

/// The entry of this number. `entries`: those before it, it, and those after it, in order.
/// None where it is not there, or is a detail of something larger.
pub(crate) fn decision(entries: &[JournalEntry], seq: i64) -> Option<DecisionView> {
    let at = entries.iter().position(|one| one.seq == seq)?;
    let (entry, moment) = (&entries[at], Moment::read(&entries[at])?);
    let event = event(entry);
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    Some(DecisionView {
        seq,
        at: clock::minute(entry.at_ms),
        text: moment.text,
        by: moment.by,
        plan: plan(entries, at, &event),
        hash: entry.hash.clone(),
        evidence: moment.evidence.iter().map(pretty).collect(),
        related: related(entries, at, &event),
        entry: pretty(&event),
    })
}

fn event(entry: &JournalEntry) -> Value {
    serde_json::from_str(entry.event.get()).unwrap_or_default()
}

/// Where the steps go by another plan, that is written down before anything that they do.
fn plan(entries: &[JournalEntry], at: usize, event: &Value) -> Option<String> {
    let of = |event: &Value| event["plan"].as_str().map(str::to_owned);
    let is_of_steps = |event: &Value| {
        let name = event["event"].as_str().unwrap_or_default();
        name.starts_with("rollout-") || name.starts_with("step-")
    };
    let own = of(event);
    if own.is_some() || !is_of_steps(event) {
        return own;
    }
    let before = entries[..at].iter().rev().map(self::event);
    // What was before that is another life.
    let mut life = before.take_while(|event| event["event"] != "rollout-forgotten");
    life.find(|event| is_of_steps(event) && of(event).is_some())
        .and_then(|event| of(&event))
}

fn related(entries: &[JournalEntry], at: usize, event: &Value) -> Vec<Related> {
    let entry = &entries[at];
    let of = |what, one: &JournalEntry| {
        Some(Related {
            seq: one.seq,
            what,
            text: Moment::read(one)?.text,
        })
    };
    let before = || entries[..at].iter().rev();
    let is = |name: &'static str| move |one: &&JournalEntry| self::event(one)["event"] == name;
    let found = match event["event"].as_str().unwrap_or_default() {
        "order-ended" => before()
            .find(|one| event["order"] == one.seq)
            .and_then(|one| of("The order", one)),
        "ordered" => entries[at + 1..]
            .iter()
            .find(|one| self::event(one)["order"] == entry.seq)
            .and_then(|one| of("What came of it", one)),
        // Written right before it, or it was not stopped by what the gates found.
        "rollout-stopped" => before()
            .take(1)
            .find(is("rollout-evidence"))
            .and_then(|one| of("By", one)),
        "step-undone" => before()
            .take(EVIDENCE_BEFORE_UNDO_MAX)
            .find(is("rollout-evidence"))
            .and_then(|one| of("By", one)),
        // Nothing let a step begin that is so already.
        "step-entered" => before()
            .take_while(|one| {
                let one = self::event(one);
                one["event"] != "step-passed" && one["event"] != "rollout-resumed"
            })
            .find(is("step-permitted"))
            .and_then(|one| of("By", one)),
        "rollout-evidence" => entries[at + 1..]
            .iter()
            .take(1)
            .find(is("rollout-stopped"))
            .and_then(|one| of("What followed", one)),
        _ => None,
    };
    found.into_iter().collect()
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
            hash: "0af1".to_owned(),
        }
    }

    /// Weeks of decisions follow from one plan that was read.
    #[test]
    fn each_decision_of_the_steps_has_the_plan_that_it_went_by() {
        let began = json!({ "event": "rollout-began", "steps": [], "plan": "first" });
        let permitted = json!({ "event": "step-permitted", "step": 0, "at": 7, "plan": "first",
            "evidence": [{ "gate": "verify", "differences": 0 }] });
        let shifted = json!({ "event": "reads-shifted", "reads": 500 });
        let entered = json!({ "event": "step-entered", "step": 0, "at": 7 });
        let read = json!({ "event": "rollout-plan-read", "plan": "second" });
        let passed = json!({ "event": "step-passed", "step": 0, "evidence": [] });
        let again = json!({ "event": "step-entered", "step": 1, "at": 9 });
        let forgotten = json!({ "event": "rollout-forgotten" });
        let resumed = json!({ "event": "rollout-resumed", "step": 0, "steps": [],
            "by": { "key-holder": "olaf" } });
        let events = [
            &began, &permitted, &shifted, &entered, &read, &passed, &again, &forgotten, &resumed,
        ];
        let entries: Vec<_> = (1..)
            .zip(events)
            .map(|(seq, event)| entry(seq, event))
            .collect();
        let plan = |seq| decision(&entries, seq).unwrap().plan;
        let (first, second) = (Some("first".to_owned()), Some("second".to_owned()));
        // A share is the order's that brought it, or the step's.
        for (seq, wanted) in [
            (1, &first),
            (2, &first),
            (3, &None),
            (4, &first),
            (5, &second),
            (6, &second),
            (7, &second),
            (9, &None),
        ] {
            assert_eq!(&plan(seq), wanted, "{seq}");
        }
        let led = |seq| decision(&entries, seq).unwrap().related;
        let by = led(4);
        assert_eq!((by[0].seq, by[0].what), (2, "By"));
        assert_eq!(decision(&entries, 2).unwrap().evidence.len(), 1);
        // That it was so already is no reason of the step before.
        assert_eq!(led(7), []);
    }

    #[test]
    fn a_decision_leads_to_why_and_to_what_came_of_it() {
        let ordered = json!({ "event": "ordered", "by": { "key-holder": "olaf" },
            "verb": "shift", "parameters": { "reads": "50%" }, "plan": "digest" });
        let refused = json!({ "event": "order-ended", "order": 1,
            "outcome": { "refused": { "why": "the service is not healthy" } } });
        let found = json!({ "event": "rollout-evidence",
            "evidence": [{ "gate": "p99", "have": 7 }] });
        let stopped = json!({ "event": "rollout-stopped", "undo": "withdraw",
            "why": { "because": "gate", "gate": "p99", "found": "212 ms" } });
        let undone = json!({ "event": "step-undone", "undo": "withdraw" });
        let resumed = json!({ "event": "rollout-resumed", "step": 0,
            "by": { "key-holder": "olaf" }, "steps": ["reads 5%"] });
        let paused = json!({ "event": "rollout-stopped", "undo": null,
            "why": { "because": "person", "by": { "key-holder": "olaf" }, "note": "" } });
        let events = [
            &ordered, &refused, &found, &stopped, &undone, &resumed, &paused,
        ];
        let entries: Vec<_> = (1..)
            .zip(events)
            .map(|(seq, event)| entry(seq, event))
            .collect();
        let unknown = entries.iter().find(|one| one.recorded().is_none());
        assert!(unknown.is_none(), "no event of the protocol: {unknown:?}");
        let of = |seq| decision(&entries, seq).unwrap();
        let leads = |seq| {
            let related = of(seq).related.into_iter();
            related.map(|one| (one.seq, one.what)).collect::<Vec<_>>()
        };
        assert_eq!(leads(1), [(2, "What came of it")]);
        assert_eq!(leads(2), [(1, "The order")]);
        assert_eq!(leads(3), [(4, "What followed")]);
        assert_eq!(leads(4), [(3, "By")]);
        let order = of(1);
        assert_eq!(order.plan.as_deref(), Some("digest"));
        assert_eq!(order.by.as_deref(), Some("olaf"));
        assert!(of(2).text.contains("not healthy"), "{:?}", of(2));
        assert_eq!(of(3).evidence.len(), 1);
        assert_eq!(leads(5), [(3, "By")]);
        // A person's pause has no numbers, however soon it comes after those of a gate.
        assert_eq!(leads(7), []);
        assert!(decision(&entries, 9).is_none());
    }
}
