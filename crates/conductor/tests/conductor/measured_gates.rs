//! Gates on what others measure: a query, a webhook, a command.

use crate::{
    rollout::{ada, counts, mover, process, reads, rollout, until},
    support::*,
};
use conductor::{
    Request, StepVerb,
    ports::{Measurement, Moment, Sample},
    status::RolloutStatus,
};
use std::sync::Arc;

/// A value of whenever it is asked for, as Prometheus answers.
fn value(value: f64) -> Measurement {
    let at = ScriptedGauges::NOW;
    Measurement::Series(vec![vec![Sample { at, value }]])
}

fn says(status: &RolloutStatus, gate: &str, verdict: &str, text: &str) -> bool {
    let mut gates = status.gates.iter();
    gates.any(|one| one.name == gate && one.verdict == verdict && one.text.contains(text))
}

const SATURATION: &str = "gates: { prometheus: { saturation: { server: 'http://p', query: q, \
                          max: 0.8, max-age: 1s, every: 1s, for: 1s } } }, \
                          steps: [{ reads: 50%, for: 1s }, { reads: 100% }]";

/// Nothing that is no value lets the step end, and nothing of it takes the step back.
#[tokio::test]
async fn a_query_without_a_value_has_the_step_wait_and_a_bad_one_takes_it_back() {
    let process = process(SATURATION);
    let gate = "prometheus saturation";
    process
        .gauges
        .answer(gate, Err("connection refused".to_owned()));
    let mut conductor = process.conductor(&mover()).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    let old = Sample {
        at: Moment::from_millis(1),
        value: 0.1,
    };
    for (answer, why) in [
        (
            Err("connection refused".to_owned()),
            "http://p/: connection refused",
        ),
        (Ok(Measurement::Series(vec![])), "no such series"),
        (Ok(Measurement::Series(vec![vec![]])), "the series is empty"),
        (Ok(Measurement::Series(vec![vec![old]; 2])), "2 series"),
        (
            Ok(Measurement::Series(vec![vec![old]])),
            "before the step began",
        ),
        (Ok(value(f64::NAN)), "not a number"),
        (Ok(value(f64::INFINITY)), "infinite"),
    ] {
        process.gauges.answer(gate, answer);
        until(&handle, why, |status| says(status, gate, "unknown", why)).await;
        let status = handle.status();
        assert_eq!((status.state.as_str(), status.step), ("running", Some(1)));
        assert_eq!(reads(&worker.status()), "50");
    }
    process.gauges.answer(gate, Ok(value(0.93)));
    until(&handle, "stopped", |status| status.state == "stopped").await;
    until(&handle, "withdrawn", |_| reads(&worker.status()) == "0").await;
    let why = handle.status().why.unwrap();
    assert_eq!(
        why,
        "gate `prometheus saturation` failed: 0.93, and 0.8 is the most, 2 readings in a row"
    );
    conductor.stop().await;
}

/// A server may look back before the step: it is asked only when that is too long ago.
#[tokio::test]
async fn nothing_of_before_the_step_is_asked_for() {
    let process = process(
        "gates: { prometheus: { saturation: { server: 'http://p', query: q, max: 0.8, every: 1s, \
         for: 1s, timeout: 1s, unmeasured-max: 1s } }, \
         webhook: { lead: { url: 'http://w', every: 1s } } }, \
         steps: [{ reads: 50% }, { reads: 100% }]",
    );
    let gate = "prometheus saturation";
    process.gauges.answer(gate, Ok(value(0.93)));
    let no = Measurement::Answer(false, "closed".to_owned());
    process.gauges.answer("webhook lead", Ok(no));
    let mut conductor = process.conductor(&mover()).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    // Those are the webhook's.
    until(&handle, "asked", |_| {
        process.gauges.occasions.lock().unwrap().len() >= 4
    })
    .await;
    let status = handle.status();
    assert!(says(&status, gate, "unknown", ""), "{:?}", status.gates);
    assert_eq!(status.state, "running");
    conductor.stop().await;
}

/// Who says no has the step wait, until yes is said; what decides nothing is shown.
#[tokio::test]
async fn webhooks_and_commands_are_waited_for() {
    let process = process(
        "gates: { webhook: { lead: { url: 'http://w/secret', every: 1s } }, \
         command: { contracts: { run: [sh, -c, secret], every: 1s, dry-run: true } } }, \
         steps: [{ reads: 50% }, { reads: 100% }]",
    );
    let (lead, contracts) = ("webhook lead", "command contracts");
    let answer = |is_yes, text: &str| Ok(Measurement::Answer(is_yes, text.to_owned()));
    process
        .gauges
        .answer(lead, answer(false, "HTTP 403: closed"));
    process
        .gauges
        .answer(contracts, answer(false, "exit 1: two broke"));
    let mut conductor = process.conductor(&mover()).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    until(&handle, "waiting", |status| {
        says(status, lead, "fail", "closed")
            && says(status, contracts, "fail", "two broke")
            && status.waits_for == ["gate `webhook lead`: HTTP 403: closed"]
    })
    .await;
    let evidence = format!("{:?}", handle.status().gates);
    assert!(!evidence.contains("secret"), "{evidence}");
    let occasion = process.gauges.occasions.lock().unwrap()[0].clone();
    assert_eq!(
        (occasion.phase, occasion.step.as_str()),
        ("Progressing", "reads 50%")
    );
    process.gauges.answer(lead, answer(true, "HTTP 200 OK"));
    until(&handle, "done", |status| status.state == "done").await;
    conductor.stop().await;
}

