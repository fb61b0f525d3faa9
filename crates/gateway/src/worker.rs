//! A worker: one thread, one single-threaded runtime, its own listening sockets
//! (`SO_REUSEPORT`), its own connections to the upstreams. Workers share only
//! what [`Shared`] holds and get orders from the handle.

use crate::{
    access::Desk,
    body::Buffers,
    connections::{self, Bound, Connections, Room},
    decision::Lease,
    hold::Queue,
    inflight::Inflight,
    metrics::Recorder,
    multiplexed::Multiplexed,
    pins::Holder,
    pool::Pool,
    settle::Settler,
    shared::Shared,
    snapshot::Ownership,
    table::ExtractionIndex,
    upstream::{checks, local::Local},
};
use bytes::Bytes;
use http::HeaderValue;
use protocol::Epoch;
use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::spawn_local,
};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The most bytes of bodies of writes in a worker's memory: 64 of the largest.
const BUFFER_BYTES_MAX: usize = 64 * crate::write::BODY_BYTES_MAX;

/// How often idle connections and spent pins are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What a worker is told. They come only from the handle, a few per decision
/// of the conductor, so their queue needs no bound of its own.
pub(crate) enum Order {
    /// The routing has changed.
    Routing,
    /// Say when you have drained.
    Drain {
        extraction: ExtractionIndex,
        epoch: Epoch,
        drained: oneshot::Sender<()>,
    },
    /// Settle the start of an extraction.
    Start {
        extraction: ExtractionIndex,
        owner: Ownership,
    },
    /// Accept clients from now on.
    Accept,
    /// Accept no more, end what runs within the time, and say so.
    Stop {
        grace: Duration,
        /// How long connections may be idle and yet be served once more: there
        /// is a successor that their clients can go to.
        idle: Duration,
        stopped: oneshot::Sender<()>,
    },
}

/// How it is to stop.
struct Stop {
    grace: Duration,
    idle: Duration,
    stopped: oneshot::Sender<()>,
}

/// A worker's state; all of it on its own thread.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) upstreams: Local,
    pub(crate) pool: Rc<Pool>,
    pub(crate) multiplexed: Multiplexed,
    pub(crate) inflight: Rc<Inflight>,
    /// By extraction.
    pub(crate) queues: Vec<Rc<Queue>>,
    /// By extraction.
    pub(crate) settlers: Vec<Rc<Settler>>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) recorder: Recorder,
    pub(crate) connections: Connections,
    /// Told when the routing has changed, or the lease has ended.
    pub(crate) rerouted: Notify,
    pub(crate) desk: Desk,
    correlation_seed: u64,
    correlations: Cell<u64>,
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Rc<Self> {
        let settler = |(extraction, _)| Settler::new(Arc::clone(&shared), extraction);
        let upstreams = Local::new(&shared.upstreams);
        let idle_max = shared.settings.upstream_idle;
        Rc::new(Self {
            pool: Pool::new(&shared.upstreams, &upstreams.loads, idle_max),
            multiplexed: Multiplexed::new(&shared.upstreams),
            upstreams,
            inflight: Inflight::new(Arc::clone(&shared)),
            queues: shared.table.all().map(|_| Rc::default()).collect(),
            settlers: shared.table.all().map(settler).collect(),
            buffers: Buffers::new(BUFFER_BYTES_MAX),
            recorder: Recorder::new(Arc::clone(&shared)),
            connections: Connections::default(),
            rerouted: Notify::new(),
            desk: Desk::new(&shared.access),
            correlation_seed: uuid::Uuid::new_v4().as_u64_pair().1,
            correlations: Cell::new(0),
            shared,
        })
    }

    /// A new id; unique, and without asking the operating system each time.
    pub(crate) fn correlation_id(&self) -> HeaderValue {
        let count = self.correlations.get();
        self.correlations.set(count.wrapping_add(1));
        let random = xxh3_128_with_seed(&count.to_le_bytes(), self.correlation_seed);
        let id = uuid::Builder::from_random_bytes(random.to_le_bytes()).into_uuid();
        let mut text = uuid::Uuid::encode_buffer();
        let length = id.hyphenated().encode_lower(&mut text).len();
        // Owned by the bytes, so that a copy of it is one more reference. The
        // buffer has room for the longest form; NULs are left behind this one.
        HeaderValue::from_maybe_shared(Bytes::from_owner(text).slice(..length))
            .unwrap_or(HeaderValue::from_static("none"))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.connections.are_closing()
    }

    fn rerouted(&self) {
        self.inflight.answer();
        self.rerouted.notify_waiters();
        for (extraction, _) in self.shared.table.all() {
            if !self.shared.snapshot.load().standing(extraction).holds() {
                self.queues[extraction.get()].wake();
            }
        }
    }

    fn obey(&self, order: Order) -> Option<Stop> {
        match order {
            Order::Routing => self.rerouted(),
            // It stops already.
            Order::Accept => {}
            Order::Drain {
                extraction,
                epoch,
                drained,
            } => {
                self.inflight.ask(extraction, epoch, drained);
            }
            Order::Start { extraction, owner } => {
                self.settlers[extraction.get()].push(owner, Holder::Start);
            }
            Order::Stop {
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

    /// Refuses what is held, lets the rest end.
    fn stop(&self) {
        self.connections.close();
        for queue in &self.queues {
            queue.wake();
        }
    }
}

/// Serves until it is told to stop, or nobody is left to tell it.
pub(crate) async fn run(
    shared: Arc<Shared>,
    listeners: Vec<Bound>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    is_first: bool,
) {
    spawn_local(crate::deadline::watch());
    let worker = Worker::new(shared);
    if is_first {
        checks::start(&worker.shared.upstreams);
    }
    for settler in &worker.settlers {
        let settler = Rc::clone(settler);
        spawn_local(async move { settler.run().await });
    }
    spawn_local(sweep(Rc::clone(&worker), is_first));
    if is_first {
        let shared = Arc::clone(&worker.shared);
        spawn_local(async move { shared.access.keep().await });
    }
    let mut listeners = Some(listeners);
    let mut accepting = Vec::new();
    let Stop {
        grace,
        idle,
        stopped,
    } = loop {
        match orders.recv().await {
            None => return,
            Some(Order::Accept) => {
                let room = Room::new();
                let accept = |bound| {
                    let accepting = connections::accept(Rc::clone(&worker), bound, room.clone());
                    spawn_local(accepting)
                };
                accepting.extend(listeners.take().unwrap_or_default().into_iter().map(accept));
            }
            Some(order) => {
                if let Some(stop) = worker.obey(order) {
                    break stop;
                }
            }
        }
    };
    drop(listeners);
    for accepting in accepting {
        accepting.abort();
        // Once it is gone, the address is free.
        let _ = accepting.await;
    }
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
    let obeying = async {
        while let Some(order) = orders.recv().await {
            // Told twice: the first grace counts, and both wait for it.
            if let Some(also) = worker.obey(order) {
                spawn_local(async move {
                    let _also_told_by_being_dropped = also.stopped;
                    std::future::pending::<()>().await;
                });
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = worker.connections.emptied() => {}
        () = tokio::time::sleep(grace) => {}
        () = obeying => {}
    }
    let _ = stopped.send(());
}

async fn sweep(worker: Rc<Worker>, sweeps_pins: bool) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        worker.pool.sweep();
        worker.upstreams.sweep(&worker.shared.upstreams);
        if worker.shared.lease() == Lease::Ended {
            worker.rerouted.notify_waiters();
        }
        if sweeps_pins {
            worker.shared.sweep();
        }
    }
}
