//! Every state of small configurations: one gateway, one client's write, two databases,
//! a switch and its way back, and so many faults. What the simulation draws is gone
//! through here to the last, by the same moves in the same world.
//!
//! What differs: there are no steps, no other lives and no shared tables, a follower
//! applies what it reads at once, and one whose claim is not current any more is gone,
//! since rows refuse it; the simulation has all of these.

use crate::{bug::Bug, conductor::at, journal::Journal, moves::Move, world::World};
use protocol::lifecycle::Lifecycle;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How often something may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    writes: u8,
    handovers: u8,
    crashes: u8,
    /// Calls, or their replies, that are lost.
    losses: u8,
    /// Calls that come twice, or late.
    repeats: u8,
    deadlines: u8,
    /// Second conductors: with a copy of the journal, or with none.
    seconds: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    world: World,
    budget: Budget,
}

struct Small {
    budget: Budget,
    bug: Option<Bug>,
}

impl State {
    fn new(world: World, budget: Budget) -> Self {
        let mut state = Self { world, budget };
        state.world.forget();
        state
    }

    /// Whether it is one of the quarter that are let come to rest.
    fn is_sample(&self) -> bool {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish().is_multiple_of(4)
    }
}

/// Lowers a budget, unless it is used up.
fn spent(left: &mut u8) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

fn count<T>(of: &[T]) -> impl Iterator<Item = u8> + use<T> {
    0..u8::try_from(of.len()).unwrap_or(u8::MAX)
}

impl Model for Small {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(World::new(1, 0, self.bug), self.budget)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Move>) {
        let world = &state.world;
        actions.extend([Move::Write { gateway: 0 }, Move::Background]);
        for which in count(&world.transactions) {
            actions.push(Move::Transaction { which, heard: true });
        }
        for follower in count(&world.followers) {
            actions.push(Move::Apply { follower });
        }
        for call in count(&world.calls) {
            for (again, lost) in [(false, false), (true, false), (false, true)] {
                actions.push(Move::Deliver { call, again, lost });
            }
            actions.push(Move::Lose { call, late: true });
        }
        for call in count(&world.late) {
            actions.push(Move::Late { call });
        }
        for conductor in 0..2 {
            if world.conductors[usize::from(conductor)].is_none() {
                continue;
            }
            actions.extend([
                Move::Hear {
                    conductor,
                    gateway: 0,
                    late: false,
                },
                Move::Acknowledge {
                    conductor,
                    gateway: 0,
                },
                Move::Ready { conductor },
                Move::Send { conductor },
                Move::GiveUp { conductor },
                Move::Deadline { conductor },
                Move::HandOver { conductor },
                Move::Crash {
                    conductor,
                    journal_lost: false,
                },
            ]);
        }
        actions.push(Move::Second { back: Some(0) });
        actions.push(Move::Second { back: None });
    }

    fn next_state(&self, state: &State, action: Move) -> Option<State> {
        let mut budget = state.budget;
        match action {
            Move::Write { .. } | Move::Background => spent(&mut budget.writes)?,
            Move::HandOver { .. } => spent(&mut budget.handovers)?,
            Move::Crash { .. } => spent(&mut budget.crashes)?,
            Move::Deliver { lost: true, .. } | Move::GiveUp { .. } => spent(&mut budget.losses)?,
            Move::Deliver { again: true, .. } | Move::Lose { .. } => spent(&mut budget.repeats)?,
            Move::Deadline { .. } => spent(&mut budget.deadlines)?,
            Move::Second { .. } => spent(&mut budget.seconds)?,
            _ => {}
        }
        let mut world = state.world.clone();
        if let Move::Apply { follower } = action {
            world.make(Move::Receive { follower });
        }
        world.make(action);
        let next = State::new(world, budget);
        // A move that did not fit spends nothing.
        (next.world != state.world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("safe", |_, state: &State| {
                state.world.auditor.finding.is_none()
            }),
            Property::always("can end", |_, state: &State| {
                !state.is_sample() || state.world.clone().comes_to_rest(true).is_ok()
            }),
            Property::sometimes("switches", |_, state: &State| owned(state, 1)),
            Property::sometimes("goes back", |_, state: &State| owned(state, 2)),
        ]
    }
}

