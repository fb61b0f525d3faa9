//! An extraction whose data both sides share, from its start to its cancel, over
//! a restart.

use crate::support::{fill_disk, make_room};
use async_trait::async_trait;
use conductor::{
    Conductor, JournalError, Publisher, Request, RequestError, Shift,
    ports::{Gateways, HoldReport, InFlight},
    status::ExtractionStatus,
};
use plan::{ExtractionName, Percent, Plan};
use protocol::{
    Epoch, GatewayId,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const SHARED: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u@127.0.0.1:2/m" }
services:
  auth: { url: "http://127.0.0.1:3", database: "postgres://u@127.0.0.1:4/a" }
gateway: { listen: "127.0.0.1:0" }
extractions:
  auth: { service: auth, routes: [{ path: /auth/* }], data: { mode: shared } }
"#;

fn plan(data: &str) -> Plan {
    Plan::parse(&SHARED.replace("mode: shared", data), |_| None).unwrap()
}

fn shared() -> Plan {
    plan("mode: shared")
}

fn moving() -> Plan {
    plan("mode: replicate, schema: s, tables: { public.t: {} }")
}

/// Notes what gateways are told.
#[derive(Default)]
struct Recorder(Mutex<Vec<ExtractionRouting>>);

#[async_trait]
impl Gateways for Recorder {
    fn live(&self) -> BTreeSet<GatewayId> {
        BTreeSet::new()
    }

    fn publish(&self, routing: Routing) {
        let only = routing.extractions.values().next().copied();
        self.0.lock().unwrap().extend(only);
    }

    fn renew_lease(&self, _: Duration) {}

    async fn held(&self, _: GatewayId, _: &ExtractionName, _: Epoch) {}

    async fn in_flight(&self, _: GatewayId, _: &ExtractionName) -> Option<InFlight> {
        None
    }

    async fn hold_report(&self, _: &ExtractionName) -> HoldReport {
        HoldReport::default()
    }
}

impl Recorder {
    fn last(&self) -> ExtractionRouting {
        *self.0.lock().unwrap().last().unwrap()
    }
}

/// A conductor; the one before it may need a moment to let go of the journal.
async fn start(plan: &Plan, state: &Path) -> Result<(Conductor, Arc<Recorder>), JournalError> {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let gateways = Arc::new(Recorder::default());
        let publisher = Arc::new(Publisher::new(gateways.clone()));
        let started = Conductor::start(plan, state, BTreeMap::new(), &publisher).await;
        match started {
            Err(JournalError::InUse(_)) if Instant::now() < until => tokio::task::yield_now().await,
            started => return started.map(|conductor| (conductor, gateways)),
        }
    }
}

async fn ask(conductor: &Conductor, request: Request) -> Result<ExtractionStatus, RequestError> {
    let worker = conductor.workers().values().next().unwrap();
    worker.request(request).await.map(|reply| reply.status)
}

fn percent(text: &str) -> Percent {
    Percent::parse(text).unwrap()
}

fn both(reads: &str, writes: &str) -> Request {
    let (reads, writes) = (percent(reads), percent(writes));
    Request::Shift(Shift::Both { reads, writes })
}

fn shares(status: &ExtractionStatus) -> (f64, Option<f64>) {
    (status.reads_percent, status.writes_percent)
}

#[tokio::test]
async fn shares_are_set_and_told_and_outlive_the_process() {
    let state = tempfile::tempdir().unwrap();
    let (conductor, gateways) = start(&shared(), state.path()).await.unwrap();
    let refused = ask(&conductor, both("5%", "5%")).await.unwrap_err();
    assert!(refused.to_string().contains("banyan start"), "{refused}");
    let begun = ask(&conductor, Request::Start).await.unwrap();
    assert_eq!(
        (begun.phase.as_str(), begun.owner.as_str()),
        ("shared", "both")
    );
    assert!(begun.writes_stay());
    let five = ask(&conductor, both("20%", "5.25%")).await.unwrap();
    assert_eq!(shares(&five), (20.0, Some(5.25)));
    // Told before it was answered.
    let told = gateways.last();
    assert_eq!(told.writes, Writes::Split(percent("5.25%")));
    assert_eq!(
        (told.reads, told.epoch),
        (percent("20%"), Epoch(five.epoch))
    );
    let writes = Request::Shift(Shift::Writes(percent("6%")));
    assert_eq!(
        shares(&ask(&conductor, writes).await.unwrap()),
        (20.0, Some(6.0))
    );
    let verify = ask(&conductor, Request::Verify).await.unwrap_err();
    assert!(verify.to_string().contains("no two copies"), "{verify}");
    conductor.stop().await;

    let (conductor, gateways) = start(&shared(), state.path()).await.unwrap();
    // Nothing is decided anew: the epoch is the last one's.
    let kept = ask(&conductor, writes).await.unwrap();
    assert_eq!(
        (shares(&kept), kept.epoch),
        ((20.0, Some(6.0)), five.epoch + 1)
    );
    assert_eq!(gateways.last().writes, Writes::Split(percent("6%")));
    let switched = ask(&conductor, Request::Switch).await.unwrap();
    assert_eq!(shares(&switched), (100.0, Some(100.0)));
    let report = switched.last_handover.clone().unwrap();
    assert_eq!(
        (report.kind.as_str(), report.outcome.as_str()),
        ("switch", "committed")
    );
    assert!(
        ask(&conductor, Request::Cancel { empty: false })
            .await
            .is_err()
    );
    let back = ask(&conductor, Request::Withdraw).await.unwrap();
    assert!(back.writes_stay() && back.epoch > switched.epoch);
    let cancelled = ask(&conductor, Request::Cancel { empty: false })
        .await
        .unwrap();
    assert_eq!(cancelled.phase, "planned");
    assert!(gateways.last().epoch > Epoch(back.epoch));
    conductor.stop().await;
}

/// As a full disk has it. The gateways route on by the shares that they know.
#[tokio::test]
async fn a_share_that_cannot_be_written_down_is_not_set_and_ends_nothing() {
    let state = tempfile::tempdir().unwrap();
    let (conductor, _) = start(&shared(), state.path()).await.unwrap();
    ask(&conductor, Request::Start).await.unwrap();
    conductor.stop().await;
    fill_disk(state.path()).await;
    let (mut conductor, gateways) = start(&shared(), state.path()).await.unwrap();
    let worker = conductor.workers().values().next().unwrap().clone();
    for _ in 0..2 {
        let refused = tokio::select! {
            ended = conductor.failed() => panic!("it ended: {ended:?}"),
            refused = worker.request(both("5%", "5%")) => refused,
        };
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("Make room"), "{refused}");
        let shown = worker.status();
        assert_eq!(shares(&shown), (0.0, Some(0.0)));
        assert_eq!(shown.trouble, Some(refused));
        assert_eq!(gateways.last().writes, Writes::Split(Percent::ZERO));
    }
    conductor.stop().await;
    make_room(state.path()).await;
    let (conductor, _) = start(&shared(), state.path()).await.unwrap();
    let set = ask(&conductor, both("5%", "5%")).await.unwrap();
    assert_eq!((shares(&set), set.trouble), ((5.0, Some(5.0)), None));
    conductor.stop().await;
}

#[tokio::test]
async fn the_mode_does_not_change_under_way() {
    let state = tempfile::tempdir().unwrap();
    let (conductor, _) = start(&shared(), state.path()).await.unwrap();
    ask(&conductor, Request::Start).await.unwrap();
    conductor.stop().await;
    let refused = start(&moving(), state.path())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("begun with `mode: shared`") && refused.contains("banyan cancel"),
        "{refused}"
    );
    let (conductor, _) = start(&shared(), state.path()).await.unwrap();
    ask(&conductor, Request::Cancel { empty: false })
        .await
        .unwrap();
    conductor.stop().await;
    let (conductor, _) = start(&moving(), state.path()).await.unwrap();
    conductor.stop().await;
}
