//! `banyan serve`: gateway, movers and conductor in one process.

mod begun;
mod current_plan;
mod ending;
pub(crate) mod gauges;
pub(crate) mod item_checks;
mod local_gateway;
mod local_mover;
mod metrics;
pub(crate) mod overrides;
mod positions;
mod presence;
mod refusals;
mod side_health;
mod stop_signals;
mod succession;

use crate::{
    control::{self, ControlFile},
    exit::Failure,
};
use conductor::{Conductor, JournalError, Publisher, Request, ShiftGuard, Worker, api, ports};
use current_plan::CurrentPlan;
pub(crate) use current_plan::PlanInForce;
use ending::Reason;
use gateway::{
    Gateway, Listeners,
    socket_handoff::{Handing, TAKING},
};
use gauges::Outside;
use item_checks::LocalChecks;
use local_gateway::LocalGateway;
use local_gateway::Reloading;
pub(crate) use local_gateway::Reread;
use local_mover::LocalMover;
use overrides::Override;
use plan::{ExtractionName, Plan};
use presence::Presence;
use protocol::Side;
use refusals::RefusalWatch;
use std::{
    collections::BTreeMap, io::Write, net::SocketAddr, path::Path, pin::pin, sync::Arc,
    time::Duration,
};
use stop_signals::StopSignals;
use succession::{Inherited, Successor};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a predecessor that decides nothing any more may take to release the
/// journal, and how often that is looked at.
const RELEASE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// How long requests are routed as was decided last while a successor takes over,
/// and while this process decides again where that one has failed.
const UNDECIDED: Duration = TAKING.saturating_add(RELEASE);

/// How long "ready" waits for news of every extraction. One whose databases are
/// away has none; the others are served meanwhile.
const NEWS: Duration = Duration::from_secs(5);

/// How long clients wait in the listening socket's queue for that: a request that is
/// taken before the owner is known could only be refused.
const UNTOLD: Duration = Duration::from_secs(2);

/// How often it is looked whether reads write.
const WRITING_READS_LOOK: Duration = Duration::from_secs(1);

/// Bytes of the API's token.
const TOKEN_BYTES: usize = 32;

/// How it is started.
pub(crate) struct Options {
    /// Reads the plan again, as it was read.
    pub(crate) reread: Reread,
    /// Whether the `banyan serve` that runs is to be taken over from.
    pub(crate) takes_over: bool,
    /// What the environment wants of the extractions.
    pub(crate) overrides: Option<Override>,
    /// Of the plan's text.
    pub(crate) digest: Arc<str>,
}

/// What one run consists of.
struct Serving<'a> {
    plan: &'a Plan,
    state: &'a Path,
    gateway: Gateway,
    local: Arc<LocalGateway>,
    /// What the gateway was told outlasts who told it.
    publisher: Arc<Publisher>,
    movers: BTreeMap<ExtractionName, Arc<LocalMover>>,
    overrides: Option<Override>,
    presence: Presence,
    takes_over: bool,
}

/// How it ended.
enum End {
    Stopped(Result<(), Failure>),
    /// A successor has accepted. Both are kept until nothing is served any more:
    /// it waits for the end of the one, requests here for news of the other.
    TakenOver(Handing, Vec<JoinSet<()>>),
}

