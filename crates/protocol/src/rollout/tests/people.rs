//! What people change, approve and go on with.

use super::world::{DAY, STEPS, World, gate, owned};
use crate::{
    Side,
    rollout::{Actor, Event, GateKind, Rollout, Verdict, WaitsFor, restarted},
};

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
    assert_eq!(restarted(&world.rollout, &was, &more), None);
    let other = words(&["reads 5% for 1d", "reads 50% for 2d", "switch"]);
    let stopped = restarted(&world.rollout, &was, &other).unwrap();
    world.note(stopped);
    assert!(matches!(world.settle()[..], [WaitsFor::Resume { .. }]));
}

/// A switch by hand passes over no watch: that comes after it.
#[test]
fn after_a_switch_by_hand_the_steps_go_on_with_the_switch() {
    let mut world = World::new(
        "steps: [{ reads: 5%, for: 1d }, { reads: 100% }, switch, { watch: 1d }, retire]",
    );
    world.settle();
    for reads in ["5%", "100%"] {
        world.standing = owned(Side::Service, reads);
        let waits = world.settle();
        assert!(
            matches!(waits[..], [WaitsFor::Resume { step: Some(3), .. }]),
            "{reads}: {waits:?}"
        );
    }
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
