//! By whom the plan's word on a flag was changed last: by the reload that brought it.

use conductor::{JournalEntry, OrderEvent, OrderOutcome, RecordedEvent};
use report::clock;
use std::collections::BTreeMap;

/// A change that a reload of the plan has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanChange {
    pub(crate) at: String,
    pub(crate) by: String,
    /// Of the plan's text, as much as tells two apart.
    pub(crate) digest: String,
}

const DIGEST_SHOWN: usize = 12;

/// The last change of each flag. `entries`: of all extractions at once, in order.
pub(crate) fn plan_changes(entries: &[JournalEntry]) -> BTreeMap<String, PlanChange> {
    let mut givers = BTreeMap::new();
    let mut changes = BTreeMap::new();
    for entry in entries {
        match entry.recorded() {
            Some(RecordedEvent::Order(OrderEvent::Ordered { by, verb, .. }))
                if verb == "reload" =>
            {
                let by = by.map_or_else(|| "nobody named".to_owned(), |by| by.to_string());
                givers.insert(entry.seq, by);
            }
            Some(RecordedEvent::Order(OrderEvent::Ended {
                order,
                outcome: OrderOutcome::Done { result },
            })) => {
                let Some(by) = givers.get(&order) else {
                    continue;
                };
                let digest = result.get("plan").and_then(|plan| plan.as_str());
                let flags = result.get("flags").and_then(|flags| flags.as_array());
                let names = flags.into_iter().flatten().filter_map(|name| name.as_str());
                for name in names {
                    let digest = digest.unwrap_or_default();
                    let change = PlanChange {
                        at: clock::minute(entry.at_ms),
                        by: by.clone(),
                        digest: digest.chars().take(DIGEST_SHOWN).collect(),
                    };
                    changes.insert(name.to_owned(), change);
                }
            }
            _ => {}
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json, value::to_raw_value};

    fn entry(seq: i64, event: &Value) -> JournalEntry {
        JournalEntry {
            seq,
            at_ms: seq * 60_000,
            extraction: "*".to_owned(),
            version: 1,
            event: to_raw_value(event).unwrap(),
            hash: String::new(),
        }
    }

    #[test]
    fn the_last_reload_that_brought_it_says_by_whom() {
        let ordered = |by: &str, verb: &str| {
            json!({ "event": "ordered", "by": { "key-holder": by }, "verb": verb,
                "parameters": {}, "plan": "before" })
        };
        let done = |order: i64, plan: &str, flags: &[&str]| {
            json!({ "event": "order-ended", "order": order, "outcome": { "done": {
                "result": { "plan": plan, "flags": flags } } } })
        };
        let entries = [
            entry(1, &ordered("ada", "reload")),
            entry(2, &done(1, "0123456789abcdef", &["new_contracts", "other"])),
            entry(3, &ordered("olaf", "reload")),
            entry(4, &done(3, "fedcba9876543210", &["new_contracts"])),
            entry(5, &ordered("vera", "halt")),
            entry(6, &done(5, "x", &["other"])),
        ];
        let found = plan_changes(&entries);
        let of = |name: &str| {
            let one = &found[name];
            (one.at.as_str(), one.by.as_str(), one.digest.as_str())
        };
        assert_eq!(
            of("new_contracts"),
            ("1970-01-01 00:04 UTC", "olaf", "fedcba987654")
        );
        assert_eq!(of("other").1, "ada");
        assert_eq!(found.len(), 2);
    }
}
