//! A worker: one thread, one single-threaded runtime, its own listening sockets
//! (`SO_REUSEPORT`), its own connections to the upstreams. Workers share only
//! what [`Config`] and [`GatewayState`] hold and get orders from the handle.

use super::connections::{self, Bound, ConnectionLimit};
use crate::{
    base::index::ExtractionIndex,
    routing::{decision::Lease, snapshot::Ownership},
    state::{
        config::Config,
        inflight::InFlight,
        pins::Holder,
        side_counts::SideCounts,
        under_way::UnderWay,
        worker::{Current, Worker},
    },
};
use protocol::Epoch;
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinSet, spawn_local},
    time::{Instant, sleep_until},
};

/// How often idle connections and spent pins are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What a worker is told. They come only from the handle, a few per decision
/// of the conductor, so their queue needs no bound of its own.
pub(crate) enum WorkerCommand {
    /// The routing has changed.
    Routing,
    /// Say when you have drained.
    Drain {
        extraction: ExtractionIndex,
        epoch: Epoch,
        drained: oneshot::Sender<()>,
    },
    /// Say what is in flight of an extraction, and by which route the longest came.
    InFlight {
        extraction: ExtractionIndex,
        answer: oneshot::Sender<Option<(InFlight, String)>>,
    },
    /// Hand over what was counted of an extraction for comparing both sides.
    TakeSideCounts {
        extraction: ExtractionIndex,
        answer: oneshot::Sender<Option<SideCounts>>,
    },
    /// Settle the start of an extraction.
    Start {
        extraction: ExtractionIndex,
        owner: Ownership,
    },
    /// Say what you are answering.
    UnderWay(oneshot::Sender<UnderWay>),
    /// Accept clients from now on.
    Accept,
    /// Go by another plan, and accept from these sockets instead; then say so.
    Config {
        config: Arc<Config>,
        listeners: Vec<Bound>,
        done: oneshot::Sender<()>,
    },
    /// Accept no more, end what runs within the time, and say so.
    Stop {
        grace: Duration,
        /// How long connections may be idle and yet be served once more: there
        /// is a successor that their clients can go to.
        idle: Duration,
        stopped: oneshot::Sender<UnderWay>,
    },
}

/// How it is to stop.
struct Stop {
    grace: Duration,
    idle: Duration,
    stopped: oneshot::Sender<UnderWay>,
}

/// How it has stopped. To be told once nothing of it is left.
pub(crate) struct Stopped {
    /// What was cut off.
    cut: UnderWay,
    /// Who told it to; all but the first wait only.
    told: Vec<oneshot::Sender<UnderWay>>,
}

impl Stopped {
    pub(crate) fn tell(self) {
        if let Some(first) = self.told.into_iter().next() {
            // Receiver dropped: nobody waits.
            let _ = first.send(self.cut);
        }
    }
}

/// Does what can be done at once; what remains is to stop.
fn obey(worker: &Worker, command: WorkerCommand) -> Option<Stop> {
    match command {
        WorkerCommand::Routing => worker.rerouted(),
        // It stops already.
        WorkerCommand::Accept | WorkerCommand::Config { .. } => {}
        WorkerCommand::Drain {
            extraction,
            epoch,
            drained,
        } => {
            worker.inflight.ask(extraction, epoch, drained);
        }
        WorkerCommand::InFlight { extraction, answer } => {
            let found = worker.inflight.report(extraction);
            let route = |one: InFlight| (one, worker.route_text(extraction, one.route));
            // Receiver dropped: whoever asked has given up.
            let _ = answer.send(found.map(route));
        }
        WorkerCommand::TakeSideCounts { extraction, answer } => {
            let counter = worker.side_counter(extraction);
            // Receiver dropped: whoever asked has given up on this window.
            let _ = answer.send(counter.map(|counter| counter.take()));
        }
        WorkerCommand::UnderWay(asker) => {
            // Receiver dropped: nobody waits.
            let _ = asker.send(worker.under_way.report());
        }
        WorkerCommand::Start { extraction, owner } => {
            worker.lsn_samplers[extraction.get()].push(owner, Holder::Start);
        }
        WorkerCommand::Stop {
            grace,
            idle,
            stopped,
        } => {
            return Some(Stop {
                grace,
                idle,
                stopped,
            });
        }
    }
    None
}

