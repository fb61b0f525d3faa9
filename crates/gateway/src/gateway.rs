//! The handle that the rest of Banyan holds.

use crate::{
    Explanation, Positions, RouteReport, StartError, explain,
    shared::Shared,
    upstream::report::UpstreamReport,
    worker::{self, Order},
};
use http::Request;
use plan::{ExtractionName, Plan};
use prometheus_client::registry::Registry;
use protocol::{Epoch, GatewayId, routing::Routing};
use std::{
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, mpsc::sync_channel},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpSocket,
    runtime,
    sync::{mpsc, oneshot},
    task::LocalSet,
};

/// Connections that wait to be accepted, per worker: those that come within a
/// scheduling delay, and Linux' own limit is not above it by default.
const BACKLOG: u32 = 4096;

/// A running gateway; cheap to clone. When the last handle is dropped without
/// [`Gateway::shutdown`], it stops at once.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    id: GatewayId,
    address: SocketAddr,
    shared: Arc<Shared>,
    workers: Vec<mpsc::UnboundedSender<Order>>,
}

/// What an extraction's holds did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldReport {
    /// Requests held at this moment.
    pub now: usize,
    /// Requests that the last hold held and released.
    pub released: u64,
    /// How long the longest of them was held, in milliseconds.
    pub hold_ms_max: u64,
    /// How long the median of them was held, in milliseconds.
    pub hold_ms_p50: u64,
    /// Requests that the last hold answered 503, because they did not fit into
    /// its bounds or got too old.
    pub refused: u64,
}

impl Gateway {
    /// Binds the plan's address and starts its workers. Until the first
    /// [`Gateway::publish`] and [`Gateway::renew_lease`], requests of
    /// extractions are answered 503; routes that stay work at once.
    ///
    /// Blocks for the moment that starting threads takes.
    pub fn start(plan: &Plan, positions: Arc<dyn Positions>) -> Result<Self, StartError> {
        let wanted = plan.gateway.listen;
        let sockets = bind(wanted, plan.gateway.workers.max(1))
            .map_err(|source| StartError::listening(wanted, source))?;
        let shared = Arc::new(Shared::new(plan, positions));
        let mut workers = Vec::new();
        let mut address = wanted;
        for (number, socket) in sockets.into_iter().enumerate() {
            let (orders, received) = mpsc::unbounded_channel();
            address = spawn(number, socket, Arc::clone(&shared), received)
                .map_err(|source| StartError::Worker { source })?
                .map_err(|source| StartError::listening(wanted, source))?;
            workers.push(orders);
        }
        let id = GatewayId(uuid::Uuid::new_v4());
        tracing::info!(%address, workers = workers.len(), gateway = %id, "gateway listens");
        Ok(Self {
            inner: Arc::new(Inner {
                id,
                address,
                shared,
                workers,
            }),
        })
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
        let known = self.inner.shared.publish(routing);
        for (extraction, owner) in known {
            if let Some(first) = self.inner.workers.first() {
                let _ = first.send(Order::Start { extraction, owner });
            }
        }
        for worker in &self.inner.workers {
            // One that has stopped holds nothing.
            let _ = worker.send(Order::Routing);
        }
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
        let Some(extraction) = self.inner.shared.table.find(extraction) else {
            return pending().await;
        };
        let mut answers = Vec::new();
        for worker in &self.inner.workers {
            let (drained, answer) = oneshot::channel();
            let _ = worker.send(Order::Drain {
                extraction,
                epoch,
                drained,
            });
            answers.push(answer);
        }
        for answer in answers {
            if answer.await.is_err() {
                // A worker that is gone cannot say what it left behind.
                return pending().await;
            }
        }
    }

    /// Extends the lease; an earlier end than the current one is ignored.
    /// Requests of extractions are answered 503 when it has ended, routes that
    /// stay go on working.
    pub fn renew_lease(&self, until: Instant) {
        self.inner.shared.renew_lease(until);
    }

    /// What the holds of an extraction did; nothing for one that the plan does
    /// not have.
    pub fn held(&self, extraction: &ExtractionName) -> HeldReport {
        let shared = &self.inner.shared;
        let report = |found| shared.extraction(found).ledger.report();
        shared
            .table
            .find(extraction)
            .map_or_else(HeldReport::default, report)
    }

    /// All routes, in the order in which they are tried.
    pub fn routes(&self) -> Vec<RouteReport> {
        explain::routes(&self.inner.shared)
    }

    /// What would become of a request of this address now. Sends nothing, and
    /// leaves no trace. The error is what its client would be told.
    pub fn explain(&self, request: Request<()>, address: IpAddr) -> Result<Explanation, String> {
        explain::explain(&self.inner.shared, request, address)
    }

    /// Registers the metrics, without a prefix.
    pub fn metrics(&self, registry: &mut Registry) {
        self.inner.shared.metrics.register(registry);
        self.inner.shared.upstreams.register(registry);
    }

    /// What it thinks of its upstreams: the monolith, then the services.
    pub fn upstreams(&self) -> Vec<UpstreamReport> {
        self.inner.shared.upstreams.report()
    }

    /// Accepts no more, lets requests end for up to `grace`, and ends the
    /// workers. Held requests are answered 503 at once. Writes whose clients
    /// have gone are not waited for.
    pub async fn shutdown(&self, grace: Duration) {
        let mut stops = Vec::new();
        for worker in &self.inner.workers {
            let (stopped, stop) = oneshot::channel();
            let _ = worker.send(Order::Stop { grace, stopped });
            stops.push(stop);
        }
        for stop in stops {
            // Stopped before, by somebody else: as good.
            let _ = stop.await;
        }
    }
}

impl StartError {
    fn listening(address: SocketAddr, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::AddressInUse { address }
        } else {
            Self::Listen { address, source }
        }
    }
}

/// Binds one socket per worker to the same address.
fn bind(wanted: SocketAddr, workers: usize) -> io::Result<Vec<TcpSocket>> {
    let socket = || {
        if wanted.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }
    };
    if wanted.port() != 0 {
        // Sockets that share a port share it with other processes of the same
        // user, too. One that does not share tells whether somebody is there.
        let probe = socket()?;
        probe.set_reuseaddr(true)?;
        probe.bind(wanted)?;
    }
    let mut address = wanted;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket = socket()?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(address)?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Starts a worker's thread. The inner error is that of listening.
fn spawn(
    number: usize,
    socket: TcpSocket,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedReceiver<Order>,
) -> io::Result<io::Result<SocketAddr>> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (report, reported) = sync_channel(1);
    thread::Builder::new()
        .name(format!("gateway-{number}"))
        .spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                let listening = socket.listen(BACKLOG).and_then(|listener| {
                    let address = listener.local_addr()?;
                    Ok((listener, address))
                });
                match listening {
                    Err(error) => drop(report.send(Err(error))),
                    Ok((listener, address)) => {
                        // `start` waits for it, unless it was interrupted.
                        let _ = report.send(Ok(address));
                        worker::run(shared, listener, orders, number == 0).await;
                    }
                }
            });
        })?;
    reported.recv().map_err(io::Error::other)
}
