//! The steps of a plan, gone through by themselves.

use crate::support::*;
use async_trait::async_trait;
use conductor::{
    Conductor, HaltError, Journal, JournalQuery, Precondition, Request, RolloutHandle, Shift,
    ShiftGuard, StepVerb,
    ports::{AnswerCounts, CellCounts, Gauges, InFlight, Progress, SideCounts, StreamProgress},
    status::{ExtractionStatus, NextVerb, RolloutStatus},
};
use plan::{ExtractionName, Percent};
use protocol::rollout::Actor;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

pub fn ada() -> Actor {
    Actor::Person("ada".to_owned())
}

/// A service that is as healthy as it is told to be.
#[derive(Default)]
pub struct Service {
    problem: Mutex<Option<String>>,
}

#[async_trait]
impl ShiftGuard for Service {
    async fn refusal(&self, _: &ExtractionName) -> Option<String> {
        self.problem.lock().unwrap().clone()
    }
}

pub fn reads(status: &ExtractionStatus) -> String {
    status.reads_percent.to_string()
}

/// A mover whose streams are well: without, reads go to the owner.
pub fn mover() -> Arc<Scripted> {
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let stream = Some(StreamProgress {
        state: "applying".to_owned(),
        ..StreamProgress::default()
    });
    *mover.progress.lock().unwrap() = Progress {
        forward: stream.clone(),
        reverse: stream,
        ..Progress::default()
    };
    mover
}

/// A failure is told by some thirty windows of a quarter of a second, on a busy machine of
/// more.
const PATIENCE: Duration = Duration::from_mins(2);

pub fn process(rollout: &str) -> Process {
    let key = "rollout: { key: { header: x-user-id }";
    Process::planned(&PLAN.replace(key, &format!("{key}, {rollout}")))
}

pub async fn rollout(
    process: &Process,
    conductor: &mut Conductor,
    service: &Arc<Service>,
) -> RolloutHandle {
    rollout_by("digest", process, conductor, service).await
}

async fn rollout_by(
    digest: &str,
    process: &Process,
    conductor: &mut Conductor,
    service: &Arc<Service>,
) -> RolloutHandle {
    let gauges: Arc<dyn Gauges> = process.gauges.clone();
    let guard: Arc<dyn ShiftGuard> = service.clone();
    let (plan, digest) = (&process.plan, digest.into());
    let started = conductor.roll_out(plan, &digest, &process.publisher, &guard, &gauges);
    started.await.unwrap().remove(&name()).unwrap()
}

pub async fn until(rollout: &RolloutHandle, what: &str, is: impl Fn(&RolloutStatus) -> bool) {
    shows(PATIENCE, what, || rollout.status(), is).await;
}

/// The answers of a window: of each hundred requests of a client so many failed.
pub fn counts(service_errors: u32) -> SideCounts {
    let side = |errors| AnswerCounts {
        reads: vec![
            CellCounts {
                requests: 100,
                errors,
                bins: vec![(-40, 100)],
            };
            64
        ],
        writes: Vec::new(),
    };
    SideCounts {
        monolith: side(0),
        service: side(service_errors),
    }
}

