//! What the gateways are told while nobody is in charge, or somebody else is.

use crate::support::*;
use conductor::{
    JournalError, Request, RequestError, ShownOwner,
    ports::{Rows, WorkError},
};
use protocol::{ConductorId, Epoch, Side, owner::RowRead, routing::Writes};

#[tokio::test]
async fn until_the_rows_are_known_the_last_routing_stays() {
    let process = Process::new();
    let before = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let first = process.conductor(&before).await;
    process.told.until(&[MONOLITH]).await;
    first.stop().await;
    let known = before.claimed_by().unwrap();

    let silent = Err(WorkError::Transient("no answer".to_owned()));
    let mover = Scripted::new(silent, Ok(()));
    let second = process.conductor(&mover).await;
    mover.asked_again().await;
    process.told.until(&[MONOLITH]).await;
    let neither = Rows {
        service: RowRead::NoAnswer,
        monolith: RowRead::NoAnswer,
        ..NOTHING_YET
    };
    *mover.rows.lock().unwrap() = Ok(neither);
    mover.asked_again().await;
    process.told.until(&[MONOLITH]).await;

    *mover.rows.lock().unwrap() = Ok(contradicting(known));
    process.told.until(&[MONOLITH, Writes::Refuse]).await;
    *mover.rows.lock().unwrap() = Ok(NOTHING_YET);
    process
        .told
        .until(&[MONOLITH, Writes::Refuse, MONOLITH])
        .await;
    second.stop().await;
}

#[tokio::test]
async fn who_is_superseded_has_the_gateways_refuse_and_ends() {
    let process = Process::new();
    let superseded = Err(WorkError::Superseded("somebody else".to_owned()));
    let mover = Scripted::new(Ok(NOTHING_YET), superseded);
    let mut conductor = process.conductor(&mover).await;
    let result = conductor.workers()[&name()].request(Request::Start).await;
    assert!(matches!(result, Err(RequestError::Failed(_))), "{result:?}");
    let ended = tokio::time::timeout(LIMIT, conductor.failed());
    let error = ended.await.unwrap();
    assert!(
        matches!(error, Some(JournalError::Superseded(_))),
        "{error:?}"
    );
    process.told.until(&[MONOLITH, Writes::Refuse]).await;
}

/// The owner's database was restored: its row is older than the claim on it, and no
/// other conductor has come.
#[tokio::test]
async fn who_meets_a_restored_row_takes_charge_anew() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = &conductor.workers()[&name()];
    worker.request(Request::Start).await.unwrap();
    mover.keeps_its_rows();
    let older = WorkError::RowChanged("the row is older".to_owned());
    mover.recopies.lock().unwrap().push(older);
    let looks = *mover.looks.borrow();
    let shown = ShownOwner {
        owner: Side::Monolith,
        epoch: Epoch(0),
    };
    let reply = worker.request(Request::Recopy(shown)).await.unwrap();
    assert!(reply.recopied.is_some(), "{reply:?}");
    assert!(*mover.looks.borrow() > looks);
    process.told.until(&[MONOLITH]).await;
    conductor.stop().await;
}

/// Another conductor has gone on with a hand-over, and with the next one: the one that
/// still has it in hand neither ends it nor tries for ever.
#[tokio::test]
async fn who_was_overtaken_says_that_another_was_at_work() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = &conductor.workers()[&name()];
    worker.request(Request::Start).await.unwrap();
    let mut rows = mover.prepared_rows();
    for read in [&mut rows.monolith, &mut rows.service] {
        if let RowRead::Row(row) = read {
            row.epoch = Epoch(2);
        }
    }
    *mover.overtaken.lock().unwrap() = Some(rows);
    let waiting = worker.clone();
    let waiting = tokio::spawn(async move { waiting.request(Request::Switch).await });
    let holds = Writes::Hold {
        from: Side::Monolith,
    };
    process.told.until(&[MONOLITH, holds, Writes::Refuse]).await;
    let trouble = worker.status().trouble.unwrap();
    assert!(
        trouble.contains("another conductor has been at work"),
        "{trouble}"
    );
    let refused = waiting.await.unwrap().unwrap_err().to_string();
    assert!(
        refused.contains("another conductor has been at work"),
        "{refused}"
    );
    conductor.stop().await;
}

