//! An extraction that has switched and is kept at the service for good.

use protocol::{
    Epoch, InstanceId, Nonce, Side,
    lifecycle::{Command, Event, Lifecycle, Rejection, Verified},
    owner::{Outcome, Owner, OwnerRow, RowRead},
    reconcile::reconcile,
    routing::Writes,
};
use uuid::Uuid;

fn replayed(events: &[Event]) -> Lifecycle {
    events.iter().fold(Lifecycle::Planned, Lifecycle::evolve)
}

fn switched() -> Vec<Event> {
    let instance = InstanceId(Uuid::from_u128(1));
    let nonce = Nonce(Uuid::from_u128(2));
    vec![
        Event::Started { instance },
        Event::Prepared,
        Event::Copied,
        Event::HandoverBegan {
            epoch: Epoch(1),
            from: Side::Monolith,
            nonce,
        },
        Event::HandoverEnded {
            outcome: Outcome::Committed,
            reason: None,
        },
    ]
}

#[test]
fn only_what_has_switched_is_finished_and_then_nothing_goes_back() {
    let mut events = switched();
    let follows = replayed(&events[..3]);
    assert_eq!(follows.decide(Command::Finish), Err(Rejection::NotSwitched));
    assert!(follows.decide(Command::Withdraw).is_ok());
    let state = replayed(&events);
    assert_eq!(
        state.decide(Command::Withdraw),
        Err(Rejection::NotWithdrawn)
    );
    events.extend(state.decide(Command::Finish).unwrap());
    let finishing = replayed(&events);
    assert_eq!(finishing.name(), "finishing");
    assert_eq!(finishing.decide(Command::Finish), Ok(Vec::new()));
    events.extend(finishing.decide(Command::Finished).unwrap());
    let finished = replayed(&events);
    for state in [&finishing, &finished] {
        let nonce = Nonce(Uuid::from_u128(3));
        let to = Side::Monolith;
        for command in [
            Command::HandOver { to, nonce },
            Command::Cancel,
            Command::Withdraw,
            Command::Verified(Verified::Never),
        ] {
            let refused = state.decide(command).unwrap_err();
            assert!(matches!(refused, Rejection::Finished(_)), "{refused}");
        }
        let routing = state.routing();
        assert_eq!(routing.writes, Writes::To(Side::Service));
        assert_eq!(routing.epoch, Epoch(1));
        assert_eq!(routing.reads, plan::Percent::ALL);
        assert!(!routing.follows, "nothing flows back any more");
    }
    assert!(replayed(&switched()).routing().follows);
    assert_eq!(finished.decide(Command::Finish), Ok(Vec::new()));
}

#[test]
fn a_restart_goes_on_whatever_is_left_of_the_rows() {
    let mut events = switched();
    events.push(Event::FinishBegan);
    let row = RowRead::Row(OwnerRow {
        owner: Owner::Service,
        epoch: Epoch(1),
        generation: protocol::Generation(9),
        conductor: protocol::ConductorId(Uuid::from_u128(4)),
        instance: InstanceId(Uuid::from_u128(1)),
        nonce: Nonce(Uuid::from_u128(2)),
    });
    for state in [replayed(&events), {
        events.push(Event::Finished);
        replayed(&events)
    }] {
        for monolith in [row, RowRead::NoRow, RowRead::NoAnswer] {
            for service in [row, RowRead::NoRow, RowRead::NoAnswer] {
                let found = reconcile(&state, monolith, service, true);
                assert_eq!(found, Ok(Vec::new()), "{monolith:?} {service:?}");
            }
        }
    }
}