#[tokio::test]
async fn all_steps_are_gone_through_and_a_restart_goes_on() {
    let process = process(
        "steps: [{ reads: 50%, for: 1s }, { reads: 100%, approval: lead }, switch, { watch: 1s }]",
    );
    let mover = mover();
    let service = Arc::default();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &service).await;
    until(&handle, "idle", |status| status.state == "idle").await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    let asks = |status: &RolloutStatus| status.waits_for.iter().any(|one| one.contains("lead"));
    until(&handle, "at the approval", asks).await;
    assert_eq!(reads(&worker.status()), "50");
    let early = handle.order(StepVerb::Resume(None), ada(), "").await;
    assert!(early.unwrap_err().contains("has not stopped"));
    conductor.stop().await;
    mover.keeps_its_rows();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout_by("another", &process, &mut conductor, &service).await;
    until(&handle, "at the approval again", asks).await;
    // A reload that brings the same steps leaves what somebody has seen as it was.
    let seen = Precondition::of(&ExtractionStatus {
        rollout: Some(handle.status()),
        ..conductor.workers()[&name()].status()
    });
    let schedule = process.plan.extractions[&name()].schedule.as_ref();
    let replaced = handle.replace(schedule.unwrap(), &"commented".into()).await;
    replaced.unwrap();
    handle
        .order_if(StepVerb::Approve, ada(), "seen", Some(seen))
        .await
        .unwrap();
    until(&handle, "done", |status| status.state == "done").await;
    let status = conductor.workers()[&name()].status();
    assert_eq!(
        (status.owner.as_str(), reads(&status).as_str()),
        ("service", "100")
    );
    conductor.stop().await;
    // By which plan that was decided, and what was found, stays.
    let journal = Journal::open(process.state.path()).await.unwrap();
    let page = journal.page(&JournalQuery::default()).await.unwrap();
    let events: Vec<_> = page.entries.iter().map(|one| one.event.get()).collect();
    let place = |wanted: &str| events.iter().position(|event| event.contains(wanted));
    let read = place(r#"{"event":"rollout-plan-read","plan":"another"}"#);
    assert!(
        place("rollout-began") < read && read < place("step-approved"),
        "{events:#?}"
    );
    // What let each step begin, before it was: its proof among it.
    let permitted = place(r#"{"event":"step-permitted","step":2,"#);
    assert!(
        permitted.is_some_and(|at| {
            Some(at) < place("handover-began")
                && events[at].contains(r#""gate":"verify""#)
                && events[at].contains(r#""plan":"commented""#)
        }),
        "{events:#?}"
    );
    for kept in ["verify", "handover"] {
        let kept = format!(r#"{{"event":"reported","of":"{kept}","report":{{"#);
        assert!(place(&kept).is_some(), "{kept}: {events:#?}");
    }
}

#[tokio::test]
async fn a_service_that_fails_loses_its_share_and_gets_it_again_when_mended() {
    let process = process(
        "gates: { error-rate: { max: 1% } }, steps: [{ reads: 50%, for: 3s }, { reads: 100% }]",
    );
    let mover = mover();
    *process.told.counts.lock().unwrap() = Some(counts(30));
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    until(&handle, "stopped", |status| status.state == "stopped").await;
    until(&handle, "withdrawn", |_| reads(&worker.status()) == "0").await;
    let stopped = handle.status();
    let why = stopped.why.unwrap();
    assert!(why.contains("`error-rate` failed: 30.00% of"), "{why}");
    // It waits for a person, and says which way there is.
    until(&handle, "waiting", |status| {
        status
            .waits_for
            .iter()
            .any(|one| one.contains("`banyan resume`"))
    })
    .await;
    *process.told.counts.lock().unwrap() = Some(counts(0));
    handle
        .order(StepVerb::Resume(None), ada(), "")
        .await
        .unwrap();
    until(&handle, "done", |status| status.state == "done").await;
    let status = worker.status();
    assert_eq!(reads(&status), "100");
    conductor.stop().await;
}

/// Without counts nothing is known, and that is no pass.
#[tokio::test]
async fn what_is_not_measured_passes_nothing() {
    let process =
        process("gates: { p95: { max: 1s } }, steps: [{ reads: 50%, for: 1s }, { reads: 100% }]");
    let mover = mover();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    until(&handle, "asking for p95", |status| {
        let waits = status.waits_for.iter();
        status.until_ms.is_none()
            && waits
                .clone()
                .any(|one| one.contains("could not be measured"))
    })
    .await;
    assert_eq!(reads(&worker.status()), "50");
    conductor.stop().await;
}

/// A shift asks what a person's would: health, and reads that write.
#[tokio::test]
async fn a_sick_service_gets_nothing_until_it_is_well() {
    let process = process("steps: [{ reads: 50% }]");
    let mover = mover();
    let service = Arc::new(Service::default());
    *service.problem.lock().unwrap() = Some("the service is not healthy: 503".to_owned());
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &service).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    until(&handle, "refused", |status| {
        status
            .refused
            .as_ref()
            .is_some_and(|why| why.contains("not healthy: 503"))
    })
    .await;
    assert_eq!(reads(&worker.status()), "0");
    *service.problem.lock().unwrap() = None;
    until(&handle, "done", |status| status.state == "done").await;
    conductor.stop().await;
}

/// An approval is for the step that was read: not for the next one, which a page of before
/// that knows nothing of.
#[tokio::test]
async fn who_approves_has_seen_the_step() {
    let process =
        process("steps: [{ reads: 10%, approval: lead }, { reads: 20%, approval: boss, for: 1h }]");
    let mover = mover();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    let waits_for = |who: &'static str| {
        move |status: &RolloutStatus| status.waits_for.iter().any(|one| one.contains(who))
    };
    let seen = || {
        Some(Precondition::of(&ExtractionStatus {
            rollout: Some(handle.status()),
            ..worker.status()
        }))
    };
    until(&handle, "at the first", waits_for("lead")).await;
    let first = seen();
    let approve = async |expected| {
        let verb = StepVerb::Approve;
        handle.order_if(verb, ada(), "", expected).await
    };
    approve(first.clone()).await.unwrap();
    until(&handle, "at the second", waits_for("boss")).await;
    let late = approve(first).await.unwrap_err();
    assert!(
        late.contains("were running in step 1 and are running in step 2"),
        "{late}"
    );
    assert_eq!(reads(&worker.status()), "10");
    approve(seen()).await.unwrap();
    until(&handle, "at 20 %", |status| status.entered_ms.is_some()).await;
    // It stops, goes on and stops again: not what the first page was about.
    let pause = async || handle.order(StepVerb::Pause, ada(), "").await.unwrap();
    let resume = async |expected| {
        let verb = StepVerb::Resume(None);
        handle.order_if(verb, ada(), "", expected).await
    };
    pause().await;
    let stopped = seen();
    resume(stopped.clone()).await.unwrap();
    pause().await;
    let late = resume(stopped).await.unwrap_err();
    assert!(late.contains("have decided something since"), "{late}");
    assert_eq!(handle.status().state, "stopped");
    conductor.stop().await;
}

/// Its steps are behind what was finished, and are not to begin anew.
#[tokio::test]
async fn who_finishes_has_gone_through_the_steps() {
    let process = process("steps: [{ reads: 100% }, switch, retire]");
    let mover = mover();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    let asks = |status: &RolloutStatus| status.asks == Some(NextVerb::Finish);
    until(&handle, "at the end", asks).await;
    worker.request(Request::Finish).await.unwrap();
    until(&handle, "done", |status| status.state == "done").await;
    conductor.stop().await;
    let journal = Journal::open(process.state.path()).await.unwrap();
    let page = journal.page(&JournalQuery::default()).await.unwrap();
    let mut events = page.entries.iter().map(|one| one.event.get());
    assert!(!events.any(|event| event.contains("rollout-forgotten")));
}

/// The words of a step have no approval in them, so that a restart cannot tell whether what
/// was approved is what comes.
#[tokio::test]
async fn an_approval_is_for_the_plan_that_was_read_and_outlasts_a_restart_with_it() {
    let mut process = process("steps: [{ reads: 50%, approval: lead, for: 1h }]");
    let mover = mover();
    let service = Arc::new(Service::default());
    let sick = "the service is not healthy: 503";
    *service.problem.lock().unwrap() = Some(sick.to_owned());
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &service).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    let waits_for = |who: &'static str| {
        move |status: &RolloutStatus| status.waits_for.iter().any(|one| one.contains(who))
    };
    let is_refused = |status: &RolloutStatus| {
        let why = status.refused.as_ref();
        why.is_some_and(|why| why.contains(sick))
    };
    until(&handle, "at the approval", waits_for("lead")).await;
    let approved = handle.order(StepVerb::Approve, ada(), "").await;
    approved.unwrap();
    until(&handle, "refused", is_refused).await;
    conductor.stop().await;
    mover.keeps_its_rows();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &service).await;
    until(&handle, "refused again", is_refused).await;
    conductor.stop().await;
    process.plan = self::process("steps: [{ reads: 50%, approval: boss, for: 1h }]").plan;
    *service.problem.lock().unwrap() = None;
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout_by("another", &process, &mut conductor, &service).await;
    until(&handle, "at the other approval", waits_for("boss")).await;
    let worker = conductor.workers()[&name()].clone();
    assert_eq!(reads(&worker.status()), "0");
    let approved = handle.order(StepVerb::Approve, ada(), "").await;
    approved.unwrap();
    until(&handle, "at 50 %", |_| reads(&worker.status()) == "50").await;
    conductor.stop().await;
}

