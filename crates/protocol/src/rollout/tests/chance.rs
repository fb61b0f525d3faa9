//! Whatever happens, in any order.

use super::world::{DAY, STEPS, World, gate, owned};
use crate::{
    Side,
    rollout::{Action, Actor, Decision, Event, GateKind, Rollout, Standing, Verdict},
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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
