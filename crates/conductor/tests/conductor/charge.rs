//! What the gateways are told while nobody is in charge, or somebody else is.

use async_trait::async_trait;
use conductor::{
    Conductor, Publisher, Request, RequestError,
    ports::{Cancellation, Gateways, HoldReport, Mover, Progress, Rows, Verification, WorkError},
};
use plan::{ExtractionName, Plan};
use protocol::{
    ConductorId, Epoch, GatewayId, Generation, HandoverId, InstanceId, Nonce, Side,
    finding::Finding,
    owner::{Outcome, Owner, OwnerRow, RowRead},
    routing::{Routing, Writes},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::watch;

const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u@127.0.0.1:1/m" }
services: { contracts: { url: "http://127.0.0.1:2", database: "postgres://u@127.0.0.1:1/s" } }
gateway: { listen: "127.0.0.1:3" }
extractions:
  contracts:
    service: contracts
    routes: [{ path: /contracts }]
    data: { mode: replicate, schema: s, tables: { public.c: { to: c } } }
    rollout: { key: { header: x-user-id } }
"#;

/// Enough on any machine.
const LIMIT: Duration = Duration::from_secs(20);

const MONOLITH: Writes = Writes::To(Side::Monolith);

/// Says of claims what it is told to; the rest is nobody's business here.
struct Scripted {
    claim: Mutex<Result<Rows, WorkError>>,
    prepared: Result<(), WorkError>,
    claims: watch::Sender<u32>,
}

impl Scripted {
    fn new(claim: Result<Rows, WorkError>, prepared: Result<(), WorkError>) -> Arc<Self> {
        Arc::new(Self {
            claim: Mutex::new(claim),
            prepared,
            claims: watch::Sender::new(0),
        })
    }

    /// Waits until the rows have been asked for again, and that was judged.
    async fn asked_again(&self) {
        let mut claims = self.claims.subscribe();
        let next = *claims.borrow() + 2;
        let again = claims.wait_for(|count| *count >= next);
        tokio::time::timeout(LIMIT, again).await.unwrap().unwrap();
    }
}

#[async_trait]
impl Mover for Scripted {
    async fn check(&self) -> Result<Vec<Finding>, WorkError> {
        Ok(Vec::new())
    }

    async fn claim(&self, _: ConductorId) -> Result<Rows, WorkError> {
        self.claims.send_modify(|count| *count += 1);
        self.claim.lock().unwrap().clone()
    }

    async fn prepare(&self, _: InstanceId, _: ConductorId) -> Result<(), WorkError> {
        self.prepared.clone()
    }

    async fn copy(&self) -> Result<(), WorkError> {
        Ok(())
    }

    async fn follow(&self) -> Result<(), WorkError> {
        Ok(())
    }

    async fn stop_following(&self) {}

    async fn verify(&self, _: Side) -> Result<Verification, WorkError> {
        Ok(Verification::default())
    }

    async fn blockers(&self, _: Side) -> Result<Vec<String>, WorkError> {
        Ok(Vec::new())
    }

    async fn lock_weakly(&self, _: Side) -> Result<(), WorkError> {
        Ok(())
    }

    async fn fence(&self, _: &HandoverId, _: Duration) -> Result<(), WorkError> {
        Ok(())
    }

    async fn catch_up(&self, _: &HandoverId, _: Duration) -> Result<(), WorkError> {
        Ok(())
    }

    async fn decide(&self, _: &HandoverId, wanted: Outcome) -> Result<Outcome, WorkError> {
        Ok(wanted)
    }

    async fn open(&self, _: &HandoverId) -> Result<(), WorkError> {
        Ok(())
    }

    async fn unfence(&self, _: Side) -> Result<(), WorkError> {
        Ok(())
    }

    async fn cancel(&self, _: bool) -> Result<Cancellation, WorkError> {
        Ok(Cancellation::default())
    }

    async fn finish(&self) -> Result<(), WorkError> {
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// Records what happens to writes in each routing that is published.
struct RoutingRecorder(watch::Sender<Vec<Writes>>);

impl RoutingRecorder {
    async fn until(&self, wanted: &[Writes]) {
        let mut told = self.0.subscribe();
        let told = told.wait_for(|told| told.len() >= wanted.len());
        let told = tokio::time::timeout(LIMIT, told).await;
        assert_eq!(*told.unwrap().unwrap(), wanted);
    }
}

#[async_trait]
impl Gateways for RoutingRecorder {
    fn live(&self) -> BTreeSet<GatewayId> {
        BTreeSet::new()
    }

    fn publish(&self, routing: Routing) {
        let writes = routing.extractions[&name()].writes;
        self.0.send_modify(|told| told.push(writes));
    }

    fn renew_lease(&self, _: Duration) {}

    async fn held(&self, _: GatewayId, _: &ExtractionName, _: Epoch) {}

    async fn hold_report(&self, _: &ExtractionName) -> HoldReport {
        HoldReport::default()
    }
}

fn name() -> ExtractionName {
    ExtractionName::new("contracts").unwrap()
}

/// What lasts from one conductor to the next.
struct Process {
    plan: Plan,
    state: TempDir,
    told: Arc<RoutingRecorder>,
    publisher: Arc<Publisher>,
}

impl Process {
    fn new() -> Self {
        let told = Arc::new(RoutingRecorder(watch::Sender::default()));
        Self {
            plan: Plan::parse(PLAN, |_| None).unwrap(),
            state: TempDir::new().unwrap(),
            publisher: Arc::new(Publisher::new(told.clone())),
            told,
        }
    }

    async fn conductor(&self, mover: &Arc<Scripted>) -> Conductor {
        let mover: Arc<dyn Mover> = mover.clone();
        let movers = BTreeMap::from([(name(), mover)]);
        let started = Conductor::start(&self.plan, self.state.path(), movers, &self.publisher);
        started.await.unwrap()
    }
}

const NOTHING_YET: Rows = Rows {
    monolith: RowRead::NoRow,
    service: RowRead::NoRow,
    copied: false,
};

/// Of another extraction on each side.
fn contradicting() -> Rows {
    let row = |id| {
        RowRead::Row(OwnerRow {
            instance: InstanceId(uuid::Uuid::from_u128(id)),
            owner: Owner::Monolith,
            epoch: Epoch(0),
            generation: Generation::default(),
            conductor: ConductorId(uuid::Uuid::nil()),
            nonce: Nonce(uuid::Uuid::nil()),
        })
    };
    Rows {
        monolith: row(1),
        service: row(2),
        copied: true,
    }
}

#[tokio::test]
async fn until_the_rows_are_known_the_last_routing_stays() {
    let process = Process::new();
    let first = process
        .conductor(&Scripted::new(Ok(NOTHING_YET), Ok(())))
        .await;
    process.told.until(&[MONOLITH]).await;
    first.stop().await;

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
    *mover.claim.lock().unwrap() = Ok(neither);
    mover.asked_again().await;
    process.told.until(&[MONOLITH]).await;

    *mover.claim.lock().unwrap() = Ok(contradicting());
    process.told.until(&[MONOLITH, Writes::Refuse]).await;
    *mover.claim.lock().unwrap() = Ok(NOTHING_YET);
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
    ended.await.unwrap();
    process.told.until(&[MONOLITH, Writes::Refuse]).await;
}
