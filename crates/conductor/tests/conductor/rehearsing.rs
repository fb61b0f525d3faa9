//! Rehearsals of a hand-over: what they do and what stays of them.

use crate::support::*;
use conductor::{
    Request,
    ports::InFlight,
    status::{ExtractionStatus, HandoverStatus, Pause},
};
use std::time::Duration;

async fn rehearsed(worker: &conductor::Worker) -> HandoverStatus {
    let reply = tokio::time::timeout(LIMIT, worker.request(Request::Rehearse)).await;
    reply.unwrap().unwrap().status.last_handover.unwrap()
}

fn undrained() -> InFlight {
    InFlight {
        count: 3,
        longest: Duration::from_millis(1_340),
        route: Some("POST /contracts".to_owned()),
    }
}

const PATIENT: &str = "    switch: { hold: 10m, drain: 50ms }\n    data: {";

/// In both directions, and the hand-over itself works after it.
#[tokio::test]
async fn a_rehearsal_gets_through_and_nothing_of_it_stays() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    let last = rehearsed(&worker).await;
    assert!(last.rehearsal);
    assert_eq!((last.kind.as_str(), last.epoch), ("switch", 1));
    assert_eq!((last.outcome.as_str(), last.reason), ("rehearsed", None));
    let steps: Vec<_> = last.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(
        steps,
        ["ready", "lock", "fence", "catch-up", "abort"],
        "there is no gateway to hold"
    );
    let status = worker.status();
    assert_eq!((status.phase.as_str(), status.epoch), ("following", 1));
    worker.request(Request::Switch).await.unwrap();
    assert_eq!(worker.status().phase, "switched");
    let last = rehearsed(&worker).await;
    assert_eq!((last.kind.as_str(), last.epoch), ("rollback", 3));
    assert_eq!(last.outcome, "rehearsed");
    let status = worker.status();
    assert_eq!(status.owner, "service");
    // What was meant is still told, also after a restart.
    let switch = |status: ExtractionStatus| {
        let (last, before) = (status.last_handover, status.handover_before_rehearsal);
        assert_eq!(last.unwrap().epoch, 3);
        let before = before.unwrap();
        assert_eq!((before.rehearsal, before.epoch), (false, 2));
        assert_eq!((&*before.kind, &*before.outcome), ("switch", "committed"));
        before.steps.len()
    };
    let steps = switch(status);
    assert!(steps > 0);
    conductor.stop().await;
    mover.keeps_its_rows();
    let conductor = process.conductor(&mover).await;
    assert_eq!(switch(conductor.workers()[&name()].status()), steps);
    conductor.stop().await;
}

/// What stands in the way of a switch stands in the way of its rehearsal.
#[tokio::test]
async fn a_rehearsal_is_refused_like_a_switch() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = conductor.workers()[&name()].clone();
    let refused = worker.request(Request::Rehearse).await.unwrap_err();
    assert!(refused.to_string().contains("it is planned"), "{refused}");
    worker.request(Request::Start).await.unwrap();
    *mover.sick.lock().unwrap() = vec!["the service is slow".to_owned()];
    let last = rehearsed(&worker).await;
    assert_eq!(last.outcome, "aborted");
    assert!(last.rehearsal && !last.held());
    assert_eq!(last.reason.unwrap(), "the service is slow");
    conductor.stop().await;
}

/// A second one, and a switch, are turned away while one is under way; after it the
/// figures of each are its own, however soon the next one is asked for.
#[tokio::test]
async fn one_at_a_time() {
    let process = Process::planned(&PLAN.replace("    data: {", PATIENT));
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    *process.told.undrained.lock().unwrap() = Some(undrained());
    let (first, second, switch) = tokio::join!(
        rehearsed(&worker),
        worker.request(Request::Rehearse),
        worker.request(Request::Switch)
    );
    assert_eq!(first.outcome, "aborted");
    assert!(first.reason.unwrap().contains("`switch.drain`"));
    for refused in [second.unwrap_err(), switch.unwrap_err()] {
        let text = refused.to_string();
        assert!(text.contains("it is rehearsing. Wait"), "{text}");
    }
    *process.told.undrained.lock().unwrap() = None;
    let first = rehearsed(&worker).await;
    let second = rehearsed(&worker).await;
    assert_eq!((first.epoch, second.epoch), (2, 3));
    conductor.stop().await;
}

/// Whoever goes on from the journal undoes it, and says that it was one.
#[tokio::test]
async fn a_restart_in_the_middle_undoes_it() {
    let process = Process::planned(&PLAN.replace("    data: {", &PATIENT.replace("50ms", "5m")));
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let first = process.conductor(&mover).await;
    let worker = first.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    *process.told.undrained.lock().unwrap() = Some(undrained());
    let waiting = tokio::spawn(async move { worker.request(Request::Rehearse).await });
    let holds = protocol::routing::Writes::Hold {
        from: protocol::Side::Monolith,
    };
    process.told.until(&[MONOLITH, holds]).await;
    first.stop().await;
    assert!(waiting.await.unwrap().is_err());

    mover.keeps_its_rows();
    let second = process.conductor(&mover).await;
    process.told.until(&[MONOLITH, holds, MONOLITH]).await;
    let last = second.workers()[&name()].status().last_handover.unwrap();
    assert!(last.rehearsal);
    assert_eq!(last.outcome, "aborted");
    assert_eq!(last.reason.as_deref(), Some("the conductor was restarted"));
    let pause = last.pause();
    assert!(matches!(pause, Some(Pause::AtMost(_))), "{pause:?}");
    second.stop().await;
}