const AWAKE: &str = "gates: { prometheus: { saturation: { server: 'http://p', query: q, max: 0.8, \
                     max-age: 1s, every: 1s, for: 1s } } }, \
                     steps: [{ reads: 50%, for: 1s }, { reads: 100%, approval: lead }]";

/// In each state that waits gates are measured, and what harms is taken back: at an approval
/// and in a pause at once, in a halt as soon as that has ended.
#[tokio::test]
async fn gates_are_awake_in_every_state_that_waits() {
    for state in ["approval", "pause", "halt"] {
        let process = process(AWAKE);
        let gate = "prometheus saturation";
        process.gauges.answer(gate, Ok(value(0.1)));
        let mut conductor = process.conductor(&mover()).await;
        let handle = rollout(&process, &mut conductor, &Arc::default()).await;
        let worker = conductor.workers()[&name()].clone();
        worker.request(Request::Start).await.unwrap();
        until(&handle, "at the approval", |status| {
            status.waits_for.iter().any(|one| one.contains("lead"))
        })
        .await;
        match state {
            "pause" => handle.order(StepVerb::Pause, ada(), "").await.unwrap(),
            "halt" => conductor.halt().begin("ada", "").await.unwrap(),
            _ => {}
        }
        process.gauges.answer(gate, Ok(value(0.9)));
        until(&handle, "seen", |status| says(status, gate, "fail", "0.9")).await;
        if state == "halt" {
            assert_eq!(reads(&worker.status()), "50");
            conductor.halt().end("ada", "", None).await.unwrap();
        }
        until(&handle, "withdrawn", |_| reads(&worker.status()) == "0").await;
        let why = handle.status().why.unwrap();
        assert!(
            why.contains("`prometheus saturation` failed"),
            "{state}: {why}"
        );
        conductor.stop().await;
    }
}

/// A step may wait for its approval for weeks, and the process does not last so long.
#[tokio::test]
async fn after_a_restart_between_two_steps_harm_is_taken_back_as_before_it() {
    let measured = |process: &Process, saturation, is_yes| {
        let answer = Measurement::Answer(is_yes, "closed".to_owned());
        let gauges = &process.gauges;
        gauges.answer("prometheus saturation", Ok(value(saturation)));
        gauges.answer("command guard", Ok(answer));
    };
    let errors = |process: &Process, service| {
        *process.told.counts.lock().unwrap() = Some(counts(service));
    };
    for (gate, gates) in [
        (
            "prometheus saturation",
            "prometheus: { saturation: { server: 'http://p', query: q, max: 0.8, max-age: 1s, \
             every: 1s, for: 1s } }",
        ),
        (
            "command guard",
            "command: { guard: { run: [guard], every: 1s, on-fail: undo } }",
        ),
        ("throughput", "throughput: { min: 50%, on-fail: undo }"),
        ("error-rate", "error-rate: { max: 1% }"),
    ] {
        let process = process(&format!(
            "gates: {{ {gates} }}, \
             steps: [{{ reads: 50%, for: 1s }}, {{ reads: 100%, approval: lead }}]"
        ));
        measured(&process, 0.1, true);
        errors(&process, 0);
        let mover = mover();
        let mut conductor = process.conductor(&mover).await;
        let handle = rollout(&process, &mut conductor, &Arc::default()).await;
        let worker = conductor.workers()[&name()].clone();
        worker.request(Request::Start).await.unwrap();
        let asks = |status: &RolloutStatus| status.waits_for.iter().any(|one| one.contains("lead"));
        until(&handle, "at the approval", asks).await;
        conductor.stop().await;
        lose_gates(process.state.path()).await;
        mover.keeps_its_rows();
        let mut conductor = process.conductor(&mover).await;
        let handle = rollout(&process, &mut conductor, &Arc::default()).await;
        let worker = conductor.workers()[&name()].clone();
        until(&handle, "at the approval again", asks).await;
        until(&handle, "judged", |status| says(status, gate, "pass", "")).await;
        assert_eq!(reads(&worker.status()), "50");
        match gate {
            "throughput" => few_reach_the_service(&process),
            "error-rate" => errors(&process, 30),
            _ => measured(&process, 0.9, false),
        }
        until(&handle, "withdrawn", |_| reads(&worker.status()) == "0").await;
        let why = handle.status().why.unwrap();
        assert!(why.contains(&format!("`{gate}` failed")), "{why}");
        conductor.stop().await;
    }
}

/// The service has a fortieth of the requests that half of the clients should bring.
fn few_reach_the_service(process: &Process) {
    let mut counts = counts(0);
    for cell in &mut counts.service.reads {
        cell.requests = 5;
        cell.bins.clear();
    }
    *process.told.counts.lock().unwrap() = Some(counts);
}

#[tokio::test]
async fn traffic_that_does_not_come_has_the_step_wait() {
    let process = process(
        "gates: { throughput: { min: 50% } }, steps: [{ reads: 50%, for: 1s }, { reads: 100% }]",
    );
    few_reach_the_service(&process);
    let mut conductor = process.conductor(&mover()).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    let text = "by its share of all in the same windows, and 50% is the least";
    until(&handle, "waiting", |status| {
        says(status, "throughput", "fail", text) && status.until_ms.is_none()
    })
    .await;
    assert_eq!(reads(&worker.status()), "50");
    conductor.stop().await;
}
