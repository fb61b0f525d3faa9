//! A mover and gateways that do as they are told.

use async_trait::async_trait;
use conductor::{
    Conductor, Publisher, Request,
    ports::{
        Cancellation, Gateways, Gauges, HoldReport, InFlight, Measurement, Moment, Mover, Occasion,
        Progress, Recopied, Rows, SideCounts, Verification, Wanted, WorkError,
    },
};
use plan::{ExtractionName, MeasuredGate, Plan};
use protocol::{
    ConductorId, Epoch, GatewayId, Generation, HandoverId, InstanceId, Nonce, Side,
    finding::Finding,
    owner::{Outcome, Owner, OwnerRow, RowRead},
    retire::OldCaller,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::watch;

pub const PLAN: &str = r#"
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
pub const LIMIT: Duration = Duration::from_secs(20);

/// Waits until what is shown is so, within a limit.
pub async fn shows<T: std::fmt::Debug>(
    limit: Duration,
    what: &str,
    show: impl Fn() -> T,
    is: impl Fn(&T) -> bool,
) {
    let wait = async {
        while !is(&show()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(limit, wait).await;
    assert!(waited.is_ok(), "not {what}: {:#?}", show());
}

pub const MONOLITH: Writes = Writes::To(Side::Monolith);

/// Says of the rows what it is told to; the rest is nobody's business here.
pub struct Scripted {
    pub rows: Mutex<Result<Rows, WorkError>>,
    pub prepared: Result<(), WorkError>,
    pub looks: watch::Sender<u32>,
    pub claimed_by: Mutex<Option<ConductorId>>,
    /// The rows that preparing makes.
    pub instance: Mutex<Option<InstanceId>>,
    /// What comes of copying again, one after the other; then it works.
    pub recopies: Mutex<Vec<WorkError>>,
    /// From whom it was copied again.
    pub recopied: Mutex<Vec<Side>>,
    /// What comes of dropping the triggers, one after the other; then it works.
    pub unfencings: Mutex<Vec<WorkError>>,
    pub unfenced: watch::Sender<bool>,
    /// What the databases have come to when the new owner is to be opened.
    pub overtaken: Mutex<Option<Rows>>,
    /// Whether the streams get started.
    pub follows: watch::Sender<bool>,
    /// Reasons against a hand-over to a side that has to be healthy.
    pub sick: Mutex<Vec<String>>,
    /// What is not proven to agree.
    pub unproven: Mutex<Vec<String>>,
    /// What becomes unproven while it is looked what stands in the way.
    pub rewritten: Mutex<Option<String>>,
    pub progress: Mutex<Progress>,
}

impl Scripted {
    pub fn new(rows: Result<Rows, WorkError>, prepared: Result<(), WorkError>) -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::new(rows),
            prepared,
            looks: watch::Sender::new(0),
            claimed_by: Mutex::new(None),
            instance: Mutex::new(None),
            recopies: Mutex::new(Vec::new()),
            recopied: Mutex::new(Vec::new()),
            unfencings: Mutex::new(Vec::new()),
            unfenced: watch::Sender::new(false),
            overtaken: Mutex::default(),
            follows: watch::Sender::new(true),
            sick: Mutex::default(),
            unproven: Mutex::default(),
            rewritten: Mutex::default(),
            progress: Mutex::default(),
        })
    }

    /// From now on the databases say what was prepared and claimed.
    pub fn keeps_its_rows(&self) {
        *self.rows.lock().unwrap() = Ok(self.prepared_rows());
    }

    /// Both rows as they were prepared and claimed last.
    pub fn prepared_rows(&self) -> Rows {
        let instance = self.instance.lock().unwrap().unwrap().0.as_u128();
        rows_of([instance; 2], self.claimed_by().unwrap())
    }

    pub fn claimed_by(&self) -> Option<ConductorId> {
        *self.claimed_by.lock().unwrap()
    }

    /// Waits until the rows have been asked for again, and that was judged.
    pub async fn asked_again(&self) {
        let mut looks = self.looks.subscribe();
        let next = *looks.borrow() + 2;
        let again = looks.wait_for(|count| *count >= next);
        tokio::time::timeout(LIMIT, again).await.unwrap().unwrap();
    }
}

#[async_trait]
impl Mover for Scripted {
    async fn check(&self) -> Result<Vec<Finding>, WorkError> {
        Ok(Vec::new())
    }

    async fn look(&self) -> Result<Rows, WorkError> {
        self.looks.send_modify(|count| *count += 1);
        self.rows.lock().unwrap().clone()
    }

    fn is_displaced(&self) -> bool {
        false
    }

    async fn leave(&self) {}

    async fn claim(&self, conductor: ConductorId) -> Result<Rows, WorkError> {
        *self.claimed_by.lock().unwrap() = Some(conductor);
        self.rows.lock().unwrap().clone()
    }

    async fn prepare(&self, instance: InstanceId, _: ConductorId) -> Result<(), WorkError> {
        *self.instance.lock().unwrap() = Some(instance);
        self.prepared.clone()
    }