/// What a person does is not undone, and a halt outlasts a restart.
#[tokio::test]
async fn people_come_first() {
    let process = process("steps: [{ reads: 50%, for: 1h }, { reads: 100% }]");
    let mover = mover();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    conductor.halt().begin("ada", "incident 7").await.unwrap();
    worker.request(Request::Start).await.unwrap();
    let halted = |status: &RolloutStatus| {
        status
            .waits_for
            .iter()
            .any(|one| one.contains("incident 7"))
    };
    until(&handle, "halted", halted).await;
    conductor.stop().await;
    mover.keeps_its_rows();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    until(&handle, "still halted", halted).await;
    // Who lifts it has seen it: not one that a colleague began since.
    let other = Some("halted by ben: incident 6".to_owned());
    let refused = conductor.halt().end("ada", "", other).await;
    assert!(matches!(refused, Err(HaltError::Changed { now: Some(_) })));
    until(&handle, "halted all the same", halted).await;
    let seen = conductor.halt().reason();
    assert_eq!(seen.as_deref(), Some("halted by ada: incident 7"));
    conductor.halt().end("ada", "mended", seen).await.unwrap();
    let worker = conductor.workers()[&name()].clone();
    until(&handle, "at 50 %", |status| status.entered_ms.is_some()).await;
    worker.request(Request::Withdraw).await.unwrap();
    until(&handle, "stopped", |status| status.state == "stopped").await;
    let why = handle.status().why.unwrap();
    assert!(why.contains("is not any more"), "{why}");
    assert_eq!(reads(&worker.status()), "0");
    conductor.stop().await;
}

