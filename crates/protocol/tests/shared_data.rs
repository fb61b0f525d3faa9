//! An extraction whose data both sides share: its decisions, and that the
//! journal says all of them.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use plan::Percent;
use proptest::prelude::*;
use protocol::{
    Epoch, Side, lifecycle,
    routing::Writes,
    shared_data::{Command, Event, Rejection, SharedDataLifecycle, Shares},
};

fn percent(points: u16) -> Percent {
    Percent::from_basis_points(points).unwrap()
}

fn shift(reads: Option<u16>, writes: Option<u16>) -> Command {
    Command::Shift {
        reads: reads.map(percent),
        writes: writes.map(percent),
    }
}

/// What a journal of these commands says, and the state that it leads to.
fn played(commands: &[Command]) -> (Vec<Event>, SharedDataLifecycle) {
    let mut state = SharedDataLifecycle::default();
    let mut journal = Vec::new();
    for command in commands {
        if let Ok(Some(event)) = state.decide(*command) {
            journal.push(event);
            state = state.evolve(&event);
        }
    }
    (journal, state)
}

#[test]
fn every_command_is_taken_or_refused() {
    let (to_service, to_monolith) = (
        Command::SendAll(Side::Service),
        Command::SendAll(Side::Monolith),
    );
    let after = |commands: &[Command], last| played(commands).1.decide(last);
    let set = |epoch, reads, writes| {
        Ok(Some(Event::SharesSet {
            epoch: Epoch(epoch),
            reads: percent(reads),
            writes: percent(writes),
        }))
    };
    let start = Command::Start;
    let five = shift(Some(500), Some(500));
    for (before, command, wanted) in [
        (&[][..], start, Ok(Some(Event::Started { epoch: Epoch(1) }))),
        (&[], five, Err(Rejection::NotStarted)),
        (&[], to_monolith, Err(Rejection::NotStarted)),
        (&[], Command::Cancel, Err(Rejection::NotStarted)),
        (&[start], start, Err(Rejection::Started)),
        (&[start], five, set(2, 500, 500)),
        (&[start, five], five, Ok(None)),
        (&[start, five], shift(None, Some(2000)), set(3, 500, 2000)),
        (&[start, five], shift(Some(0), None), set(3, 0, 500)),
        (&[start, five], to_service, set(3, 10_000, 10_000)),
        (&[start, five], to_monolith, set(3, 0, 0)),
        (
            &[start],
            to_monolith,
            Err(Rejection::ThereAlready(Side::Monolith)),
        ),
        (
            &[start, to_service],
            to_service,
            Err(Rejection::ThereAlready(Side::Service)),
        ),
        (
            &[start, to_service],
            Command::Cancel,
            Err(Rejection::Switched),
        ),
        (
            &[start, five],
            Command::Cancel,
            Ok(Some(Event::Cancelled { epoch: Epoch(3) })),
        ),
        // Another life goes on counting.
        (
            &[start, five, Command::Cancel],
            start,
            Ok(Some(Event::Started { epoch: Epoch(4) })),
        ),
    ] {
        assert_eq!(after(before, command), wanted, "{before:?} {command:?}");
    }
}

/// Never edited: what these lines say was written by some release.
const GOLDEN: &str = include_str!("golden/shared_data_events.jsonl");

#[test]
fn old_journals_are_read_as_they_were_written() {
    let read = |line| serde_json::from_str::<Event>(line).unwrap();
    let events: Vec<Event> = GOLDEN.lines().map(read).collect();
    let set = |epoch, reads, writes| Event::SharesSet {
        epoch: Epoch(epoch),
        reads: percent(reads),
        writes: percent(writes),
    };
    let wanted = [
        Event::Started { epoch: Epoch(1) },
        set(2, 500, 0),
        set(3, 5000, 2025),
        Event::Cancelled { epoch: Epoch(4) },
    ];
    assert_eq!(events, wanted);
    let written = wanted.map(|event| serde_json::to_string(&event).unwrap());
    assert_eq!(written.join("\n"), GOLDEN.trim_end());
    let state = events
        .iter()
        .take(3)
        .fold(SharedDataLifecycle::default(), SharedDataLifecycle::evolve);
    let shares = Shares {
        reads: percent(5000),
        writes: percent(2025),
    };
    assert_eq!((state.shares(), state.epoch()), (shares, Epoch(3)));
}

#[test]
fn no_event_is_taken_for_one_of_data_that_move() {
    for line in GOLDEN.lines() {
        assert!(
            serde_json::from_str::<lifecycle::Event>(line).is_err(),
            "{line}"
        );
    }
    let other = serde_json::to_string(&lifecycle::Event::Cancelled).unwrap();
    assert!(serde_json::from_str::<Event>(&other).is_err());
}

fn command() -> impl Strategy<Value = Command> {
    let share = || proptest::option::of(0..=10_000u16);
    let side = prop_oneof![Just(Side::Monolith), Just(Side::Service)];
    prop_oneof![
        2 => Just(Command::Start),
        6 => (share(), share()).prop_map(|(reads, writes)| shift(reads, writes)),
        2 => side.prop_map(Command::SendAll),
        1 => Just(Command::Cancel),
    ]
}

proptest! {
    /// Whatever people ask: each decision has an epoch of its own, above all
    /// before it, and the journal leads to the same state.
    #[test]
    fn epochs_only_grow_and_the_journal_says_everything(
        commands in proptest::collection::vec(command(), 0..40),
    ) {
        let mut state = SharedDataLifecycle::default();
        let mut journal = Vec::new();
        for command in commands {
            let before = state;
            if let Ok(Some(event)) = state.decide(command) {
                let text = serde_json::to_string(&event).unwrap();
                journal.push(serde_json::from_str::<Event>(&text).unwrap());
                state = state.evolve(&event);
                prop_assert_eq!(state.epoch(), before.epoch().next());
                prop_assert_eq!(state.routing().epoch, state.epoch());
            }
            let shares = state.shares();
            prop_assert_eq!(state.routing().writes, Writes::Split(shares.writes));
            prop_assert_eq!(state.routing().reads, shares.reads);
            let is_planned = matches!(state, SharedDataLifecycle::Planned(_));
            prop_assert!(!is_planned || shares == Shares::all_to(Side::Monolith));
        }
        let replayed = journal.iter().fold(SharedDataLifecycle::default(), SharedDataLifecycle::evolve);
        prop_assert_eq!(replayed, state);
    }
}