/// Runs until it is told to stop, or another one takes over.
pub(crate) async fn run(plan: &Plan, state: &Path, options: Options) -> Result<(), Failure> {
    let limit = if options.takes_over {
        begun::SERVED
    } else {
        begun::UNSERVED
    };
    let refusals = begun::refusals(None, plan, limit).await;
    if !refusals.is_empty() {
        return Err(Failure::Refused(refusals.join("; ")));
    }
    // Where both sides share the data, there is nothing to move.
    let current = CurrentPlan::new(PlanInForce {
        plan: Arc::new(plan.clone()),
        digest: options.digest,
    });
    let movers: BTreeMap<ExtractionName, Arc<LocalMover>> = plan
        .replicated()
        .map(|(extraction, data)| {
            let mover = LocalMover::new(&current, extraction, data);
            (extraction.name.clone(), Arc::new(mover))
        })
        .collect();
    let positions = Arc::new(positions::Positions::new(&movers));
    let unreadable = |error| {
        let state = state.display();
        let remedy = "Make it this user's, or give another with --state";
        Failure::Refused(format!(
            "who serves with {state} cannot be known: {error}. {remedy}"
        ))
    };
    // One that was told to stop, or whose successor was killed, may last for its grace.
    let earlier = presence::others(state, None).map_err(unreadable)?;
    let ends = |one: &&ports::Predecessor| !options.takes_over && one.seconds_left.is_some();
    for predecessor in earlier.iter().filter(ends) {
        tracing::warn!("{predecessor}");
    }
    let follows = options.takes_over || !earlier.is_empty();
    let (gateway, inherited) = if options.takes_over {
        let (inherited, listeners) = Inherited::ask(state).await?;
        let gateway = Gateway::prepare_after(plan, positions, listeners);
        let gateway = gateway.map_err(Failure::refused)?;
        (gateway, Some(inherited.ready().await?))
    } else {
        let gateway = if follows {
            Gateway::prepare_after(plan, positions, Listeners::none())
        } else {
            Gateway::prepare(plan, positions, Listeners::none())
        };
        (gateway.map_err(Failure::refused)?, None)
    };
    let presence = Presence::enter(state, gateway.id()).map_err(unreadable)?;
    let refusals = Arc::new(RefusalWatch::new(&gateway, &current, &movers));
    let watch = Arc::clone(&refusals);
    let reloading = Reloading {
        reread: options.reread,
        current,
        rollouts: std::sync::Mutex::default(),
    };
    let local = LocalGateway::new(gateway.clone(), reloading, follows, state, refusals);
    let local = Arc::new(local);
    let serving = Serving {
        plan,
        state,
        gateway: gateway.clone(),
        publisher: Arc::new(Publisher::new(local.clone())),
        local,
        movers,
        overrides: options.overrides,
        presence,
        takes_over: options.takes_over,
    };
    let accepting = async {
        if let Some(inherited) = inherited {
            inherited.accept(gateway).await?;
        } else {
            let told = serving.publisher.told(plan.extractions.len());
            // Then they are told what is refused, and the others are served.
            let _ = timeout(UNTOLD, told).await;
            gateway.accept();
        }
        if follows {
            serving.local.alone().await;
            tracing::info!("no earlier process serves any more");
        }
        std::future::pending().await
    };
    tokio::select! {
        ended = serving.run() => ended,
        ended = accepting => ended,
        () = watch.run() => Ok(()),
    }
}

