//! What is taken back, and when nothing is.

use super::world::{DAY, STEPS, World, gate, owned};
use crate::{
    Side,
    rollout::{Actor, Event, Gate, GateKind, Verdict, WaitsFor, changed_since},
};

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

/// It is shown, and decides nothing: not what is taken back, and not what is waited for.
#[test]
fn a_gate_that_is_tried_out_takes_nothing_back() {
    let mut world = World::new(STEPS);
    world.settle();
    world.gates = vec![Gate {
        is_dry_run: true,
        ..gate(GateKind::Harm, Verdict::Fail)
    }];
    assert_eq!(world.settle(), [WaitsFor::Time]);
    assert_eq!(world.standing, owned(Side::Monolith, "5%"));
    world.now = DAY;
    assert_eq!(world.settle(), [WaitsFor::Time]);
    assert_eq!(world.standing, owned(Side::Monolith, "50%"));
    // What it found is in what is kept of the step all the same.
    let passed = world.events.iter().find_map(|event| match event {
        Event::Passed { evidence, .. } => Some(evidence.clone()),
        _ => None,
    });
    assert_eq!(passed.unwrap()[0]["p95"], 300);
    world.gates[0].is_dry_run = false;
    assert!(matches!(world.settle()[..], [WaitsFor::Resume { .. }]));
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
fn what_is_to_be_approved_is_told_and_approved_in_a_halt() {
    let mut world = World::new("steps: [{ reads: 5%, approval: lead }, switch]");
    world.settle();
    world.halted = Some("ada: incident 7".to_owned());
    let waits = world.settle();
    assert!(
        matches!(
            waits[..],
            [WaitsFor::HaltEnd { .. }, WaitsFor::Approval { .. }]
        ),
        "{waits:?}"
    );
    world.note(Event::Approved {
        step: 0,
        by: Actor::Person("ada".to_owned()),
        note: String::new(),
    });
    assert!(matches!(world.settle()[..], [WaitsFor::HaltEnd { .. }]));
    assert_eq!(world.standing, owned(Side::Monolith, "0%"));
}

#[test]
fn what_has_come_back_since_the_stop_is_told() {
    let mut world = World::new("steps: [{ reads: 50% }, switch, { watch: 14d }]");
    world.settle();
    world.standing = owned(Side::Monolith, "100%");
    assert!(matches!(world.settle()[..], [WaitsFor::Resume { .. }]));
    let now = |by, reads| changed_since(&world.schedule, &world.rollout, owned(by, reads));
    assert_eq!(now(Side::Monolith, "100%"), None);
    let again = now(Side::Service, "100%");
    assert_eq!(again.as_deref(), Some("it is as the step wants"));
}
