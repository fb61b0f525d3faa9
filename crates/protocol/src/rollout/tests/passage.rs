//! From one step to the next.

use super::world::{DAY, HOUR, STEPS, World, gate, owned, share};
use crate::{
    Side,
    rollout::{Action, Decision, Event, GateKind, Rollout, Standing, Verdict, WaitsFor},
};
use plan::{ExtractionName, Percent};

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

/// What a step began by is written down before it is asked for, once for an ask.
#[test]
fn what_let_a_step_begin_is_kept() {
    let mut world = World::new(STEPS);
    world.is_verified = true;
    world.gates = vec![gate(GateKind::Begin, Verdict::Pass)];
    let permitted = |world: &World| {
        let events = world.events.iter();
        let found = events.filter_map(|event| match event {
            Event::Permitted {
                step,
                at,
                evidence,
                plan,
            } => Some((*step, at.0, evidence.len(), plan.clone())),
            _ => None,
        });
        found.collect::<Vec<_>>()
    };
    let digest = || "digest".to_owned();
    world.note_due();
    assert!(matches!(world.decide(), Decision::Do(_)));
    // Its own gate, and the proof.
    assert_eq!(permitted(&world), [(0, 0, 2, digest())]);
    // It is refused: asked for again within the hour, and written down again after it.
    world.now = HOUR;
    assert!(matches!(world.decide(), Decision::Do(_)));
    world.now = HOUR + 1;
    assert!(matches!(world.decide(), Decision::Note(_)));
    world.settle();
    let twice = [(0, 0, 2, digest()), (0, HOUR + 1, 2, digest())];
    assert_eq!(permitted(&world), twice);
    // Another plan's text is another reason.
    let mut other = World::new(STEPS);
    other.is_verified = true;
    other.note_due();
    assert!(matches!(other.decide(), Decision::Do(_)));
    other.note(Event::PlanRead {
        plan: "another".to_owned(),
    });
    assert!(matches!(other.decide(), Decision::Note(_)));
}

/// A proof is made for the step that may begin: one that was made for days of waiting is old.
#[test]
fn a_verify_that_is_missing_is_made_once_all_else_is_so() {
    for verdict in [Verdict::Fail, Verdict::NeedMore, Verdict::Unknown] {
        let mut world = World::new(STEPS);
        world.gates = vec![
            gate(GateKind::Begin, Verdict::Fail),
            gate(GateKind::Proof, verdict),
        ];
        assert!(matches!(world.settle()[..], [WaitsFor::Gate { .. }]));
        assert_eq!(world.actions, []);
        world.gates.remove(0);
        assert_eq!(world.settle(), [WaitsFor::Time]);
        assert_eq!(world.actions[0], Action::Verify, "{verdict:?}");
        // It keeps no step from ending.
        world.now = DAY;
        world.settle();
        assert_eq!(world.standing, owned(Side::Monolith, "50%"));
    }
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