/// A full disk stops the steps and nothing else, and they go on when there is room.
#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let process = process("steps: [{ reads: 50%, for: 1h }]");
    let mover = mover();
    let conductor = process.conductor(&mover).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    conductor.stop().await;
    mover.keeps_its_rows();
    fill_disk(process.state.path()).await;
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    until(&handle, "in trouble", |status| {
        status
            .refused
            .as_ref()
            .is_some_and(|why| why.contains("disk is full"))
    })
    .await;
    assert_eq!(
        conductor.halt().begin("ada", "").await,
        Err(conductor::HaltError::Unwritten)
    );
    assert_eq!(reads(&conductor.workers()[&name()].status()), "0");
    conductor.stop().await;
    make_room(process.state.path()).await;
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    until(&handle, "at 50 %", |status| status.entered_ms.is_some()).await;
    conductor.stop().await;
}

/// A hand-over that holds requests in vain is not tried for ever.
#[tokio::test]
async fn a_switch_that_is_undone_again_and_again_is_left_to_a_person() {
    let bounds = "    switch: { hold: 10m, drain: 50ms }\n    data: {";
    let key = "rollout: { key: { header: x-user-id }";
    let steps = PLAN
        .replace("    data: {", bounds)
        .replace(key, &format!("{key}, steps: [switch]"));
    let process = Process::planned(&steps);
    let mover = mover();
    *process.told.undrained.lock().unwrap() = Some(InFlight {
        count: 3,
        longest: Duration::from_secs(12),
        route: None,
    });
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    until(&handle, "stopped", |status| status.state == "stopped").await;
    let why = handle.status().why.unwrap();
    assert!(why.contains("begun and undone"), "{why}");
    assert_eq!(worker.status().epoch, 3, "so often");
    *process.told.undrained.lock().unwrap() = None;
    handle
        .order(StepVerb::Resume(None), ada(), "")
        .await
        .unwrap();
    until(&handle, "done", |status| status.state == "done").await;
    conductor.stop().await;
}

