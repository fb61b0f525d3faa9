//! A worker: one thread, one single-threaded runtime, its own listening sockets
//! (`SO_REUSEPORT`), its own connections to the upstreams. Workers share only
//! what [`Setup`] and [`Shared`] hold and get orders from the handle.

use crate::{
    access::Desk,
    body::Buffers,
    connections::{self, Bound, Connections, Room},
    decision::Lease,
    flags::Keeper,
    hold::Queue,
    inflight::Inflight,
    metrics::Recorder,
    observe::Observer,
    pins::Holder,
    settle::Settler,
    setup::Setup,
    shadow::Copies,
    shared::Shared,
    snapshot::Ownership,
    table::ExtractionIndex,
    upstream::{checks::Turns, local::Locals},
};
use bytes::Bytes;
use http::HeaderValue;
use protocol::Epoch;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::{JoinSet, spawn_local},
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
    /// Go by another plan, and accept from these sockets instead; then say so.
    Setup {
        setup: Arc<Setup>,
        listeners: Vec<Bound>,
        done: oneshot::Sender<()>,
    },
    /// Accept no more, end what runs within the time, and say so.
    Stop {
        grace: Duration,
        /// How long connections may be idle and yet be served once more: there
        /// is a successor that their clients can go to.
        idle: Duration,
        stopped: oneshot::Sender<()>,
    },
}

/// Unpredictable, so that ids are, too.
fn seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// How it is to stop.
struct Stop {
    grace: Duration,
    idle: Duration,
    stopped: oneshot::Sender<()>,
}

/// A worker's state under one plan; all of it on its own thread.
pub(crate) struct Worker {
    pub(crate) setup: Arc<Setup>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) upstreams: Locals,
    pub(crate) recorder: Recorder,
    pub(crate) desk: Desk,
    flags: Keeper,
    pub(crate) inflight: Rc<Inflight>,
    /// By extraction.
    pub(crate) queues: Rc<[Rc<Queue>]>,
    /// By extraction.
    pub(crate) settlers: Rc<[Rc<Settler>]>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) connections: Rc<Connections>,
    pub(crate) observer: Rc<Observer>,
    /// Told when the routing has changed, or the lease has ended.
    pub(crate) rerouted: Rc<Notify>,
    pub(crate) copies: Copies,
    /// Whether it does what is done once per process, and whose turn it is.
    checks: Option<Turns>,
    correlation_seed: u64,
    correlations: Cell<u64>,
}

impl Worker {
    fn new(setup: Arc<Setup>, is_first: bool) -> Self {
        let shared = Arc::clone(&setup.shared);
        let settler = |(extraction, _)| Settler::new(Arc::clone(&shared), extraction);
        let checks = is_first.then(Turns::new);
        let observer = Observer::new(&shared.observatory);
        Self {
            upstreams: Locals::new(&setup.upstreams, checks.as_ref()),
            recorder: Recorder::new(Arc::clone(&setup)),
            desk: Desk::new(&setup.access, is_first),
            flags: Keeper::default().after(&setup.flags, is_first),
            inflight: Inflight::new(Arc::clone(&shared)),
            queues: shared.all().map(|_| Rc::default()).collect(),
            settlers: shared.all().map(settler).collect(),
            buffers: Buffers::new(BUFFER_BYTES_MAX),
            connections: Rc::new(Connections::new(&observer.tally)),
            observer: Rc::new(observer),
            rerouted: Rc::default(),
            copies: Copies::new(),
            checks,
            correlation_seed: seed(),
            correlations: Cell::new(0),
            setup,
            shared,
        }
    }

    /// The worker under another plan. Connections, what is in flight, held and
    /// to be settled stay the same.
    fn after(&self, setup: Arc<Setup>) -> Self {
        Self {
            upstreams: self.upstreams.after(&setup.upstreams, self.checks.as_ref()),
            recorder: Recorder::new(Arc::clone(&setup)),
            desk: self.desk.after(&setup.access, self.checks.is_some()),
            flags: self.flags.after(&setup.flags, self.checks.is_some()),
            inflight: Rc::clone(&self.inflight),
            queues: Rc::clone(&self.queues),
            settlers: Rc::clone(&self.settlers),
            buffers: Rc::clone(&self.buffers),
            connections: Rc::clone(&self.connections),
            observer: Rc::clone(&self.observer),
            rerouted: Rc::clone(&self.rerouted),
            copies: self.copies.clone(),
            checks: self.checks.clone(),
            correlation_seed: seed(),
            correlations: Cell::new(0),
            setup,
            shared: Arc::clone(&self.shared),
        }
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
        for (extraction, _) in self.shared.all() {
            if !self.shared.snapshot.load().standing(extraction).holds() {
                self.queues[extraction.get()].wake();
            }
        }
    }

    fn obey(&self, order: Order) -> Option<Stop> {
        match order {
            Order::Routing => self.rerouted(),
            // It stops already.
            Order::Accept | Order::Setup { .. } => {}
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
        for queue in &*self.queues {
            queue.wake();
        }
    }
}

/// A worker's state now: a reload puts another one in its place. Who goes on
/// for longer than a request asks again each time.
pub(crate) struct Current(RefCell<Rc<Worker>>);

impl Current {
    pub(crate) fn get(&self) -> Rc<Worker> {
        Rc::clone(&self.0.borrow())
    }
}

/// Serves until it is told to stop, or nobody is left to tell it.
pub(crate) async fn run(
    setup: Arc<Setup>,
    listeners: Vec<Bound>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    is_first: bool,
) {
    spawn_local(crate::deadline::watch());
    let worker = Rc::new(Worker::new(setup, is_first));
    for settler in &*worker.settlers {
        let settler = Rc::clone(settler);
        spawn_local(async move { settler.run().await });
    }
    let current = Rc::new(Current(RefCell::new(worker)));
    spawn_local(sweep(Rc::clone(&current), is_first));
    let mut doors = Doors::new(Rc::clone(&current), listeners);
    let Stop {
        grace,
        idle,
        stopped,
    } = loop {
        match orders.recv().await {
            None => return,
            Some(Order::Accept) => doors.open(),
            Some(Order::Setup {
                setup,
                listeners,
                done,
            }) => {
                let next = current.get().after(setup);
                current.0.replace(Rc::new(next));
                doors.replace(listeners);
                // Nobody waits for it any more: as good.
                let _ = done.send(());
            }
            Some(order) => {
                if let Some(stop) = current.get().obey(order) {
                    break stop;
                }
            }
        }
    };
    doors.close().await;
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
    worker.observer.flush();
    let _ = stopped.send(());
}

/// Where clients come in.
struct Doors {
    current: Rc<Current>,
    room: Room,
    /// Those that nobody was let in through so far.
    shut: Option<Vec<Bound>>,
    open: JoinSet<()>,
}

impl Doors {
    fn new(current: Rc<Current>, listeners: Vec<Bound>) -> Self {
        Self {
            current,
            room: Room::new(),
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
        if worker.shared.lease() == Lease::Ended {
            worker.rerouted.notify_waiters();
        }
        if sweeps_pins {
            worker.shared.sweep();
        }
    }
}
