//! Why a hand-over does not come about, and what is said of it.

use crate::support::*;
use conductor::{
    Precondition, Request, RequestError, Shift, Waived, ports::InFlight, status::HandoverStatus,
};
use plan::Percent;
use std::time::Duration;

async fn handed_over(worker: &conductor::Worker, request: Request) -> HandoverStatus {
    let reply = tokio::time::timeout(LIMIT, worker.request(request)).await;
    reply.unwrap().unwrap().status.last_handover.unwrap()
}

/// Writes that do not end: the drain is given up by its own bound, long before that of
/// the hold, and what has kept it is named.
#[tokio::test]
async fn a_drain_that_does_not_end_is_given_up_by_its_bound() {
    let bounds = "    switch: { hold: 10m, drain: 50ms }\n    data: {";
    let process = Process::planned(&PLAN.replace("    data: {", bounds));
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    *process.told.undrained.lock().unwrap() = Some(InFlight {
        count: 3,
        longest: Duration::from_millis(12_340),
        route: Some("POST /contracts".to_owned()),
    });
    let aborted = handed_over(&worker, Request::Switch).await;
    let reason = aborted.reason.unwrap();
    for part in [
        "`switch.drain` (50ms; `switch.hold`, 600s",
        "3 are not answered yet, the longest for 12.3 s, by the route `POST /contracts`",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(worker.status().owner, "monolith");
    *process.told.undrained.lock().unwrap() = None;
    let switched = handed_over(&worker, Request::Switch).await;
    assert_eq!(switched.outcome, "committed");
    conductor.stop().await;
}

/// All that speaks against a rollback is told at once, and each of it can be waived.
#[tokio::test]
async fn a_rollback_is_told_all_reasons_and_waives_those_that_it_names() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = switched(&conductor).await;
    *mover.sick.lock().unwrap() = vec!["the monolith is slow".to_owned()];
    *mover.unproven.lock().unwrap() = vec!["public.c was rewritten".to_owned()];
    for (proof, health, told) in [
        (false, false, ["slow", "rewritten"].as_slice()),
        (true, false, &["slow"]),
        (false, true, &["rewritten"]),
    ] {
        let waived = Waived { proof, health };
        let aborted = handed_over(&worker, Request::RollBack(waived)).await;
        let reason = aborted.reason.unwrap();
        for one in ["slow", "rewritten"] {
            assert_eq!(
                reason.contains(one),
                told.contains(&one),
                "{waived:?}: {reason}"
            );
        }
        assert_eq!(worker.status().owner, "service");
    }
    let both = Waived {
        proof: true,
        health: true,
    };
    let back = handed_over(&worker, Request::RollBack(both)).await;
    assert_eq!(back.outcome, "committed");
    assert_eq!(worker.status().owner, "monolith");
    conductor.stop().await;
}

/// What is rewritten while a rollback waits for health and rows is no less unproven.
#[tokio::test]
async fn what_is_rewritten_meanwhile_is_found_before_a_rollback() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = switched(&conductor).await;
    *mover.rewritten.lock().unwrap() = Some("public.c was rewritten".to_owned());
    let aborted = handed_over(&worker, Request::RollBack(Waived::default())).await;
    let reason = aborted.reason.unwrap();
    assert!(reason.contains("rewritten"), "{reason}");
    assert_eq!(worker.status().owner, "service");
    conductor.stop().await;
}

/// Somebody looks, a colleague orders, and then the first one does: what was decided on
/// by what is not so any more is not done, though the same verb is possible.
#[tokio::test]
async fn an_order_is_for_what_was_seen() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let conductor = process.conductor(&mover).await;
    let worker = switched(&conductor).await;
    let seen = worker.status();
    handed_over(&worker, Request::RollBack(Waived::default())).await;
    handed_over(&worker, Request::Switch).await;
    let late = async |request, seen| {
        let expected = Some(Precondition::of(seen));
        match worker.request_if(request, expected).await {
            Err(RequestError::Changed(why)) => Some(why),
            done => done.map(|_| None).unwrap(),
        }
    };
    let back = Request::RollBack(Waived::default());
    let why = late(back, &seen).await.unwrap();
    assert!(why.contains("its epoch was 1 and is 3"), "{why}");
    assert_eq!(worker.status().owner, "service");
    // Two who looked at the same time: the first one is right.
    let seen = worker.status();
    assert_eq!(late(back, &seen).await, None);
    assert_eq!(worker.status().owner, "monolith");
    let why = late(back, &seen).await.unwrap();
    assert!(
        why.contains("it was `switched` and is `following`"),
        "{why}"
    );
    // Readers move without a new epoch.
    let seen = worker.status();
    let share = |text| Request::Shift(Shift::Reads(Percent::parse(text).unwrap()));
    assert_eq!(late(share("7%"), &seen).await, None);
    let why = late(share("50%"), &seen).await.unwrap();
    assert!(why.contains("and 7 % are"), "{why}");
    assert_eq!(worker.status().reads_percent.to_string(), "7");
    conductor.stop().await;
}
