//! The handle that the rest of Banyan holds.

use super::{
    connections::Bound,
    entrances::{Entrances, clones},
    explain,
    worker::{self, WorkerCommand},
};
use crate::state::collectors;
use crate::{
    Explanation, Listeners, Positions, ReloadError, RouteReport, StartError,
    base::{index::ExtractionIndex, removal::Removal},
    observe::Observatory,
    routing::snapshot::Ownership,
    selection::flags::FlagReport,
    shadow::ShadowReport,
    state::{
        collectors::upstreams,
        config::Config,
        failed_answers::FailedKind,
        gateway_state::GatewayState,
        hold::HeldReport,
        inflight::WritesInFlight,
        old_ways::{OldCaller, OldCalls},
        side_counts::SideCounts,
        under_way::UnderWay,
    },
    transport::{
        expiry::{self, Expiries},
        listeners::Listening,
    },
    upstream::report::UpstreamReport,
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Request;
use parking_lot::Mutex;
use plan::{ExtractionName, Plan};
use prometheus_client::registry::Registry;
use protocol::{Epoch, GatewayId, routing::Routing};
use std::{
    collections::BTreeMap,
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{
    runtime,
    sync::{mpsc, oneshot},
};

/// How long clients of a gateway that retires may still use the connections
/// that they keep: browsers and pools use theirs more often, or not at all.
const LEAVE_TIME: Duration = Duration::from_secs(5);

/// A running gateway; cheap to clone. When the last handle is dropped without
/// [`Gateway::shutdown`], it stops at once.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    id: GatewayId,
    address: SocketAddr,
    state: Arc<GatewayState>,
    config: Arc<ArcSwap<Config>>,
    /// Of the listeners' certificates.
    expiries: Expiries,
    workers: Vec<mpsc::UnboundedSender<WorkerCommand>>,
    /// What it goes by; `None` once it stops. Locked while it is reloaded.
    running: Mutex<Option<RunningPlan>>,
    /// Whether writes may still be answered elsewhere.
    has_predecessor: AtomicBool,
}

/// What a gateway that is not stopping has.
struct RunningPlan {
    plan: Plan,
    /// The listening sockets once more, to hand over.
    sockets: Vec<Listening>,
}

impl Gateway {
    /// Binds the plan's addresses and starts its workers. Until the first
    /// [`Gateway::publish`] and [`Gateway::renew_lease`], requests of
    /// extractions are answered 503; routes that stay work at once.
    ///
    /// Blocks for the moment that starting threads takes.
    pub fn start(plan: &Plan, positions: Arc<dyn Positions>) -> Result<Self, StartError> {
        let gateway = Self::prepare(plan, positions, Listeners::none())?;
        gateway.accept();
        Ok(gateway)
    }

    /// Like [`Gateway::start`], but accepts no client before [`Gateway::accept`].
    /// Sockets that somebody else has made are used where they listen on an
    /// address of the plan; others of them are closed, with a warning.
    pub fn prepare(
        plan: &Plan,
        positions: Arc<dyn Positions>,
        inherited: Listeners,
    ) -> Result<Self, StartError> {
        Self::make(plan, positions, inherited, false)
    }

    /// Like [`Gateway::prepare`], on the sockets of a predecessor that goes on
    /// answering writes for a while. Those are in no pin of this process, so until
    /// [`Gateway::alone`] all reads of extractions go to the owner.
    pub fn prepare_after(
        plan: &Plan,
        positions: Arc<dyn Positions>,
        inherited: Listeners,
    ) -> Result<Self, StartError> {
        Self::make(plan, positions, inherited, true)
    }

    fn make(
        plan: &Plan,
        positions: Arc<dyn Positions>,
        mut inherited: Listeners,
        has_predecessor: bool,
    ) -> Result<Self, StartError> {
        let observatory = Observatory::new(plan)?;
        let count = plan.gateway.workers.max(1);
        let state = Arc::new(GatewayState::new(plan, positions, observatory));
        let config = Arc::new(Config::new(plan, Arc::clone(&state))?);
        let Entrances {
            sockets,
            bound,
            expiries,
        } = Entrances::new(plan, &mut inherited)?;
        for unknown in &inherited.0 {
            tracing::warn!(socket = ?unknown, "an inherited socket is not in the plan, closing it");
        }
        let main = sockets.first().and_then(Listening::tcp_address);
        let address = main.unwrap_or(plan.gateway.listen);
        let mut workers = Vec::new();
        for (number, bound) in bound.into_iter().enumerate() {
            let (commands, received) = mpsc::unbounded_channel();
            spawn(number, bound, Arc::clone(&config), received)
                .map_err(|source| StartError::Worker { source })?;
            workers.push(commands);
        }
        let id = GatewayId(uuid::Uuid::new_v4());
        tracing::info!(%address, workers = count, gateway = %id, "gateway listens");
        let mut plan = plan.clone();
        plan.gateway.listen = address;
        Ok(Self {
            inner: Arc::new(Inner {
                id,
                address,
                state,
                config: Arc::new(ArcSwap::new(config)),
                expiries: Arc::new(ArcSwap::from_pointee(expiries)),
                workers,
                running: Mutex::new(Some(RunningPlan { plan, sockets })),
                has_predecessor: AtomicBool::new(has_predecessor),
            }),
        })
    }

    /// Goes by a changed plan from now on, without losing a request or a
    /// connection: what began under the old plan ends under it, and requests
    /// that come after this has returned go by the new one. Files that the
    /// plan names, such as certificates, have been read again. Listeners that
    /// are gone accept no more; connections that came through them go on.
    ///
    /// After an error nothing has changed. Blocks for as long as it takes to read
    /// files and to bind sockets, and then waits for the workers; cancelled
    /// there, it has happened nevertheless.
    pub async fn reload(&self, plan: &Plan) -> Result<(), ReloadError> {
        for done in self.replace(plan)? {
            // Sender dropped: that worker has stopped and needs no plan.
            let _ = done.await;
        }
        tracing::info!("plan reloaded");
        Ok(())
    }

    /// Puts everything that comes from the plan anew, whole; each worker says
    /// when it goes by it.
    fn replace(&self, plan: &Plan) -> Result<Vec<oneshot::Receiver<()>>, ReloadError> {
        let mut running = self.inner.running.lock();
        let now = running.as_mut().ok_or(ReloadError::Stopping)?;
        let mut plan = plan.clone();
        if plan.gateway.listen.port() == 0 {
            // Any will do, and this one has been found already.
            plan.gateway.listen.set_port(self.inner.address.port());
        }
        let changes = now.plan.needs_restart(&plan);
        if !changes.is_empty() {
            return Err(ReloadError::Restart { changes });
        }
        let config = Arc::new(self.inner.config.load().after(&plan)?);
        let mut kept = clones(&now.sockets).map_err(|source| StartError::Worker { source })?;
        let Entrances {
            sockets,
            bound,
            expiries,
        } = Entrances::new(&plan, &mut kept)?;
        self.inner.expiries.store(Arc::new(expiries));
        *now = RunningPlan { plan, sockets };
        self.inner.config.store(Arc::clone(&config));
        let mut dones = Vec::new();
        for (worker, listeners) in self.inner.workers.iter().zip(bound) {
            let (done, is_done) = oneshot::channel();
            let config = Arc::clone(&config);
            let _ = worker.send(WorkerCommand::Config {
                config,
                listeners,
                done,
            });
            dones.push(is_done);
        }
        Ok(dones)
    }

    /// Accepts clients from now on.
    pub fn accept(&self) {
        for worker in &self.inner.workers {
            // Receiver dropped: that worker has stopped.
            let _ = worker.send(WorkerCommand::Accept);
        }
    }

    /// The listening sockets once more, for a successor; none once it stops.
    pub fn listeners(&self) -> io::Result<Listeners> {
        match &*self.inner.running.lock() {
            Some(running) => clones(&running.sockets),
            None => Ok(Listeners::none()),
        }
    }

    /// Where it listens; the port is the real one where the plan says 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.address
    }

    /// This run's identity, drawn at its start.
    pub fn id(&self) -> GatewayId {
        self.inner.id
    }

    /// Swaps the routing, whole. Of an extraction whose epoch is older than
    /// the one in use, the one in use is kept; one that is missing is refused
    /// until it is published again. Those that the plan does not have are
    /// ignored.
    ///
    /// Requests that come after this has returned are decided by the new
    /// routing; [`Gateway::drained`] tells about those before.
    pub fn publish(&self, routing: &Routing) {
        let known = self.inner.state.publish(routing);
        if !self.inner.has_predecessor.load(Ordering::SeqCst) {
            self.settle_start(known);
        }
        for worker in &self.inner.workers {
            // One that has stopped holds nothing.
            let _ = worker.send(WorkerCommand::Routing);
        }
    }

    /// The predecessor has no request left: what was answered so far, there or
    /// here, is settled by one sample, and reads may go to either side then.
    pub fn alone(&self) {
        if self.inner.has_predecessor.swap(false, Ordering::SeqCst) {
            let state = &self.inner.state;
            let owned = |(extraction, _)| Some((extraction, state.ownership(extraction)?));
            self.settle_start(state.all().filter_map(owned).collect());
        }
    }

    /// Samples how far the owners are, for what was written before this gateway.
    fn settle_start(&self, known: Vec<(ExtractionIndex, Ownership)>) {
        let Some(first) = self.inner.workers.first() else {
            return;
        };
        for (extraction, owner) in known {
            // Receiver dropped: that worker has stopped and settles nothing.
            let _ = first.send(WorkerCommand::Start { extraction, owner });
        }
    }

    /// Whether writes of every extraction are forwarded to their owner.
    pub fn forwards(&self) -> bool {
        let snapshot = self.inner.state.snapshot.load();
        let forwards = |(extraction, _)| snapshot.routing_state(extraction).forwards();
        self.inner.state.all().all(forwards)
    }

    /// Whether writes of any extraction are held.
    pub fn holds(&self) -> bool {
        let snapshot = self.inner.state.snapshot.load();
        let holds = |(extraction, _)| snapshot.routing_state(extraction).holds();
        self.inner.state.all().any(holds)
    }

    /// Resolves when every worker uses a routing of at least `epoch` for
    /// `extraction` and no write is in flight that was forwarded under an older
    /// one, nor, while nothing is forwarded, any at all. A write is in flight
    /// until the head of its answer has come, also when its client has gone.
    ///
    /// The acknowledgement of a hold. Never resolves for an extraction that the
    /// plan does not have, nor once the gateway has stopped: the caller bounds
    /// it. Cancel safe.
    pub async fn drained(&self, extraction: &ExtractionName, epoch: Epoch) {
        let Some(extraction) = self.inner.state.find(extraction) else {
            return pending().await;
        };
        let answers = self.ask(|drained| WorkerCommand::Drain {
            extraction,
            epoch,
            drained,
        });
        for answer in answers {
            if answer.await.is_err() {
                // A worker that is gone cannot say what it left behind.
                return pending().await;
            }
        }
    }

    /// The writes of an extraction that are in flight now, as [`Gateway::drained`]
    /// counts them. Cancel safe.
    pub async fn writes_in_flight(&self, extraction: &ExtractionName) -> WritesInFlight {
        let mut all = WritesInFlight::default();
        let Some(extraction) = self.inner.state.find(extraction) else {
            return all;
        };
        let ask = |answer| WorkerCommand::InFlight { extraction, answer };
        let answers = self.ask(ask);
        for answer in answers {
            // One that has stopped has nothing in flight that it could tell of.
            let Ok(Some((found, route))) = answer.await else {
                continue;
            };
            all.count += found.count;
            if all.longest.is_none() || found.longest > all.longest_for {
                (all.longest_for, all.longest) = (found.longest, Some(route));
            }
        }
        all
    }

    /// What both sides answered of an extraction since this was called last, or the plan
    /// had it counted: each request that ended meanwhile, once. `None` where the plan
    /// has no such extraction, or neither a schedule nor `retire` of it.
    ///
    /// Not cancel safe: what workers have handed over is lost then. A request that has
    /// just been answered may be in the next window.
    pub async fn take_side_counts(&self, extraction: &ExtractionName) -> Option<SideCounts> {
        let extraction = self.inner.state.find(extraction)?;
        let config = self.inner.config.load_full();
        if !config.features.get(extraction).is_counted {
            return None;
        }
        let ask = |answer| WorkerCommand::TakeSideCounts { extraction, answer };
        let answers = self.ask(ask);
        let mut all = SideCounts::default();
        for answer in answers {
            // Sender dropped: that worker has stopped.
            if let Ok(Some(one)) = answer.await {
                all.add(&one);
            }
        }
        Some(all)
    }

    /// Refuses an extraction's old ways for so long, wherever the service owns its data for
    /// sure; `None`: not any more.
    pub fn brown_out(&self, extraction: &ExtractionName, brown_out: Option<(Removal, Duration)>) {
        if let Some(extraction) = self.inner.state.find(extraction) {
            let state = self.inner.state.extraction(extraction);
            state.old_ways.refuse(brown_out);
        }
    }

    /// Who came by an extraction's old ways since this was asked last.
    pub fn take_old_callers(&self, extraction: &ExtractionName) -> BTreeMap<OldCaller, OldCalls> {
        let found = self.inner.state.find(extraction);
        found
            .map(|extraction| self.inner.state.extraction(extraction).old_ways.take())
            .unwrap_or_default()
    }

    /// Extends the lease; an earlier end than the current one is ignored.
    /// Requests of extractions are answered 503 when it has ended, routes that
    /// stay go on working.
    pub fn renew_lease(&self, until: Instant) {
        self.inner.state.renew_lease(until);
    }

    /// What the holds of an extraction did; nothing for one that the plan does
    /// not have.
    pub fn held(&self, extraction: &ExtractionName) -> HeldReport {
        let state = &self.inner.state;
        let report = |found| state.extraction(found).ledger.report();
        state
            .find(extraction)
            .map_or_else(HeldReport::default, report)
    }

    /// What the copies of an extraction's requests found since the start;
    /// nothing for one that the plan does not have, or does not copy.
    pub fn shadow(&self, extraction: &ExtractionName) -> ShadowReport {
        let state = &self.inner.state;
        let Some(found) = state.find(extraction) else {
            return ShadowReport::default();
        };
        let config = self.inner.config.load();
        let planned = config.features.get(found).shadow.as_ref();
        let share = planned.map(|shadow| shadow.share().to_string());
        state.extraction(found).shadow.report(share)
    }

    /// How many reads of an extraction carried the key of their client since the start,
    /// and how many did not.
    pub fn keys(&self, extraction: &ExtractionName) -> (u64, u64) {
        let state = &self.inner.state;
        let read = |found| state.extraction(found).keys.read();
        state.find(extraction).map_or((0, 0), read)
    }

    /// What upstreams answered with 5xx since the start, copies of reads with it, by
    /// kind.
    pub fn failed_answers(&self) -> BTreeMap<FailedKind, u64> {
        self.inner.state.failed_answers.report()
    }

    /// All routes, in the order in which they are tried.
    pub fn routes(&self) -> Vec<RouteReport> {
        explain::routes(&self.inner.config.load())
    }

    /// What would become of a request of this address now. Sends nothing, and
    /// leaves no trace. The error is what its client would be told.
    pub fn explain(&self, request: Request<Bytes>, address: IpAddr) -> Result<Explanation, String> {
        explain::explain(&self.inner.config.load(), request, address)
    }

    /// What is said of each feature flag of the plan now.
    pub fn flags(&self) -> Vec<FlagReport> {
        self.inner.config.load().flags.report()
    }

    /// Registers the metrics, without a prefix.
    pub fn metrics(&self, registry: &mut Registry) {
        self.inner.state.metrics.register(registry);
        self.inner.config.load().access.register(registry);
        self.inner.config.load().flags.register(registry);
        upstreams::register(&self.inner.config, registry);
        collectors::routing::register(&self.inner.config, registry);
        expiry::register(&self.inner.expiries, registry);
        self.inner.state.shadows.register(registry);
        self.inner.state.observatory.register(registry);
    }

    /// What it thinks of its upstreams: the monolith, then the services.
    pub fn upstreams(&self) -> Vec<UpstreamReport> {
        self.inner.config.load().upstreams.report()
    }

    /// How long requests under way may take to end, as the plan has it now.
    pub fn grace(&self) -> Duration {
        self.inner.config.load().settings.grace
    }

    /// What is being answered at this moment.
    pub async fn under_way(&self) -> UnderWay {
        self.ask_workers(WorkerCommand::UnderWay).await
    }

    /// Accepts no more, lets requests end for up to `grace`, and ends the
    /// workers. Held requests are answered 503 at once. Writes whose clients
    /// have gone are not waited for. Returns what it cut off.
    ///
    /// Called again meanwhile, the shorter grace counts; what was cut off is then
    /// what the first call returns.
    pub async fn shutdown(&self, grace: Duration) -> UnderWay {
        self.stop(grace, Duration::ZERO).await
    }

    /// Like [`Gateway::shutdown`], for one whose successor accepts already from
    /// the same sockets ([`super::socket_handoff`]): clients are told with their next
    /// answer to connect anew, and only then, or after a while, their
    /// connections are closed; held requests go on waiting meanwhile.
    pub async fn retire(&self, grace: Duration) -> UnderWay {
        self.stop(grace, LEAVE_TIME.min(grace / 2)).await
    }

    async fn stop(&self, grace: Duration, idle: Duration) -> UnderWay {
        *self.inner.running.lock() = None;
        let cut = self
            .ask_workers(|stopped| WorkerCommand::Stop {
                grace,
                idle,
                stopped,
            })
            .await;
        self.inner.state.observatory.flush().await;
        cut
    }

    /// Asks all workers. Who has stopped drops the sender.
    fn ask<T>(
        &self,
        command: impl Fn(oneshot::Sender<T>) -> WorkerCommand,
    ) -> Vec<oneshot::Receiver<T>> {
        let ask = |worker: &mpsc::UnboundedSender<WorkerCommand>| {
            let (asker, answer) = oneshot::channel();
            let _ = worker.send(command(asker));
            answer
        };
        self.inner.workers.iter().map(ask).collect()
    }

    /// What all workers answer together.
    async fn ask_workers(
        &self,
        command: impl Fn(oneshot::Sender<UnderWay>) -> WorkerCommand,
    ) -> UnderWay {
        let mut all = UnderWay::default();
        for answer in self.ask(command) {
            // Sender dropped: that worker has stopped, and somebody else was told.
            if let Ok(one) = answer.await {
                all.add(one);
            }
        }
        all
    }
}

/// Starts a worker's thread.
fn spawn(
    number: usize,
    bound: Vec<Bound>,
    config: Arc<Config>,
    commands: mpsc::UnboundedReceiver<WorkerCommand>,
) -> io::Result<()> {
    let (report, reported) = std::sync::mpsc::sync_channel(1);
    thread::Builder::new()
        .name(format!("gateway-{number}"))
        .spawn(move || {
            // Its tasks stay on this thread, and so does it.
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(runtime::LocalOptions::default());
            match runtime {
                Ok(runtime) => {
                    let _ = report.send(Ok(()));
                    let stopped =
                        runtime.block_on(worker::run(config, bound, commands, number == 0));
                    // Look-ups of names are not waited for.
                    runtime.shutdown_background();
                    if let Some(stopped) = stopped {
                        stopped.tell();
                    }
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            }
        })?;
    reported
        .recv()
        .unwrap_or_else(|gone| Err(io::Error::other(gone)))
}