/// Somebody agrees to lose what only one side has, and a switch comes in between.
#[tokio::test]
async fn rows_are_copied_again_only_from_the_owner_that_was_shown() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = &conductor.workers()[&name()];
    worker.request(Request::Start).await.unwrap();
    for (owner, epoch) in [(Side::Service, 0), (Side::Monolith, 1)] {
        let shown = ShownOwner {
            owner,
            epoch: Epoch(epoch),
        };
        let refused = worker.request(Request::Recopy(shown)).await;
        assert!(
            matches!(refused, Err(RequestError::OwnerChanged { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(*mover.recopied.lock().unwrap(), []);
    let shown = ShownOwner {
        owner: Side::Monolith,
        epoch: Epoch(0),
    };
    worker.request(Request::Recopy(shown)).await.unwrap();
    assert_eq!(*mover.recopied.lock().unwrap(), [Side::Monolith]);
    conductor.stop().await;
}

/// What was verified before the rows were copied again is proven no more, nor is it after a
/// restart.
#[tokio::test]
async fn a_verify_counts_until_the_rows_are_copied_again() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let first = process.conductor(&mover).await;
    let worker = first.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    worker.request(Request::Verify).await.unwrap();
    first.stop().await;

    mover.keeps_its_rows();
    let second = process.conductor(&mover).await;
    let worker = second.workers()[&name()].clone();
    worker.request(Request::Resume).await.unwrap();
    assert!(worker.status().last_verify.is_some(), "over a restart");
    let shown = ShownOwner {
        owner: Side::Monolith,
        epoch: Epoch(0),
    };
    worker.request(Request::Recopy(shown)).await.unwrap();
    second.stop().await;

    mover.keeps_its_rows();
    let third = process.conductor(&mover).await;
    let worker = third.workers()[&name()].clone();
    worker.request(Request::Resume).await.unwrap();
    assert!(worker.status().last_verify.is_none());
    third.stop().await;
}

/// As a full disk has it. The gateways route on, and nothing has happened.
#[tokio::test]
async fn a_journal_that_cannot_be_written_ends_nothing() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let first = process.conductor(&mover).await;
    process.told.until(&[MONOLITH]).await;
    first.stop().await;
    fill_disk(process.state.path()).await;
    let mut conductor = process.conductor(&mover).await;
    let worker = conductor.workers()[&name()].clone();
    for _ in 0..2 {
        let refused = tokio::select! {
            ended = conductor.failed() => panic!("it ended: {ended:?}"),
            refused = tokio::time::timeout(LIMIT, worker.request(Request::Start)) => refused,
        };
        let refused = refused.unwrap().unwrap_err().to_string();
        assert!(refused.contains("Make room"), "{refused}");
        assert_eq!(worker.status().phase, "planned");
    }
    conductor.stop().await;
    make_room(process.state.path()).await;
    let conductor = process.conductor(&mover).await;
    let worker = conductor.workers()[&name()].clone();
    let started = tokio::time::timeout(LIMIT, worker.request(Request::Start)).await;
    started.unwrap().unwrap();
    conductor.stop().await;
}

/// The session is ended while the triggers are dropped after a switch; the next attempt
/// succeeds, and no event tells of it.
#[tokio::test]
async fn what_has_been_done_after_all_is_no_trouble() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let ended = WorkError::Transient("the session was ended".to_owned());
    mover.unfencings.lock().unwrap().push(ended);
    let conductor = process.conductor(&mover).await;
    let worker = switched(&conductor).await;
    let state = || (*mover.unfenced.borrow(), worker.status().trouble);
    shows(LIMIT, "well", state, |now| *now == (true, None)).await;
    conductor.stop().await;
}

/// A right is missing for what comes first; whoever asks for what comes then is told.
#[tokio::test]
async fn who_waits_behind_what_a_person_must_mend_is_told() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let refused = WorkError::Permanent("must be owner; run `grant x to y`".to_owned());
    *mover.unfencings.lock().unwrap() = vec![refused; 100];
    let conductor = process.conductor(&mover).await;
    let worker = switched(&conductor).await;
    let verified = tokio::time::timeout(LIMIT, worker.request(Request::Verify)).await;
    let told = verified.unwrap().unwrap_err().to_string();
    assert!(told.contains("run `grant x to y`"), "{told}");
    mover.unfencings.lock().unwrap().clear();
    let verified = tokio::time::timeout(LIMIT, worker.request(Request::Verify)).await;
    verified.unwrap().unwrap();
    conductor.stop().await;
}

