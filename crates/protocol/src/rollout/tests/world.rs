//! A rollout with all that it sees, and what acts on it.

use crate::{
    Side,
    rollout::{
        Action, Decision, Event, Facts, Gate, GateKind, Rollout, Standing, UnixMillis, Verdict,
        WaitsFor, decide,
    },
};
use plan::{ExtractionName, Percent, Plan, Schedule};

pub(super) const HOUR: i64 = 3_600_000;
pub(super) const DAY: i64 = 24 * HOUR;

pub(super) fn plan(rollouts: &[(&str, &str)]) -> Plan {
    let mut text = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services: { s: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/s" } }
gateway: { listen: "127.0.0.1:0" }
extractions:
"#
    .to_owned();
    for (name, rollout) in rollouts {
        let one = format!(
            "  {name}: {{ service: s, routes: [{{ path: /{name} }}], data: {{ mode: replicate, \
             schema: s, tables: {{ public.{name}: {{}} }} }}, rollout: {{ key: {{ header: x }}, \
             {rollout} }} }}\n"
        );
        text += &one;
    }
    Plan::parse(&text, |_| None).unwrap()
}

pub(super) fn schedule(rollout: &str) -> Schedule {
    let plan = plan(&[("a", rollout)]);
    let only = plan.extractions.into_values().next().unwrap();
    only.schedule.unwrap()
}

pub(super) fn share(text: &str) -> Percent {
    Percent::parse(text).unwrap()
}

pub(super) fn owned(by: Side, reads: &str) -> Standing {
    Standing::Owned {
        by,
        reads: share(reads),
        writes: None,
    }
}

pub(super) fn gate(kind: GateKind, verdict: Verdict) -> Gate {
    Gate {
        name: "p95".to_owned(),
        kind,
        is_dry_run: false,
        verdict,
        text: "300 ms".to_owned(),
        evidence: serde_json::json!({ "p95": 300 }),
    }
}

/// A rollout with all that it sees.
pub(super) struct World {
    pub(super) schedule: Schedule,
    pub(super) rollout: Rollout,
    pub(super) standing: Standing,
    pub(super) gates: Vec<Gate>,
    pub(super) now: i64,
    pub(super) awaited: Vec<ExtractionName>,
    pub(super) halted: Option<String>,
    pub(super) is_verified: bool,
    pub(super) is_withheld: bool,
    pub(super) events: Vec<Event>,
    pub(super) actions: Vec<Action>,
}

impl World {
    pub(super) fn new(rollout: &str) -> Self {
        Self {
            schedule: schedule(rollout),
            rollout: Rollout::Idle,
            standing: owned(Side::Monolith, "0%"),
            gates: Vec::new(),
            now: 0,
            awaited: Vec::new(),
            halted: None,
            is_verified: false,
            is_withheld: false,
            events: Vec::new(),
            actions: Vec::new(),
        }
    }

    pub(super) fn decide(&self) -> Decision {
        let mut gates = self.gates.clone();
        if self.is_verified {
            gates.push(gate(GateKind::Proof, Verdict::Pass));
        }
        let facts = Facts {
            now: UnixMillis(self.now),
            standing: self.standing,
            gates: &gates,
            awaited: &self.awaited,
            halted: self.halted.as_deref(),
            is_withheld: self.is_withheld,
        };
        decide(&self.schedule, "digest", &self.rollout, &facts)
    }

    pub(super) fn note(&mut self, event: Event) {
        self.rollout = std::mem::take(&mut self.rollout).evolve(&event);
        self.events.push(event);
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
        self.standing = match (action, self.standing) {
            (Action::Verify, standing) => {
                self.is_verified = true;
                standing
            }
            (Action::Shift { reads, .. }, Standing::Owned { by, .. }) => Standing::Owned {
                by,
                reads,
                writes: None,
            },
            (Action::Switch, Standing::Owned { reads, .. }) => Standing::Owned {
                by: Side::Service,
                reads,
                writes: None,
            },
            (Action::RollBack, Standing::Owned { reads, .. }) => Standing::Owned {
                by: Side::Monolith,
                reads,
                writes: None,
            },
            (Action::Withdraw, _) => owned(Side::Monolith, "0%"),
            (_, standing) => standing,
        };
    }

    /// Writes down what is due, until something else is.
    pub(super) fn note_due(&mut self) {
        while let Decision::Note(events) = self.decide() {
            for event in events {
                self.note(event);
            }
        }
    }

    /// Goes on until it waits or rests.
    pub(super) fn settle(&mut self) -> Vec<WaitsFor> {
        for _ in 0..100 {
            match self.decide() {
                Decision::Rest => return Vec::new(),
                Decision::Wait(waiting) => return waiting.for_what,
                Decision::Do(action) => self.act(action),
                Decision::Note(events) => {
                    for event in events {
                        self.note(event);
                    }
                }
            }
        }
        panic!("it does not settle: {:?}", self.rollout);
    }
}

pub(super) const STEPS: &str = "steps: [{ reads: 5%, for: 24h }, { reads: 50%, for: 24h }, switch, \
                     { watch: 14d }]";
