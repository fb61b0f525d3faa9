//! A gate that compares what both sides answered.

use judge::{Block, Condition, ConditionError, Grounds, Judge, Reading, TestName, Totals};
use protocol::rollout::{Gate, GateKind, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Where the monolith answers no reads any more.
const NO_BASELINE: &str = "the monolith answers no reads any more, and too few were counted before: \
                           give the gate `max`, or begin with a smaller share";

/// One condition of a gate, with what it has seen.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Judged {
    name: String,
    is_dry_run: bool,
    condition: Condition,
    /// `Err`: why it cannot be judged by.
    judge: Result<Judge, String>,
}

impl Judged {
    pub(super) fn new(
        name: &str,
        is_dry_run: bool,
        condition: &Condition,
        judge: Result<Judge, ConditionError>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            is_dry_run,
            condition: condition.clone(),
            judge: judge.map_err(|why| match why {
                ConditionError::NoBaseline => NO_BASELINE.to_owned(),
                why => why.to_string(),
            }),
        }
    }

    /// Whether it compares with what was stored.
    pub(super) fn is_of_baseline(&self) -> bool {
        matches!(
            self.condition,
            Condition::ErrorsVersusBaseline { .. } | Condition::LatencyVersusBaseline { .. }
        )
    }

    /// What the service is compared with.
    fn compared_with(&self) -> &'static str {
        match self.condition {
            Condition::ErrorsAtMost { .. } | Condition::LatencyAtMost { .. } => "a limit",
            Condition::ErrorsVersusMonolith { .. } | Condition::LatencyVersusMonolith { .. } => {
                "the monolith in the same windows"
            }
            Condition::ErrorsVersusBaseline { .. } | Condition::LatencyVersusBaseline { .. } => {
                "what was stored of the monolith"
            }
        }
    }

    pub(super) fn observe(&mut self, reading: &Reading<Block>) {
        if let Ok(judge) = &mut self.judge {
            judge.observe(reading);
        }
    }

    fn gate(&self) -> Gate {
        let (verdict, text, found) = match &self.judge {
            Err(why) => (Verdict::Unknown, why.clone(), json!({ "unusable": why })),
            Ok(judge) => {
                let found = judge.verdict();
                let (verdict, text) = match &found {
                    judge::Verdict::Pass { grounds } => {
                        let said = grounds.first().map(|one| self.said(one));
                        (Verdict::Pass, said.unwrap_or_default())
                    }
                    judge::Verdict::Fail { grounds } => (Verdict::Fail, self.said(grounds)),
                    judge::Verdict::NeedMore {
                        have,
                        need,
                        grounds,
                    } => (
                        Verdict::NeedMore,
                        self.undecided((*have, *need), grounds.first()),
                    ),
                    judge::Verdict::Unknown { why } => (Verdict::Unknown, why.to_string()),
                };
                (verdict, text, json!(found))
            }
        };
        Gate {
            name: self.name.clone(),
            kind: GateKind::Harm,
            is_dry_run: self.is_dry_run,
            verdict,
            text,
            evidence: json!({
                "gate": self.name, "condition": self.condition, "found": found,
                "compared_with": self.compared_with(), "dry_run": self.is_dry_run,
            }),
        }
    }

    /// That more requests are needed. A limit that both sides exceed is passed by no number
    /// of them, and says nothing against the service: a person has to see to it.
    fn undecided(&self, (have, need): (u64, u64), seen: Option<&Grounds>) -> String {
        let needed = format!("{have} of about {need} requests needed to say");
        let Some(seen) = seen else {
            return needed;
        };
        let is_above = |share: f64| share > seen.threshold;
        let share = |of: &Totals| of.events / lossy(of.requests.max(1));
        let is_limit = matches!(
            self.condition,
            Condition::ErrorsAtMost { .. } | Condition::LatencyAtMost { .. }
        );
        let both = is_above(share(&seen.service))
            && seen
                .monolith
                .as_ref()
                .is_some_and(|other| is_above(share(other)));
        if is_limit && both {
            return format!(
                "both sides are above `max`: {}. More requests do not change that: raise `max`, or \
                 mend both",
                self.said(seen)
            );
        }
        if seen.service.events > 0.0 {
            return format!("{needed}; until now {}", self.said(seen));
        }
        needed
    }

    /// What was seen, in words.
    fn said(&self, grounds: &Grounds) -> String {
        let Grounds {
            service, monolith, ..
        } = grounds;
        let events = if self.name == "error-rate" {
            "failed"
        } else {
            "were slower than the limit"
        };
        if grounds.test == TestName::MannWhitney {
            let estimate = grounds.estimate.unwrap_or(f64::NAN);
            return format!(
                "a request is slower at the service with a probability of {estimate:.2}, above \
                 {:.2}, of {} requests",
                grounds.threshold, service.requests
            );
        }
        let share = |events: f64, requests: u64| {
            let share = 100.0 * events / lossy(requests.max(1));
            format!("{share:.2}% of {requests}")
        };
        let own = share(service.events, service.requests);
        if let Some(other) = monolith {
            let other = share(other.events, other.requests);
            return format!("{own} requests {events}, of the monolith's {other}");
        }
        let by = if self.is_of_baseline() {
            " by what was stored of the monolith"
        } else {
            ""
        };
        let most = grounds.threshold * 100.0;
        format!("{own} requests {events}, and {most:.2}% may{by}")
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn lossy(count: u64) -> f64 {
    count as f64
}

/// The gates by name: where one has two conditions, the worse one speaks for it.
pub(super) fn combined(judges: &[Judged]) -> Vec<Gate> {
    let mut gates: Vec<Gate> = Vec::new();
    for judged in judges {
        let gate = judged.gate();
        match gates.iter_mut().find(|one| one.name == gate.name) {
            None => gates.push(gate),
            Some(other) => {
                let evidence = json!([other.evidence, gate.evidence]);
                if badness(gate.verdict) > badness(other.verdict) {
                    *other = gate;
                }
                other.evidence = evidence;
            }
        }
    }
    gates
}

fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::NeedMore => 1,
        Verdict::Unknown => 2,
        Verdict::Fail => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_no_number_of_requests_passes_is_said() {
        let judged = |condition: &Condition| {
            let why = Err(ConditionError::NoBaseline);
            Judged::new("p95", false, condition, why)
        };
        let seen = |service: f64, monolith: f64| {
            let of = |events| Totals {
                requests: 100,
                events,
            };
            Grounds {
                test: TestName::OneProportion,
                from: None,
                to: None,
                service: of(service),
                monolith: Some(of(monolith)),
                estimate: Some(service / 100.0),
                threshold: 0.05,
                evidence: 0.0,
                needed: 4.6,
                dispersion: 1.0,
            }
        };
        let limit = judged(&Condition::LatencyAtMost {
            quantile: 0.95,
            max: Duration::from_millis(1),
        });
        let said =
            |of: &Judged, grounds: Option<Grounds>| of.undecided((100, 200), grounds.as_ref());
        let both = said(&limit, Some(seen(100.0, 90.0)));
        assert!(
            both.starts_with("both sides are above `max`: 100.00% of 100"),
            "{both}"
        );
        assert!(both.contains("90.00% of 100"), "{both}");
        let own = said(&limit, Some(seen(7.0, 2.0)));
        assert!(
            own.starts_with("100 of about 200 requests needed to say; until now 7.00%"),
            "{own}"
        );
        let nothing = "100 of about 200 requests needed to say";
        assert_eq!(said(&limit, Some(seen(0.0, 0.0))), nothing);
        assert_eq!(said(&limit, None), nothing);
        // Compared with the monolith it is no limit of the plan's.
        let compared = judged(&Condition::LatencyVersusMonolith {
            quantile: 0.95,
            allowed: 0.1,
        });
        let said = said(&compared, Some(seen(100.0, 90.0)));
        assert!(said.contains("needed to say"), "{said}");
    }
}