/// `banyan serve` has just come back, and somebody asks for a switch.
#[tokio::test]
async fn a_hand_over_waits_for_streams_that_are_being_started() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let first = process.conductor(&mover).await;
    let worker = first.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    first.stop().await;
    mover.keeps_its_rows();
    mover.follows.send_replace(false);
    let second = process.conductor(&mover).await;
    let worker = second.workers()[&name()].clone();
    let asked = worker.request(Request::Switch);
    let started = async {
        shows(
            LIMIT,
            "begun",
            || worker.status().owner,
            |owner| owner == "monolith",
        )
        .await;
        // It has been looked at by now, whatever becomes of it.
        let shift = Request::Shift(conductor::Shift::Reads(plan::Percent::ALL));
        worker.request(shift).await.unwrap();
        assert_eq!(worker.status().phase, "following");
        mover.follows.send_replace(true);
    };
    let (asked, ()) = tokio::time::timeout(LIMIT, async { tokio::join!(asked, started) })
        .await
        .unwrap();
    asked.unwrap();
    assert_eq!(worker.status().phase, "switched");
    second.stop().await;
}

/// Nothing is claimed, and the gateways are told nothing.
#[tokio::test]
async fn who_finds_another_in_charge_ends() {
    let process = Process::new();
    let mover = Scripted::new(Err(WorkError::InCharge("pid 7".to_owned())), Ok(()));
    let mut conductor = process.conductor(&mover).await;
    let error = tokio::time::timeout(LIMIT, conductor.failed()).await;
    let error = error.unwrap();
    assert!(
        matches!(&error, Some(JournalError::InCharge(who)) if who == "pid 7"),
        "{error:?}"
    );
    assert_eq!(mover.claimed_by(), None);
    process.told.until(&[]).await;
}

/// A state directory that is older than the rows: somebody else claimed them since.
#[tokio::test]
async fn rows_of_a_conductor_that_is_not_in_the_journal_are_left_alone() {
    let process = Process::new();
    let before = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let first = process.conductor(&before).await;
    process.told.until(&[MONOLITH]).await;
    first.stop().await;

    let other = ConductorId(uuid::Uuid::from_u128(7));
    let mover = Scripted::new(Ok(rows_of([1, 1], other)), Ok(()));
    let mut second = process.conductor(&mover).await;
    let error = tokio::time::timeout(LIMIT, second.failed()).await;
    let error = error.unwrap();
    assert!(
        matches!(&error, Some(JournalError::OldState(why)) if why.contains(&other.to_string())),
        "{error:?}"
    );
    assert_eq!(mover.claimed_by(), None);
    process.told.until(&[MONOLITH]).await;

    // Without a journal they are all that is known.
    let process = Process::new();
    let third = process.conductor(&mover).await;
    process.told.until(&[MONOLITH]).await;
    assert!(mover.claimed_by().is_some());
    third.stop().await;
}