impl Serving<'_> {
    async fn run(&self) -> Result<(), Failure> {
        let mut patient = self.takes_over;
        let mut overriding = None;
        let mut stop = StopSignals::new();
        let mut goes_on = false;
        loop {
            let api_listener = self.listen(goes_on).await?;
            let conductor = self.conductor(patient).await?;
            let gateways: Arc<dyn ports::Gateways> = self.local.clone();
            let workers = conductor.workers();
            overriding = overrides::renewed(overriding, self.overrides, workers, &gateways);
            // Only now: a predecessor's offer stands until it is replaced.
            let successor = Successor::wait(self.state, &self.gateway)?;
            match self
                .serve(api_listener, conductor, successor, &mut stop)
                .await?
            {
                Some(End::Stopped(ended)) => return ended,
                Some(End::TakenOver(handing, streams)) => {
                    tracing::info!("a successor accepts, this one ends");
                    // What has come may be routed to its end: the successor fences nothing
                    // before this process has gone.
                    let until = std::time::Instant::now() + self.gateway.grace();
                    self.gateway.renew_lease(until);
                    ending::end(&self.gateway, &self.presence, Reason::TakenOver, &mut stop).await;
                    drop((handing, streams));
                    return Ok(());
                }
                None => tracing::warn!("the successor has failed, this one goes on"),
            }
            (patient, goes_on) = (true, true);
        }
    }

    /// Where the API listens. One that goes on waits for a successor that has just failed and
    /// still has the address.
    async fn listen(&self, goes_on: bool) -> Result<TcpListener, Failure> {
        let address = self.plan.control.listen;
        let until = Instant::now() + RELEASE;
        loop {
            match TcpListener::bind(address).await {
                Err(error)
                    if goes_on
                        && error.kind() == std::io::ErrorKind::AddrInUse
                        && Instant::now() < until =>
                {
                    sleep(LOOK).await;
                }
                bound => return bound.map_err(|error| cannot_listen(address, &error)),
            }
        }
    }

    /// Takes charge; the journal may be somebody else's for a moment.
    async fn conductor(&self, patient: bool) -> Result<Conductor, Failure> {
        let ports = || {
            let port = |(name, mover): (&ExtractionName, &Arc<LocalMover>)| {
                (name.clone(), Arc::clone(mover) as Arc<dyn ports::Mover>)
            };
            self.movers.iter().map(port).collect()
        };
        let until = Instant::now() + RELEASE;
        loop {
            match Conductor::start(self.plan, self.state, ports(), &self.publisher).await {
                Err(JournalError::InUse(_)) if patient && Instant::now() < until => {
                    sleep(LOOK).await;
                }
                started => return started.map_err(Failure::refused),
            }
        }
    }

    /// Serves the API; `None`: a successor asked, and failed.
    async fn serve(
        &self,
        api_listener: TcpListener,
        mut conductor: Conductor,
        mut successor: Successor,
        stop: &mut StopSignals,
    ) -> Result<Option<End>, Failure> {
        let address = api_listener.local_addr().map_err(Failure::refused)?;
        let token = token().map_err(Failure::refused)?;
        let control = ControlFile {
            address: address.to_string(),
            token: token.clone(),
        };
        control::write(self.state, &control).map_err(|error| {
            Failure::Refused(format!(
                "{} cannot be written: {error}",
                self.state.display()
            ))
        })?;
        let checks = Arc::new(LocalChecks {
            local: Arc::clone(&self.local),
            movers: self.movers.clone(),
            workers: conductor.workers().clone(),
            state: self.state.to_owned(),
        });
        // A reload may have brought another one since this process began.
        let plan = self.local.plan();
        let old_side: Arc<dyn ports::OldSide> = checks.clone();
        let retirements = conductor
            .watch_old_sides(&plan, &self.publisher, &old_side)
            .await
            .map_err(Failure::refused)?;
        let checks: Arc<dyn ports::ItemChecks> = checks;
        let checklists = conductor
            .answer_checklists(&plan, &checks)
            .await
            .map_err(Failure::refused)?;
        let guard: Arc<dyn ShiftGuard> = self.local.clone();
        let gauges: Arc<dyn ports::Gauges> = Arc::new(Outside::new());
        let rollouts = conductor
            .roll_out(
                &plan,
                &self.local.digest(),
                &self.publisher,
                &guard,
                &gauges,
            )
            .await
            .map_err(Failure::refused)?;
        self.local.roll_out(&rollouts);
        let token: Arc<str> = token.into();
        let api = api::router(api::ApiState {
            workers: conductor.workers().clone(),
            rollouts,
            checklists,
            retirements,
            halt: Some(conductor.halt().clone()),
            journal: conductor.journal(),
            token: Arc::clone(&token),
            metrics: metrics::texts(
                &self.gateway,
                &self.movers,
                &self.local,
                conductor.workers(),
            ),
            routes: self.local.clone(),
        });
        let stop_console = CancellationToken::new();
        // Whatever ends this, or hands it over: what is still connected hears of it.
        let ends_console = stop_console.clone().drop_guard();
        let router = web_console::router(web_console::Settings {
            api,
            token,
            stop: stop_console,
        });
        let workers = conductor.workers().clone();
        let mut decides = true;
        let ended = {
            let api = axum_serve(api_listener, router);
            tokio::select! {
                Err(failure) = self.announce(address) => Err(failure),
                () = stop.recv() => Ok(()),
                error = conductor.failed() => {
                    decides = false;
                    Err(not_in_charge(error))
                }
                () = api => Err(Failure::NotDone("the control API ended".to_owned())),
                () = reload_on_hangup(&self.local) => Ok(()),
                () = self.withdraw_writing_reads(&workers) => Ok(()),
                handing = successor.asked() => {
                    drop(ends_console);
                    return self.hand_over(conductor, handing).await;
                }
            }
        };
        let reason = if ended.is_ok() {
            Reason::Told
        } else {
            Reason::Failed
        };
        // Nobody answers there any more, and once the journal is free another one's may be there.
        control::remove(self.state);
        self.end(conductor, decides, reason, stop).await;
        Ok(Some(End::Stopped(ended)))
    }

    /// Sends the reads of an extraction back to the owner where some of them write; for
    /// ever.
    async fn withdraw_writing_reads(&self, workers: &BTreeMap<ExtractionName, Worker>) {
        loop {
            sleep(WRITING_READS_LOOK).await;
            for (name, worker) in workers {
                let found = self.local.writing_reads(name);
                let status = worker.status();
                let is_shifted =
                    status.owner == Side::Monolith.as_str() && status.reads_percent > 0.0;
                let Some(found) = found.first().filter(|_| is_shifted) else {
                    continue;
                };
                tracing::warn!(
                    extraction = %name, method = %found.method, route = %found.path,
                    "reads withdrawn: some of them write"
                );
                if let Err(error) = worker.request(Request::Withdraw).await {
                    tracing::warn!(extraction = %name, %error, "reads not withdrawn");
                }
            }
        }
    }

    /// The gateway first: it must not route on a lease that nobody renews. But a conductor that
    /// is not in charge any more must not renew it.
    async fn end(
        &self,
        mut conductor: Conductor,
        decides: bool,
        reason: Reason,
        stop: &mut StopSignals,
    ) {
        let mut ending = pin!(ending::end(&self.gateway, &self.presence, reason, stop));
        if decides {
            tokio::select! {
                () = &mut ending => return conductor.stop().await,
                _ = conductor.failed() => {}
            }
        }
        tokio::join!(conductor.stop(), ending);
    }

    /// The line that says it is ready, for people and for scripts, as soon as
    /// requests of every extraction are routed.
    async fn announce(&self, control: SocketAddr) -> Result<(), Failure> {
        let extractions = self.plan.extractions.len();
        if timeout(NEWS, self.publisher.told(extractions))
            .await
            .is_err()
        {
            tracing::warn!("some extractions are refused: their databases do not answer");
        }
        let gateway = self.gateway.local_addr();
        tracing::info!(%gateway, %control, extractions, "ready");
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "ready gateway=http://{gateway} control=http://{control}"
        )
        .and_then(|()| out.flush())
        .map_err(Failure::not_done)
    }

    /// Stops deciding, and lets a successor do it. Meanwhile requests are routed
    /// as was decided last.
    async fn hand_over(
        &self,
        conductor: Conductor,
        handing: Handing,
    ) -> Result<Option<End>, Failure> {
        tracing::info!("a successor takes over");
        let route_on = || {
            let until = std::time::Instant::now() + UNDECIDED;
            self.gateway.renew_lease(until);
        };
        // Before, too: stopping may take a while, and nobody renews any more.
        route_on();
        conductor.stop().await;
        if self.gateway.holds() {
            // It began after the successor was let in. What is held here would
            // not hear of its end there.
            tracing::warn!("a switch is under way: ask again when it has ended");
            return Ok(None);
        }
        route_on();
        let streams = self
            .movers
            .values()
            .map(|mover| mover.watch_remote_progress());
        let streams = streams.collect();
        match succession::give(handing).await {
            Ok(handing) => Ok(Some(End::TakenOver(handing, streams))),
            Err(error) => {
                tracing::error!(%error, "the successor does not accept");
                Ok(None)
            }
        }
    }
}

