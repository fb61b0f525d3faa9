//! What persons order, and what comes of it. Persisted: never edited; a changed meaning is
//! a new variant.

use protocol::rollout::Actor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Of an order of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum OrderEvent {
    /// Somebody ordered something. Written before any of it is done.
    #[serde(rename = "ordered")]
    Ordered {
        /// Who; a key holder is proven, a person is claimed, `None` is unknown.
        by: Option<Actor>,
        /// What.
        verb: String,
        /// With what, where something was said.
        parameters: Map<String, Value>,
        /// A digest of the text of the plan that was in force.
        plan: String,
    },
    /// That has an end. An order without one was under way when the process ended.
    #[serde(rename = "order-ended")]
    Ended {
        /// The number of the entry that has the order.
        order: i64,
        /// How.
        outcome: OrderOutcome,
    },
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderOutcome {
    /// It was carried out.
    Done {
        /// With what; an empty one has nothing to say.
        result: Map<String, Value>,
    },
    /// It was refused before anything was touched.
    Refused {
        /// Why.
        why: String,
    },
    /// It was tried, and not done.
    Failed {
        /// Why.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Never edited: what these lines say was written by some release.
    const GOLDEN: &str = include_str!("../../tests/golden/order_events.jsonl");

    fn map(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn orders_of_earlier_releases_are_read_as_they_were_written() {
        let ordered = |by, verb: &str, parameters| OrderEvent::Ordered {
            by,
            verb: verb.to_owned(),
            parameters: map(parameters),
            plan: "digest".to_owned(),
        };
        let ended = |outcome| OrderEvent::Ended { order: 7, outcome };
        let written = [
            ordered(None, "start", json!({})),
            ordered(
                Some(Actor::Person("ada".to_owned())),
                "shift",
                json!({ "reads": "5%" }),
            ),
            ordered(
                Some(Actor::KeyHolder("anna".to_owned())),
                "approve",
                json!({ "note": "seen" }),
            ),
            ended(OrderOutcome::Done {
                result: map(json!({})),
            }),
            ended(OrderOutcome::Done {
                result: map(json!({ "rows": 3, "differences": 0 })),
            }),
            ended(OrderOutcome::Refused {
                why: "not now".to_owned(),
            }),
            ended(OrderOutcome::Failed {
                why: "no answer".to_owned(),
            }),
        ];
        let read = |line| serde_json::from_str::<OrderEvent>(line).unwrap();
        assert_eq!(GOLDEN.lines().map(read).collect::<Vec<_>>(), written);
        let lines = written.map(|event| serde_json::to_string(&event).unwrap());
        assert_eq!(lines.join("\n"), GOLDEN.trim_end());
    }
}
