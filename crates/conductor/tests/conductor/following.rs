//! What the gateways are told of the side that does not own: whether it has all
//! of what the owner writes.

use crate::support::*;
use conductor::{
    Request, Shift,
    ports::{Progress, StreamProgress},
};
use plan::Percent;
use protocol::{
    Side,
    routing::{ExtractionRouting, Writes},
};

fn reverse(state: &str) -> Progress {
    let stream = StreamProgress {
        state: state.to_owned(),
        ..StreamProgress::default()
    };
    Progress {
        reverse: Some(stream),
        ..Progress::default()
    }
}

async fn told(process: &Process, wanted: impl Fn(&ExtractionRouting) -> bool) -> ExtractionRouting {
    let mut routing = process.told.routing.subscribe();
    let told = routing.wait_for(|told| told.as_ref().is_some_and(&wanted));
    let told = tokio::time::timeout(LIMIT, told).await;
    told.unwrap().unwrap().unwrap()
}

fn by_service(routing: &ExtractionRouting) -> bool {
    routing.writes == Writes::To(Side::Service)
}

/// Where the plan takes stale reads, they stay; but whoever may choose between the
/// sides is told that one is behind.
#[tokio::test]
async fn stale_reads_stay_and_do_not_make_a_dead_stream_follow() {
    let stale = PLAN.replace("x-user-id }", "x-user-id }, stale-reads: true");
    let process = Process::planned(&stale);
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    *mover.progress.lock().unwrap() = reverse("applying");
    let conductor = process.conductor(&mover).await;
    let worker = switched(&conductor).await;
    let reads = Percent::parse("50%").unwrap();
    let shift = Request::Shift(Shift::Reads(reads));
    worker.request(shift).await.unwrap();
    told(&process, |told| by_service(told) && told.follows).await;

    *mover.progress.lock().unwrap() = reverse("failed");
    let behind = told(&process, |told| !told.follows).await;
    assert_eq!(behind.reads, reads);
    assert!(!worker.status().reads_withdrawn);

    *mover.progress.lock().unwrap() = reverse("applying");
    told(&process, |told| told.follows).await;
    conductor.stop().await;
}

/// A table that is split never flows back: the monolith lacks the service's rows of it.
#[tokio::test]
async fn a_split_table_does_not_follow_a_service_that_owns() {
    let split = PLAN.replace("{ to: c }", "{ to: c }, public.d: { writes: split }");
    let process = Process::planned(&split);
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    *mover.progress.lock().unwrap() = reverse("applying");
    let conductor = process.conductor(&mover).await;
    let worker = switched(&conductor).await;
    let owned = told(&process, by_service).await;
    assert!(!owned.follows);
    assert!(!worker.status().reads_withdrawn, "each reads its own");
    conductor.stop().await;
}