/// Hand-overs that were only rehearsed count for nothing, however they end.
#[tokio::test]
async fn rehearsals_are_no_failed_switches() {
    let bounds = "    switch: { hold: 10m, drain: 20ms }\n    data: {";
    let key = "rollout: { key: { header: x-user-id }";
    let steps = "steps: [{ reads: 5%, for: 1h }, switch]";
    let plan = PLAN
        .replace("    data: {", bounds)
        .replace(key, &format!("{key}, {steps}"));
    let process = Process::planned(&plan);
    let mut conductor = process.conductor(&mover()).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    until(&handle, "entered", |status| status.entered_ms.is_some()).await;
    let entered = handle.status().entered_ms;
    *process.told.undrained.lock().unwrap() = Some(InFlight {
        count: 3,
        longest: Duration::from_secs(12),
        route: None,
    });
    for _ in 0..4 {
        let reply = worker.request(Request::Rehearse).await.unwrap();
        assert_eq!(reply.status.last_handover.unwrap().outcome, "aborted");
    }
    *process.told.undrained.lock().unwrap() = None;
    let reply = worker.request(Request::Rehearse).await.unwrap();
    assert_eq!(reply.status.last_handover.unwrap().outcome, "rehearsed");
    until(&handle, "going on", |status| {
        status.waits_for == ["the step's time"]
    })
    .await;
    let status = handle.status();
    assert_eq!((status.state.as_str(), status.step), ("running", Some(1)));
    assert_eq!(status.entered_ms, entered);
    assert_eq!(worker.status().reads_percent.to_string(), "5");
    conductor.stop().await;
}

/// What a reload could not bring is shown until the plan's steps are those that count, or a
/// person has it go on by those that it has.
#[tokio::test]
async fn refused_steps_are_shown_until_they_are_put_back_or_it_is_resumed() {
    let process = process("steps: [{ reads: 50%, for: 1h }, switch]");
    let mover = mover();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    until(&handle, "in the step", |status| status.entered_ms.is_some()).await;
    let steps = |process: &Process| process.plan.extractions[&name()].schedule.clone().unwrap();
    let own = steps(&process);
    let mut less = own.clone();
    less.steps[0].lasts = Duration::from_mins(1);
    let refused = async || {
        let why = handle.accepts(&less, &"less".into()).await.unwrap_err();
        assert!(why.contains("may only last longer"), "{why}");
        let shown = |status: &RolloutStatus| status.steps_refused.as_ref() == Some(&why);
        until(&handle, "the refusal", shown).await;
    };
    refused().await;
    handle.replace(&own, &"put back".into()).await.unwrap();
    assert_eq!(handle.status().steps_refused, None);
    refused().await;
    handle.order(StepVerb::Pause, ada(), "").await.unwrap();
    assert!(handle.status().steps_refused.is_some());
    handle
        .order(StepVerb::Resume(None), ada(), "")
        .await
        .unwrap();
    // It goes on by the steps that it had: those of the plan do not count yet.
    assert!(handle.status().steps_refused.is_some());
    conductor.stop().await;
}

/// Going on with a step that does not fit what is so any more would stop at once: it is
/// refused, with the step that fits.
#[tokio::test]
async fn a_resume_that_would_stop_again_is_refused() {
    let process = process("steps: [{ reads: 5%, for: 1h }, { reads: 50%, for: 1h }, switch]");
    let mover = mover();
    let mut conductor = process.conductor(&mover).await;
    let handle = rollout(&process, &mut conductor, &Arc::default()).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    until(&handle, "in the step", |status| status.entered_ms.is_some()).await;
    let half = Shift::Reads(Percent::parse("50%").unwrap());
    worker.request(Request::Shift(half)).await.unwrap();
    until(&handle, "stopped", |status| status.state == "stopped").await;
    let decisions = handle.status().decisions;
    for step in [None, Some(1)] {
        let resumed = handle.order(StepVerb::Resume(step), ada(), "").await;
        let wanted = "with step 1 `contracts` would stop again at once: reads are at 50%, which is \
                      more than the step wants. `banyan resume contracts --step 2` goes on";
        assert_eq!(resumed.unwrap_err(), wanted);
    }
    assert_eq!(handle.status().decisions, decisions, "nothing was changed");
    let resumed = handle.order(StepVerb::Resume(Some(2)), ada(), "").await;
    resumed.unwrap();
    until(&handle, "in the second", |status| {
        status.step == Some(2) && status.entered_ms.is_some()
    })
    .await;
    conductor.stop().await;
}