    async fn copy(&self) -> Result<(), WorkError> {
        Ok(())
    }

    async fn follow(&self) -> Result<(), WorkError> {
        let mut follows = self.follows.subscribe();
        follows.wait_for(|follows| *follows).await.unwrap();
        Ok(())
    }

    fn nothing_flows_back(&self) {}

    fn joining(&self) -> Vec<String> {
        Vec::new()
    }

    async fn join(&self) -> Result<(), WorkError> {
        Ok(())
    }

    async fn stop_following(&self) {}

    async fn recopy(&self, owner: Side) -> Result<Recopied, WorkError> {
        self.recopied.lock().unwrap().push(owner);
        match self.recopies.lock().unwrap().pop() {
            Some(error) => Err(error),
            None => Ok(Recopied::default()),
        }
    }

    async fn resume(&self) -> Result<(), WorkError> {
        Ok(())
    }

    async fn verify(&self, _: Side) -> Result<Verification, WorkError> {
        Ok(Verification::default())
    }

    async fn blockers(&self, _: Side, wanted: Wanted) -> Result<Vec<String>, WorkError> {
        let unfollowed = (!*self.follows.borrow()).then(|| "it is not followed yet".to_owned());
        let sick = match wanted {
            Wanted::Health => self.sick.lock().unwrap().clone(),
            Wanted::Presence => Vec::new(),
        };
        let rewritten = self.rewritten.lock().unwrap().take();
        if rewritten.is_some() {
            // What is asked beside it has its answer by then.
            tokio::task::yield_now().await;
            self.unproven.lock().unwrap().extend(rewritten);
        }
        Ok(unfollowed.into_iter().chain(sick).collect())
    }

    async fn unproven(&self) -> Result<Vec<String>, WorkError> {
        Ok(self.unproven.lock().unwrap().clone())
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
        let overtaken = self.overtaken.lock().unwrap().take();
        overtaken.map_or(Ok(()), |rows| {
            *self.rows.lock().unwrap() = Ok(rows);
            Err(WorkError::RowChanged("the row is further".to_owned()))
        })
    }

    async fn unfence(&self, _: Side) -> Result<(), WorkError> {
        if let Some(error) = self.unfencings.lock().unwrap().pop() {
            return Err(error);
        }
        self.unfenced.send_replace(true);
        Ok(())
    }

    async fn cancel(&self, _: Option<InstanceId>, _: bool) -> Result<Cancellation, WorkError> {
        Ok(Cancellation::default())
    }

    async fn finish(&self, whose: InstanceId) -> Result<(), WorkError> {
        match *self.instance.lock().unwrap() {
            Some(own) if own == whose => Ok(()),
            own => Err(WorkError::Permanent(format!("{whose:?} is not {own:?}"))),
        }
    }

    fn progress(&self) -> Progress {
        self.progress.lock().unwrap().clone()
    }
}

/// Records what happens to writes, whenever that changes.
#[derive(Default)]
pub struct RoutingRecorder {
    told: watch::Sender<Vec<Writes>>,
    /// All of what was told last.
    pub routing: watch::Sender<Option<ExtractionRouting>>,
    /// What keeps a gateway from ever draining; `None`: there is no gateway.
    pub undrained: Mutex<Option<InFlight>>,
    /// What both sides answer in each window.
    pub counts: Mutex<Option<SideCounts>>,
    pub callers: Mutex<Vec<OldCaller>>,
}

impl RoutingRecorder {
    pub async fn until(&self, wanted: &[Writes]) {
        let mut told = self.told.subscribe();
        let told = told.wait_for(|told| told.len() >= wanted.len());
        let told = tokio::time::timeout(LIMIT, told).await;
        assert_eq!(*told.unwrap().unwrap(), wanted);
    }
}

#[async_trait]
impl Gateways for RoutingRecorder {
    fn live(&self) -> BTreeSet<GatewayId> {
        let one = self.undrained.lock().unwrap().is_some();
        one.then_some(GatewayId(uuid::Uuid::nil()))
            .into_iter()
            .collect()
    }

    fn publish(&self, routing: Routing) {
        let Some(of_ours) = routing.extractions.get(&name()).copied() else {
            return;
        };
        let writes = of_ours.writes;
        self.routing.send_replace(Some(of_ours));
        self.told.send_if_modified(|told| {
            let changed = told.last() != Some(&writes);
            if changed {
                told.push(writes);
            }
            changed
        });
    }

    fn renew_lease(&self, _: Duration) {}

    async fn held(&self, _: GatewayId, _: &ExtractionName, _: Epoch) {
        std::future::pending::<()>().await;
    }

    async fn in_flight(&self, _: GatewayId, _: &ExtractionName) -> Option<InFlight> {
        self.undrained.lock().unwrap().clone()
    }

    async fn take_side_counts(&self, _: &ExtractionName) -> Option<SideCounts> {
        self.counts.lock().unwrap().clone()
    }

    fn take_old_callers(&self, _: &ExtractionName) -> Vec<OldCaller> {
        std::mem::take(&mut *self.callers.lock().unwrap())
    }