/// Serves until it is told to stop, or the sender of commands is dropped. What is left then
/// ends with the runtime.
pub(crate) async fn run(
    config: Arc<Config>,
    listeners: Vec<Bound>,
    mut commands: mpsc::UnboundedReceiver<WorkerCommand>,
    is_first: bool,
) -> Option<Stopped> {
    spawn_local(crate::base::deadline::watch());
    let worker = Worker::new(config, is_first);
    for lsn_sampler in &*worker.lsn_samplers {
        let lsn_sampler = Rc::clone(lsn_sampler);
        spawn_local(async move { lsn_sampler.run().await });
    }
    let current = Rc::new(Current::new(worker));
    spawn_local(sweep(Rc::clone(&current), is_first));
    let mut acceptors = Acceptors::new(Rc::clone(&current), listeners);
    let Stop {
        grace,
        idle,
        stopped,
    } = loop {
        match commands.recv().await {
            None => return None,
            Some(WorkerCommand::Accept) => acceptors.open(),
            Some(WorkerCommand::Config {
                config,
                listeners,
                done,
            }) => {
                let next = current.get().after(config);
                current.replace(next);
                acceptors.replace(listeners);
                // Receiver dropped: the reload was cancelled, and has happened.
                let _ = done.send(());
            }
            Some(command) => {
                if let Some(stop) = obey(&current.get(), command) {
                    break stop;
                }
            }
        }
    };
    acceptors.close().await;
    let worker = current.get();
    worker.connections.take_leave();
    if idle.is_zero() {
        worker.stop();
    } else {
        let worker = Rc::clone(&worker);
        spawn_local(async move {
            tokio::time::sleep(idle).await;
            worker.stop();
        });
    }
    let mut told = vec![stopped];
    let mut ends = Instant::now() + grace;
    loop {
        tokio::select! {
            () = worker.connections.emptied() => break,
            () = sleep_until(ends) => break,
            Some(command) = commands.recv() => {
                if let Some(also) = obey(&worker, command) {
                    // Told twice: the shorter grace counts, and both wait for it.
                    ends = ends.min(Instant::now() + also.grace);
                    told.push(also.stopped);
                }
            }
        }
    }
    worker.connections.cut();
    Some(Stopped {
        cut: worker.under_way.report(),
        told,
    })
}

/// Where clients come in.
struct Acceptors {
    current: Rc<Current>,
    room: ConnectionLimit,
    /// Bound, and not accepting yet.
    shut: Option<Vec<Bound>>,
    open: JoinSet<()>,
}

impl Acceptors {
    fn new(current: Rc<Current>, listeners: Vec<Bound>) -> Self {
        Self {
            current,
            room: ConnectionLimit::new(),
            shut: Some(listeners),
            open: JoinSet::new(),
        }
    }

    fn open(&mut self) {
        for bound in self.shut.take().unwrap_or_default() {
            let current = Rc::clone(&self.current);
            let accepting = connections::accept(current, bound, self.room.clone());
            self.open.spawn_local(accepting);
        }
    }

    /// Others from now on. A socket that stays is in both sets, and so is never
    /// closed: what waits in its queue is accepted by one or the other.
    fn replace(&mut self, listeners: Vec<Bound>) {
        let were_open = self.shut.is_none();
        let before = std::mem::take(&mut self.open);
        self.shut = Some(listeners);
        if were_open {
            self.open();
        }
        drop(before);
    }

    /// Once it is done, the addresses are free.
    async fn close(mut self) {
        self.open.shutdown().await;
    }
}

async fn sweep(current: Rc<Current>, sweeps_pins: bool) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let worker = current.get();
        worker.upstreams.sweep();
        worker.observer.flush();
        if worker.state.lease() == Lease::Ended {
            worker.rerouted.notify_waiters();
        }
        if sweeps_pins {
            worker.state.sweep();
        }
    }
}