/// Whether somebody is in charge, and has handed over so often.
fn owned(state: &State, times: u16) -> bool {
    let mut conductors = state.world.conductors.iter().flatten();
    conductors.any(|one| {
        let settled = matches!(one.lifecycle, Lifecycle::Owned(_));
        one.is_in_charge() && settled && one.handovers[0] >= times
    })
}

impl Journal {
    /// Folds all entries: two histories that lead to the same are the same then.
    pub fn fold(&mut self) {
        self.base = self.replayed();
        self.claimants = self.claimants();
        self.claimants.sort_unstable();
        self.entries.clear();
    }
}

impl World {
    /// Forgets what makes no difference to anything that can still happen.
    fn forget(&mut self) {
        self.count = 0;
        self.auditor.refused_by_fence = 0;
        for conductor in self.conductors.iter_mut().flatten() {
            conductor.journal.fold();
            conductor.charges = 0;
            conductor.told[0] = None;
        }
        let databases = &self.databases;
        self.followers.retain(|one| {
            let row = databases[at(one.from.other())].row;
            row.is_some_and(|row| {
                (row.conductor, row.generation) == (one.claim.conductor, one.claim.generation)
            })
        });
    }
}

const CALM: Budget = Budget {
    writes: 1,
    handovers: 1,
    crashes: 0,
    losses: 0,
    repeats: 0,
    deadlines: 0,
    seconds: 0,
};

/// Goes through all states, and says how many there are and what was found.
fn all(name: &str, budget: Budget, bug: Option<Bug>) -> (usize, Vec<&'static str>) {
    let checker = Small { budget, bug }.checker();
    let done = checker
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut found: Vec<&str> = done.discoveries().into_keys().collect();
    found.sort_unstable();
    let states = done.unique_state_count();
    println!("{name}: {states} states, {found:?}");
    (states, found)
}

#[test]
fn a_switch_and_its_way_back() {
    let budget = Budget {
        handovers: 2,
        crashes: 1,
        ..CALM
    };
    let (states, found) = all("switch and back", budget, None);
    assert_eq!(found, ["goes back", "switches"]);
    assert!(states > 30_000, "{states}");
}

#[test]
fn a_switch_with_a_crash_anywhere() {
    let budget = Budget {
        crashes: 1,
        deadlines: 1,
        ..CALM
    };
    let (states, found) = all("crash", budget, None);
    assert_eq!(found, ["switches"]);
    assert!(states > 15_000, "{states}");
}

#[test]
fn a_switch_with_calls_lost_and_repeated() {
    let budget = Budget {
        losses: 1,
        repeats: 1,
        ..CALM
    };
    let (states, found) = all("lost and repeated", budget, None);
    assert_eq!(found, ["switches"]);
    assert!(states > 5_000, "{states}");
}

#[test]
fn two_conductors() {
    let budget = Budget { seconds: 1, ..CALM };
    let (states, found) = all("two conductors", budget, None);
    assert_eq!(found, ["switches"]);
    assert!(states > 30_000, "{states}");
}

/// Of the published kinds those for which no copy is needed.
#[test]
fn planted_bugs_are_found_exhaustively() {
    for bug in [
        Bug::RoutingBelieved,
        Bug::MarkBeforeLock,
        Bug::SnapshotRead,
        Bug::FenceWithoutLock,
        Bug::FenceLetsNobodyPass,
    ] {
        let budget = Budget { crashes: 1, ..CALM };
        let (_, found) = all(&format!("{bug:?}"), budget, Some(bug));
        assert!(
            found.contains(&"safe") || found.contains(&"can end"),
            "{bug:?}"
        );
    }
}
