//! What a running process can take from a changed plan, and what it cannot.

use super::Plan;
use crate::{
    base::ExtractionName,
    extraction::{
        CohortKey, Data, Extraction, GateSource, Schedule, Switch, setting_changes, step_changes,
    },
    gateway::Observe,
};
use std::collections::BTreeSet;

impl Plan {
    /// How the steps of extractions differ in `next`, in words: the steps, then what those that
    /// stay say otherwise, such as their gates.
    pub fn step_changes(&self, next: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, old) in &self.extractions {
            let Some(new) = next.extractions.get(name) else {
                continue;
            };
            let (was, is) = (words(old), words(new));
            let found = step_changes(&was, &is);
            changes.extend(found.iter().map(|change| format!("{name}: {change}")));
            if let (Some(was), Some(is)) = (&old.schedule, &new.schedule) {
                let found = setting_changes(&was.steps, &is.steps);
                changes.extend(found.iter().map(|change| format!("{name}: {change}")));
            }
        }
        changes
    }

    /// What happens by itself where `next` has the first steps of extractions, a sentence each:
    /// nobody orders it.
    pub fn first_steps(&self, next: &Self) -> Vec<String> {
        let first = |(name, old): (&ExtractionName, &Extraction)| {
            let steps = &next.extractions.get(name)?.schedule.as_ref()?.steps;
            let first = steps.first().filter(|_| old.schedule.is_none())?;
            Some(format!(
                "Then `{name}` goes by its steps at once: where it follows and all reads are at \
                 the monolith it begins with step 1 of {}, {first}; where some are shifted it \
                 waits for `banyan resume {name} --step N`",
                steps.len()
            ))
        };
        self.extractions.iter().filter_map(first).collect()
    }

    /// The flags of which `next` says something else.
    pub fn flag_changes(&self, next: &Self) -> Vec<String> {
        let (old, new) = (&self.gateway.flags.set, &next.gateway.flags.set);
        let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let changed = names
            .into_iter()
            .filter(|name| old.get(*name) != new.get(*name));
        changed.cloned().collect()
    }

    /// The keys that differ in `next` and that only a restart can bring; none
    /// where a reload can bring all of it.
    ///
    /// Tables that move, and between which databases, are under way. What names
    /// a client must stay, or the client's own writes could not be found again.
    pub fn needs_restart(&self, next: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let mut differs = |key: String, differs: bool| {
            if differs {
                changes.push(key);
            }
        };
        let (old, new) = (&self.gateway, &next.gateway);
        differs("gateway.workers".into(), old.workers != new.workers);
        differs("gateway.pin-wait".into(), old.pin_wait != new.pin_wait);
        differs(
            "control.listen".into(),
            self.control.listen != next.control.listen,
        );
        differs("checklists".into(), self.checklists != next.checklists);
        let (told, tell) = (&old.observe, &new.observe);
        let target = |one: &Observe| one.access_log.as_ref().map(|log| log.to.clone());
        differs("gateway.access-log".into(), target(told) != target(tell));
        differs("gateway.tracing".into(), told.tracing != tell.tracing);
        differs(
            "gateway.metrics".into(),
            told.native_histograms != tell.native_histograms,
        );
        let by_address = |one: &Extraction| one.cohort_key == CohortKey::Address;
        differs(
            "gateway.trusted".into(),
            old.access.trusted != new.access.trusted && self.extractions.values().any(by_address),
        );
        for name in next.extractions.keys() {
            let is_new = !self.extractions.contains_key(name);
            differs(format!("extractions.{name}"), is_new);
        }
        for (name, old) in &self.extractions {
            let Some(new) = next.extractions.get(name) else {
                differs(format!("extractions.{name}"), true);
                continue;
            };
            let key = |key| format!("extractions.{name}.{key}");
            differs(key("service"), old.service != new.service);
            differs(key("rollout.key"), old.cohort_key != new.cohort_key);
            match (&old.schedule, &new.schedule) {
                // Which steps may become others is for the rollout to say, by where it is.
                (Some(old), Some(new)) => {
                    differs(key("rollout.automatic"), old.automatic != new.automatic);
                    differs(key("rollout.after"), old.after != new.after);
                    let known = commands(old);
                    let is_new = commands(new).iter().any(|one| !known.contains(one));
                    differs(key("rollout.gates.command"), is_new);
                }
                (None, None) => {}
                _ => differs(key("rollout.steps"), true),
            }
            let (Data::Replicate(was), Data::Replicate(is)) = (&old.data, &new.data) else {
                differs(key("data"), old.data != new.data);
                continue;
            };
            let tables = was.tables != is.tables;
            let boundary = was.references != is.references;
            differs(key("data"), tables || boundary);
            // How long is looked is asked anew before each switch.
            let observe = is.switch.observe;
            let was_switch = Switch {
                observe,
                ..was.switch
            };
            differs(key("switch"), was_switch != is.switch);
            let (was, is) = (&was.databases, &is.databases);
            differs("monolith.database".into(), was.monolith != is.monolith);
            let service = format!("services.{}.database", old.service);
            differs(service, was.service != is.service);
        }
        changes.dedup();
        changes
    }
}