/// Why nothing is decided here any more, or never was.
fn not_in_charge(error: Option<JournalError>) -> Failure {
    match error {
        Some(error @ (JournalError::InCharge(_) | JournalError::OldState(_))) => {
            Failure::refused(error)
        }
        Some(error) => Failure::NotDone(format!("the conductor cannot go on: {error}")),
        None => Failure::NotDone("the conductor cannot go on; see the log".to_owned()),
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "A `banyan serve` that runs already (replace it by `banyan serve --take-over`) or another \
             program has it; stop that one, or change `control.listen`"
        }
        _ => "Change `control.listen` in the plan",
    };
    Failure::Refused(format!(
        "the control API cannot listen on {address}: {error}. {remedy}"
    ))
}

async fn axum_serve(listener: TcpListener, router: conductor::api::ApiRouter) {
    if let Err(error) = conductor::api::serve(listener, router).await {
        tracing::error!(%error, "the control API failed");
    }
}

/// Reloads the plan whenever the process is told to (`SIGHUP`); for ever.
async fn reload_on_hangup(local: &LocalGateway) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::warn!(%error, "HUP cannot be listened for");
            return std::future::pending().await;
        }
    };
    while hangup.recv().await.is_some() {
        match local.reload().await {
            Ok(brought) if brought.steps.is_empty() && brought.flags.is_empty() => {}
            Ok(brought) => {
                tracing::info!(steps = ?brought.steps, flags = ?brought.flags, "other steps or flags");
            }
            Err(error) => tracing::error!(%error, "plan not reloaded, the old one goes on"),
        }
    }
    std::future::pending::<()>().await;
}

/// Random, from the operating system, in hexadecimal.
fn token() -> std::io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    conductor::api::random(&mut bytes)?;
    Ok(hex::encode(bytes))
}
