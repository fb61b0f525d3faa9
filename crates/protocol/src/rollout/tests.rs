//! The planner against what people, gates and crashes do to it.

use super::*;
use crate::Side;
use plan::{ExtractionName, Percent, Plan, Schedule};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn plan(rollouts: &[(&str, &str)]) -> Plan {
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

fn schedule(rollout: &str) -> Schedule {
    let plan = plan(&[("a", rollout)]);
    let only = plan.extractions.into_values().next().unwrap();
    only.schedule.unwrap()
}

fn share(text: &str) -> Percent {
    Percent::parse(text).unwrap()
}

fn owned(by: Side, reads: &str) -> Standing {
    Standing::Owned {
        by,
        reads: share(reads),
        writes: None,
    }
}

fn gate(kind: GateKind, verdict: Verdict) -> Gate {
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
struct World {
    schedule: Schedule,
    rollout: Rollout,
    standing: Standing,
    gates: Vec<Gate>,
    now: i64,
    awaited: Vec<ExtractionName>,
    halted: Option<String>,
    is_verified: bool,
    is_withheld: bool,
    events: Vec<Event>,
    actions: Vec<Action>,
}

impl World {
    fn new(rollout: &str) -> Self {
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

    fn decide(&self) -> Decision {
        let facts = Facts {
            now: UnixMillis(self.now),
            standing: self.standing,
            gates: &self.gates,
            awaited: &self.awaited,
            halted: self.halted.as_deref(),
            is_verified: self.is_verified,
            is_withheld: self.is_withheld,
        };
        decide(&self.schedule, "digest", &self.rollout, &facts)
    }

    fn note(&mut self, event: Event) {
        self.rollout = std::mem::take(&mut self.rollout).evolve(&event);
        self.events.push(event);
    }

    fn act(&mut self, action: Action) {
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

    /// Goes on until it waits or rests.
    fn settle(&mut self) -> Vec<WaitsFor> {
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

const STEPS: &str = "steps: [{ reads: 5%, for: 24h }, { reads: 50%, for: 24h }, switch, \
                     { watch: 14d }]";

#[test]
fn steps_follow_each_other_in_their_time() {
    let mut world = World::new(STEPS);
    assert_eq!(world.settle(), [WaitsFor::Time]);
    assert_eq!(world.standing, owned(Side::Monolith, "5%"));
    world.now = DAY - 1;
    assert_eq!(world.settle(), [WaitsFor::Time]);
    world.now = DAY;
    world.settle();
    assert_eq!(world.standing, owned(Side::Monolith, "50%"));
    world.now = 2 * DAY;
    world.settle();
    assert_eq!(world.standing, owned(Side::Service, "100%"));
    world.now = 16 * DAY - 1;
    assert_eq!(world.settle(), [WaitsFor::Time]);
    world.now = 16 * DAY;
    assert_eq!(world.settle(), []);
    assert_eq!(world.rollout, Rollout::Done);
    let (five, fifty) = (share("5%"), share("50%"));
    let shift = |reads| Action::Shift {
        reads,
        writes: None,
    };
    let all = shift(Percent::ALL);
    let wanted = [
        Action::Verify,
        shift(five),
        shift(fifty),
        Action::Switch,
        all,
    ];
    assert_eq!(world.actions, wanted);
}

#[test]
fn harm_takes_the_share_back_and_a_person_goes_on() {
    let mut world = World::new(STEPS);
    world.settle();
    world.now = DAY;
    world.settle();
    world.gates = vec![gate(GateKind::Harm, Verdict::Fail)];
    let waits = world.settle();
    assert!(
        matches!(&waits[..], [WaitsFor::Resume { why, step: None }] if why.contains("p95")),
        "{waits:?}"
    );
    assert_eq!(world.standing, owned(Side::Monolith, "0%"));
    let evidence = world.events.iter().find_map(|event| match event {
        Event::Evidence { evidence } => Some(evidence.clone()),
        _ => None,
    });
    assert_eq!(evidence.unwrap()[0]["p95"], 300);
    // It is mended: the failed step is gone through again, with its whole time.
    world.gates.clear();
    world.note(Event::Resumed {
        step: 1,
        by: Actor::Person("ada".to_owned()),
        steps: Vec::new(),
    });
    assert_eq!(world.settle(), [WaitsFor::Time]);
    assert_eq!(world.standing, owned(Side::Monolith, "50%"));
    world.now = 2 * DAY - 1;
    world.settle();
    assert_eq!(world.standing, owned(Side::Monolith, "50%"));
}

/// It may have switched, and gone back.
#[test]
fn no_step_begins_while_one_that_must_have_switched_has_not() {
    let mut world = World::new(STEPS);
    let other = || vec![ExtractionName::new("b").unwrap()];
    let waits = [WaitsFor::Others(vec!["b".to_owned()])];
    world.awaited = other();
    assert_eq!(world.settle(), waits);
    world.awaited.clear();
    world.settle();
    world.awaited = other();
    world.now = DAY;
    assert_eq!(world.settle(), waits);
    // What is so stays so, and what harms is taken back all the same.
    assert_eq!(world.standing, owned(Side::Monolith, "5%"));
    let mut harmed = World {
        gates: vec![gate(GateKind::Harm, Verdict::Fail)],
        rollout: world.rollout.clone(),
        standing: world.standing,
        ..World::new(STEPS)
    };
    harmed.awaited = other();
    harmed.settle();
    assert_eq!(harmed.standing, owned(Side::Monolith, "0%"));

    world.awaited.clear();
    world.settle();
    assert_eq!(world.standing, owned(Side::Monolith, "50%"));
    world.now = 2 * DAY;
    world.settle();
    // Once it has switched itself, it is watched to its end.
    world.awaited = other();
    world.now = 16 * DAY;
    assert_eq!(world.settle(), []);
}

#[test]
fn after_the_switch_harm_rolls_back_where_the_plan_says_so() {
    for (automatic, standing) in [
        ("automatic: { rollback: on }", owned(Side::Monolith, "0%")),
        ("automatic: {}", owned(Side::Service, "100%")),
    ] {
        let mut world = World::new(&format!("{STEPS}, {automatic}"));
        for day in 0..4 {
            world.now = day * DAY;
            world.settle();
        }
        assert_eq!(world.standing, owned(Side::Service, "100%"));
        world.gates = vec![gate(GateKind::Harm, Verdict::Fail)];
        assert!(matches!(world.settle()[..], [WaitsFor::Resume { .. }]));
        assert_eq!(world.standing, standing, "{automatic}");
    }
}

#[test]
fn nothing_but_a_pass_lets_a_step_end() {
    for verdict in [Verdict::Fail, Verdict::NeedMore, Verdict::Unknown] {
        let mut world = World::new(STEPS);
        world.settle();
        world.gates = vec![gate(GateKind::Enough, verdict)];
        world.now = 9 * DAY;
        assert!(
            matches!(world.settle()[..], [WaitsFor::Gate { .. }]),
            "{verdict:?}"
        );
        assert_eq!(world.standing, owned(Side::Monolith, "5%"));
        world.gates[0].is_dry_run = true;
        world.settle();
        assert_eq!(world.standing, owned(Side::Monolith, "50%"));
    }
}

#[test]
fn what_a_person_changes_ends_the_automatic_part() {
    let mut world = World::new(STEPS);
    world.settle();
    world.standing = owned(Side::Monolith, "20%");
    assert!(matches!(world.settle()[..], [WaitsFor::Resume { .. }]));
    assert_eq!(
        world.standing,
        owned(Side::Monolith, "20%"),
        "and nothing else"
    );
    // Protection goes on in a pause.
    world.gates = vec![gate(GateKind::Harm, Verdict::Fail)];
    world.settle();
    assert_eq!(world.standing, owned(Side::Monolith, "0%"));
}

#[test]
fn a_halt_stops_all_of_it() {
    let mut world = World::new(STEPS);
    world.settle();
    world.halted = Some("ada: incident 7".to_owned());
    world.gates = vec![gate(GateKind::Harm, Verdict::Fail)];
    world.now = 9 * DAY;
    assert!(matches!(world.settle()[..], [WaitsFor::HaltEnd { .. }]));
    assert_eq!(world.standing, owned(Side::Monolith, "5%"));
}

#[test]
fn people_are_asked_where_the_plan_wants_them() {
    let steps = "steps: [{ reads: 5% }, { reads: 100%, approval: \"the lead agrees\" }]";
    let mut world = World::new(steps);
    let waits = world.settle();
    assert!(matches!(&waits[..], [WaitsFor::Approval { of }] if of == "the lead agrees"));
    world.note(Event::Approved {
        step: 1,
        by: Actor::Person("ada".to_owned()),
        note: String::new(),
    });
    world.settle();
    assert_eq!(world.rollout, Rollout::Done);
    let mut world = World::new("steps: [{ reads: 5% }], automatic: { promote: off }");
    assert_eq!(world.settle(), [WaitsFor::Promotion]);
}

#[test]
fn steps_behind_may_not_change() {
    let words = |all: &[&str]| all.iter().map(|&step| step.to_owned()).collect::<Vec<_>>();
    let mut world = World::new(STEPS);
    world.settle();
    world.now = DAY;
    world.settle();
    let was = words(&["reads 5% for 1d", "reads 50% for 1d", "switch"]);
    let more = words(&[
        "reads 5% for 1d",
        "reads 50% for 1d",
        "reads 100%",
        "switch",
    ]);
    assert_eq!(plan_change(&world.rollout, &was, &more), None);
    let other = words(&["reads 5% for 1d", "reads 50% for 2d", "switch"]);
    let stopped = plan_change(&world.rollout, &was, &other).unwrap();
    world.note(stopped);
    assert!(matches!(world.settle()[..], [WaitsFor::Resume { .. }]));
}

/// What is so after a rollback is not what the step wants: another one is named to go on
/// with, and it works.
#[test]
fn after_a_rollback_the_step_to_go_on_with_is_named() {
    let mut world = World::new("steps: [{ reads: 5% }, { reads: 100% }, switch, { watch: 1d }]");
    world.settle();
    assert!(world.standing.has_switched());
    world.standing = owned(Side::Monolith, "100%");
    let waits = world.settle();
    let [WaitsFor::Resume { step: Some(2), .. }] = waits[..] else {
        panic!("{waits:?}");
    };
    assert!(waits[0].to_string().starts_with("`banyan resume --step 2`"));
    world.standing = owned(Side::Monolith, "0%");
    let waits = world.settle();
    assert!(matches!(
        waits[..],
        [WaitsFor::Resume { step: Some(1), .. }]
    ));
}

/// Steps wait for people and windows for days: what harms then is taken back, and what a
/// person takes back then stays so.
#[test]
fn between_two_steps_it_is_as_in_one() {
    let steps = "steps: [{ reads: 50% }, { reads: 100%, approval: lead }]";
    let mut world = World::new(steps);
    assert!(matches!(world.settle()[..], [WaitsFor::Approval { .. }]));
    world.gates = vec![gate(GateKind::Harm, Verdict::Fail)];
    assert!(matches!(world.settle()[..], [WaitsFor::Resume { .. }]));
    assert_eq!(world.standing, owned(Side::Monolith, "0%"));

    let mut world = World::new(steps);
    world.settle();
    world.standing = owned(Side::Monolith, "0%");
    world.note(Event::Approved {
        step: 1,
        by: Actor::Person("ada".to_owned()),
        note: String::new(),
    });
    assert!(matches!(world.settle()[..], [WaitsFor::Resume { .. }]));
    assert_eq!(world.standing, owned(Side::Monolith, "0%"));
}

/// While reads go to the owner for another reason, nobody tries the step.
#[test]
fn a_step_that_nobody_tries_does_not_pass() {
    let mut world = World::new(STEPS);
    world.settle();
    world.is_withheld = true;
    world.now = 9 * DAY;
    assert!(matches!(world.settle()[..], [WaitsFor::Work(_)]));
    assert_eq!(world.standing, owned(Side::Monolith, "5%"));
    world.is_withheld = false;
    world.settle();
    assert_eq!(world.standing, owned(Side::Monolith, "50%"));
}

/// A life after a cancel begins with the first step, and what nobody knows is no end.
#[test]
fn lives_begin_anew_and_end() {
    let mut world = World::new("steps: [{ reads: 50% }]");
    world.settle();
    assert_eq!(world.rollout, Rollout::Done);
    world.standing = Standing::Unknown;
    world.settle();
    assert_eq!(world.rollout, Rollout::Done);
    world.standing = Standing::Absent;
    assert_eq!(world.settle(), [WaitsFor::Start]);
    world.standing = owned(Side::Monolith, "0%");
    world.settle();
    assert_eq!(world.standing, owned(Side::Monolith, "50%"));
    for rollout in [
        "steps: [{ reads: 50%, for: 1h }]",
        "steps: [switch, retire]",
    ] {
        let mut world = World::new(rollout);
        world.settle();
        world.standing = Standing::Finished;
        assert_eq!(world.settle(), []);
        assert_eq!(world.rollout, Rollout::Done);
    }
}

/// Crashes between an action and its note, doubled actions, people who do as they like,
/// gates that fail when they want: whatever happens, no share is raised while harm shows,
/// nothing is done in a halt, and each wait names a way on.
#[test]
fn whatever_happens_it_neither_hurries_nor_hangs() {
    let (mut undone, mut done) = (0, 0);
    for seed in 0..2_000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut world = World::new(&format!("{STEPS}, automatic: {{ rollback: on }}"));
        for _ in 0..200 {
            match random.random_range(0..12) {
                0..=4 => world.now += random.random_range(0..DAY),
                5 => {
                    let verdict = match random.random_range(0..10) {
                        0 => Verdict::Fail,
                        1 => Verdict::Unknown,
                        _ => Verdict::Pass,
                    };
                    world.gates = vec![gate(GateKind::Harm, verdict)];
                }
                6 if seed % 3 == 0 => meddle(&mut world, &mut random),
                7 => {
                    // After a rollback only an earlier one fits.
                    let step = world.rollout.position().map_or(0, |position| position.step);
                    let step = random.random_range(0..=step);
                    world.note(Event::Resumed {
                        step,
                        by: Actor::Person("ada".to_owned()),
                        steps: Vec::new(),
                    });
                }
                8 if random.random_bool(0.2) => world.halted = Some("ada".to_owned()),
                9 => world.halted = None,
                _ => {}
            }
            let before = world.standing;
            let decision = world.decide();
            let fails = world.gates.iter().any(|gate| gate.verdict == Verdict::Fail);
            if world.halted.is_some() && world.rollout != Rollout::Done {
                assert!(
                    matches!(decision, Decision::Wait(_)),
                    "{seed}: {decision:?}"
                );
            }
            match decision {
                Decision::Rest => assert_eq!(world.rollout, Rollout::Done),
                Decision::Wait(waiting) => assert!(!waiting.for_what.is_empty()),
                Decision::Do(action) => {
                    let raises = matches!(action, Action::Shift { .. } | Action::Switch);
                    let at_risk = before != owned(Side::Monolith, "0%");
                    assert!(
                        !(raises && fails && at_risk),
                        "{seed}: {action:?} while harm shows"
                    );
                    // The note of it comes with the next turn, or the one after a crash.
                    world.act(action);
                }
                Decision::Note(events) => {
                    undone += events
                        .iter()
                        .filter(|one| matches!(one, Event::Undone { .. }))
                        .count();
                    for event in events {
                        world.note(event);
                    }
                }
            }
        }
        done += usize::from(world.rollout == Rollout::Done);
    }
    assert!(undone > 500 && done > 20, "{undone} undone, {done} done");
}

fn meddle(world: &mut World, random: &mut impl Rng) {
    world.standing = match random.random_range(0..4) {
        0 => owned(Side::Monolith, "0%"),
        1 => owned(Side::Monolith, "37%"),
        2 => owned(Side::Service, "100%"),
        _ => Standing::HandingOver,
    };
}

/// A plan that ships, by its path below `examples`.
fn example(path: &str) -> Plan {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let text = std::fs::read_to_string(format!("{directory}/{path}.yaml")).unwrap();
    let variable = |name: &str| match name {
        _ if name.ends_with("_LISTEN") => Some("127.0.0.1:0".to_owned()),
        _ if name.ends_with("DATABASE_URL") => Some(format!("postgres://u:p@127.0.0.1:1/{name}")),
        _ if name.ends_with("_URL") => Some("http://127.0.0.1:1".to_owned()),
        _ if name.ends_with("_TOKEN") => Some("hush".to_owned()),
        _ => None,
    };
    Plan::parse(&text, variable).unwrap()
}

/// The one that waits for another begins when that has switched, and all of them end.
#[test]
fn three_extractions_of_an_example_are_gone_through() {
    let plan = example("three-extractions/banyan");
    let schedules = plan.extractions.iter();
    let schedules = schedules
        .map(|(name, one)| (name.clone(), (one.schedule.as_ref().unwrap(), false)))
        .collect();
    let timeline = rehearse(&schedules, UnixMillis(0)).unwrap();
    assert!(timeline.iter().all(|one| !one.asks_a_person));
    let at = |name: &str, what: &str| {
        let found = timeline
            .iter()
            .position(|one| one.extraction.as_str() == name && one.what.starts_with(what));
        found.unwrap_or_else(|| panic!("{name}: {what}"))
    };
    assert!(at("contracts", "switch") < at("documents", "reads 50%"));
    for name in ["contracts", "documents", "users"] {
        at(name, "all steps are done");
    }
}

/// The schedules that ship end when their names say.
#[test]
fn the_examples_are_gone_through() {
    for (file, days) in [
        ("by-day", 19),
        ("ten-to-all", 10),
        ("three-weeks", 20),
        ("measured", 18),
    ] {
        let plan = example(&format!("schedules/{file}"));
        let (name, one) = plan.extractions.first_key_value().unwrap();
        let schedule = one.schedule.as_ref().unwrap();
        let schedules = BTreeMap::from([(name.clone(), (schedule, false))]);
        // A Monday, at nine.
        let from = 1_795_996_800_000 + 9 * HOUR;
        let timeline = rehearse(&schedules, UnixMillis(from)).unwrap();
        let last = timeline.last().unwrap();
        assert!(last.what.contains("banyan finish"), "{file}: {last:?}");
        // What must pass is said of each step.
        let switch = timeline.iter().find(|one| one.what == "switch").unwrap();
        assert!(
            switch.gates.contains(&"error-rate".to_owned()),
            "{switch:?}"
        );
        assert_eq!((last.at.0 - from) / DAY, days, "{file}: {timeline:#?}");
    }
}

#[test]
fn three_weeks_are_rehearsed() {
    let plan = plan(&[
        (
            "users",
            "steps: [{ reads: 10%, for: 24h }, { reads: 100%, for: 24h }, switch, { watch: 5d }]",
        ),
        (
            "contracts",
            "after: [users], gates: { window: { days: [mon, tue, wed, thu], from: \"08:00\", \
             until: \"16:00\" } }, steps: [{ reads: 5%, for: 24h }, { reads: 50%, for: 48h }, \
             { reads: 100%, approval: \"lead\" }, switch, { watch: 14d }, retire]",
        ),
    ]);
    let schedules: BTreeMap<ExtractionName, _> = plan
        .extractions
        .iter()
        .map(|(name, one)| (name.clone(), (one.schedule.as_ref().unwrap(), false)))
        .collect();
    // 2026-11-30, a Monday.
    let monday = 1_795_996_800_000;
    let timeline = rehearse(&schedules, UnixMillis(monday)).unwrap();
    let at = |name: &str, what: &str| {
        let found = timeline
            .iter()
            .find(|one| one.extraction.as_str() == name && one.what.starts_with(what));
        let found = found.unwrap_or_else(|| panic!("{what} of {name}: {timeline:#?}"));
        (found.at.0 - monday) / HOUR
    };
    assert_eq!(at("users", "switch"), 48);
    // On Wednesday at once would be at night.
    assert_eq!(at("contracts", "reads 5%"), 48 + 8);
    assert_eq!(at("contracts", "reads 50%"), 72 + 8);
    // Two days later it is Saturday.
    assert_eq!(at("contracts", "switch"), 7 * 24 + 8);
    let people: Vec<_> = timeline.iter().filter(|one| one.asks_a_person).collect();
    assert_eq!(people.len(), 2, "{people:#?}");
    let last = timeline.last().unwrap();
    assert_eq!((last.at.0 - monday) / DAY, 21);
}