    async fn hold_report(&self, _: &ExtractionName) -> HoldReport {
        HoldReport::default()
    }
}

/// Answers of each gate what it is told to; of others nothing.
#[derive(Default)]
pub struct ScriptedGauges {
    pub answers: Mutex<BTreeMap<String, Result<Measurement, String>>>,
    /// For what was asked.
    pub occasions: Mutex<Vec<Occasion>>,
}

impl ScriptedGauges {
    /// Stands for the moment at which it is asked.
    pub const NOW: Moment = Moment::from_millis(0);

    pub fn answer(&self, gate: &str, answer: Result<Measurement, String>) {
        self.answers.lock().unwrap().insert(gate.to_owned(), answer);
    }
}

#[async_trait]
impl Gauges for ScriptedGauges {
    async fn measure(
        &self,
        gate: &MeasuredGate,
        occasion: &Occasion,
    ) -> Result<Measurement, String> {
        self.occasions.lock().unwrap().push(occasion.clone());
        let answer = self.answers.lock().unwrap().get(&gate.name).cloned();
        match answer {
            Some(Ok(Measurement::Series(mut series))) => {
                let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
                let now = Moment::from_millis(u64::try_from(now.as_millis()).unwrap());
                let samples = series.iter_mut().flatten();
                samples
                    .filter(|one| one.at == Self::NOW)
                    .for_each(|one| one.at = now);
                Ok(Measurement::Series(series))
            }
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

pub fn name() -> ExtractionName {
    ExtractionName::new("contracts").unwrap()
}

/// What lasts from one conductor to the next.
pub struct Process {
    pub plan: Plan,
    pub state: TempDir,
    pub told: Arc<RoutingRecorder>,
    pub gauges: Arc<ScriptedGauges>,
    pub publisher: Arc<Publisher>,
}

impl Process {
    pub fn new() -> Self {
        Self::planned(PLAN)
    }

    pub fn planned(plan: &str) -> Self {
        let told = Arc::new(RoutingRecorder::default());
        Self {
            plan: Plan::parse(plan, |_| None).unwrap(),
            state: TempDir::new().unwrap(),
            publisher: Arc::new(Publisher::new(told.clone())),
            gauges: Arc::default(),
            told,
        }
    }

    pub async fn conductor(&self, mover: &Arc<Scripted>) -> Conductor {
        let mover: Arc<dyn Mover> = mover.clone();
        let movers = BTreeMap::from([(name(), mover)]);
        let started = Conductor::start(&self.plan, self.state.path(), movers, &self.publisher);
        started.await.unwrap()
    }
}

/// Has nothing more written into the journal. Whoever writes it has it alone.
pub async fn fill_disk(state: &Path) {
    let full = "create trigger full before insert on journal begin \
                select raise(abort, 'database or disk is full'); end";
    edit_journal(state, full).await;
}

/// Takes that back.
pub async fn make_room(state: &Path) {
    edit_journal(state, "drop trigger full").await;
}

/// As a kill leaves it that came before anything was kept of what the gates had seen.
pub async fn lose_gates(state: &Path) {
    edit_journal(state, "delete from report where kind = 'gates'").await;
}

/// All that is in it, in one file.
pub async fn copy_journal(state: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_file(to).unwrap();
    }
    let address = format!("sqlite://{}", state.join("journal.db").display());
    let journal = sqlx::SqlitePool::connect(&address).await.unwrap();
    let copy = sqlx::query("vacuum into ?").bind(to.display().to_string());
    copy.execute(&journal).await.unwrap();
    journal.close().await;
}

/// Does with it what whoever may write the file can.
pub async fn edit_journal(state: &Path, statement: &'static str) {
    let address = format!("sqlite://{}", state.join("journal.db").display());
    let journal = sqlx::SqlitePool::connect(&address).await.unwrap();
    sqlx::query(statement).execute(&journal).await.unwrap();
    journal.close().await;
}

pub const NOTHING_YET: Rows = Rows {
    monolith: RowRead::NoRow,
    service: RowRead::NoRow,
    copied: false,
};

/// Of another extraction on each side, and claimed by this conductor.
pub fn contradicting(conductor: ConductorId) -> Rows {
    rows_of([1, 2], conductor)
}

/// Of an instance on each side.
pub fn rows_of(instances: [u128; 2], conductor: ConductorId) -> Rows {
    let row = |id| {
        RowRead::Row(OwnerRow {
            instance: InstanceId(uuid::Uuid::from_u128(id)),
            owner: Owner::Monolith,
            epoch: Epoch(0),
            generation: Generation::default(),
            conductor,
            nonce: Nonce(uuid::Uuid::nil()),
        })
    };
    Rows {
        monolith: row(instances[0]),
        service: row(instances[1]),
        copied: true,
    }
}

/// Started, and handed over to the service.
pub async fn switched(conductor: &Conductor) -> conductor::Worker {
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    let switch = Request::Switch;
    worker.request(switch).await.unwrap();
    assert_eq!(worker.status().phase, "switched");
    worker
}