/// What is run for the gates of any step. Whoever writes the plan says that, at the start.
fn commands(schedule: &Schedule) -> Vec<&GateSource> {
    let gates = schedule.steps.iter().flat_map(|step| &step.gates.measured);
    let sources = gates.map(|gate| &gate.source);
    sources
        .filter(|source| matches!(source, GateSource::Command(_)))
        .collect()
}

/// The steps of an extraction, in words.
fn words(extraction: &Extraction) -> Vec<String> {
    let schedule = extraction.schedule.iter();
    let steps = schedule.flat_map(|schedule| &schedule.steps);
    steps.map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services:
  a: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }
gateway: { listen: "127.0.0.1:0", pin-wait: 2s }
extractions:
  contracts:
    service: a
    routes: [{ path: /api/contracts/* }]
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
    rollout: { key: { header: x-user } }
    switch: { hold: 5s, drain: 1s }
"#;

    fn changes(from: &str, to: &str) -> Vec<String> {
        let parse = |text: &str| Plan::parse(text, |_| None).unwrap();
        assert!(PLAN.contains(from), "{from}");
        parse(PLAN).needs_restart(&parse(&PLAN.replace(from, to)))
    }

    #[test]
    fn routes_upstreams_and_policies_need_none() {
        let none: [String; 0] = [];
        assert_eq!(changes("/api/contracts/*", "/v2/*"), none);
        assert_eq!(changes("127.0.0.1:3", "127.0.0.1:9"), none);
        assert_eq!(changes("127.0.0.1:0", "127.0.0.1:9"), none);
        let keys = "control: { keys: { anna: { role: viewer, key: 0123456789abcdef } } }";
        assert_eq!(
            changes("extractions:", &format!("{keys}\nextractions:")),
            none
        );
    }

    #[test]
    fn other_steps_are_told_one_by_one() {
        let key = "rollout: { key: { header: x-user }";
        let with = |steps: &str| {
            let text = PLAN.replace(key, &format!("{key}, steps: {steps}"));
            Plan::parse(&text, |_| None).unwrap()
        };
        let was = with("[{ reads: 5%, for: 1h }, { reads: 50% }, switch]");
        let is = with("[{ reads: 5%, for: 1h }, { reads: 40%, for: 2h }, switch]");
        assert!(was.step_changes(&was).is_empty());
        assert_eq!(
            was.step_changes(&is),
            ["contracts: step 2: `reads 50%` is `reads 40% for 2h` now"]
        );
        let gates = |p95: &str, steps: &str| {
            with(&format!("[{steps}], gates: {{ p95: {{ max: {p95} }} }}"))
        };
        let before = gates("200ms", "{ reads: 5%, for: 1h }, { reads: 50% }, switch");
        let after = gates(
            "300ms",
            "{ reads: 5%, for: 1h }, { reads: 20% }, { reads: 50% }, switch",
        );
        assert_eq!(
            before.step_changes(&after),
            [
                "contracts: step 2 is new: `reads 20%`",
                "contracts: steps 1, 3, 4: `gates.p95.max` was `200ms` and is `300ms`"
            ]
        );
        let none: [String; 0] = [];
        assert_eq!(was.needs_restart(&is), none);
        let first = Plan::parse(PLAN, |_| None).unwrap().first_steps(&is);
        assert!(
            first[0].contains("`contracts` goes by its steps at once")
                && first[0].contains("step 1 of 3, reads 5% for 1h;"),
            "{first:?}"
        );
        assert!(was.first_steps(&is).is_empty());
        let steps = ["extractions.contracts.rollout.steps"];
        assert_eq!(
            Plan::parse(PLAN, |_| None).unwrap().needs_restart(&is),
            steps
        );
        let halts = with("[switch], automatic: { promote: off }");
        assert_eq!(
            was.needs_restart(&halts),
            ["extractions.contracts.rollout.automatic"]
        );
    }

    #[test]
    fn who_may_write_needs_none() {
        let none: [String; 0] = [];
        let declared = "public.t: {} }, writers: [nightly]";
        assert_eq!(changes("public.t: {} }", declared), none);
        assert_eq!(changes("drain: 1s", "drain: 1s, observe: 1h"), none);
    }

    #[test]
    fn what_is_under_way_does() {
        assert_eq!(
            changes("public.t", "public.u"),
            ["extractions.contracts.data"]
        );
        let shared = "data: { mode: shared }";
        let replicate = "data: { mode: replicate, schema: s, tables: { public.t: {} } }";
        let switch = "    switch: { hold: 5s, drain: 1s }\n";
        let parse = |text: &str| Plan::parse(text, |_| None).unwrap();
        let changed = PLAN.replace(replicate, shared).replace(switch, "");
        assert_eq!(
            parse(PLAN).needs_restart(&parse(&changed)),
            ["extractions.contracts.data"]
        );
        assert_eq!(
            changes("hold: 5s", "hold: 4s"),
            ["extractions.contracts.switch"]
        );
        assert_eq!(
            changes("x-user", "x-u"),
            ["extractions.contracts.rollout.key"]
        );
        assert_eq!(changes(":2/m", ":2/n"), ["monolith.database"]);
        assert_eq!(changes(":4/a", ":4/b"), ["services.a.database"]);
        assert_eq!(
            changes("pin-wait: 2s", "pin-wait: 3s"),
            ["gateway.pin-wait"]
        );
        let steps = |gates| format!("{{ header: x-user }}, steps: [switch], gates: {gates} }}");
        let one = PLAN.replace("{ header: x-user } }", &steps("{ requests: 1 }"));
        let two = PLAN.replace(
            "{ header: x-user } }",
            &steps("{ command: { a: { run: [b] } } }"),
        );
        assert_eq!(
            parse(&one).needs_restart(&parse(&two)),
            ["extractions.contracts.rollout.gates.command"]
        );
        let none: [String; 0] = [];
        assert_eq!(parse(&two).needs_restart(&parse(&one)), none);
        let log = |query| format!("pin-wait: 2s, access-log: {{ path: x, query: {query} }}");
        assert_eq!(changes("pin-wait: 2s", &log(true)), ["gateway.access-log"]);
        let status = "pin-wait: 2s, status: { health: /health }";
        assert_eq!(changes("pin-wait: 2s", status), none);
        assert_eq!(
            changes("  contracts:", "  other:"),
            ["extractions.other", "extractions.contracts"]
        );
    }
}
