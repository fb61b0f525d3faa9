//! Idle connections to an upstream, one pool per worker.

use super::{
    http1::UpstreamConnection,
    loads::{Busy, Loads},
    upstreams::Upstream,
};
use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

/// The most idle connections to one instance that a worker keeps: what 256
/// busy clients leave behind, and 3 MiB.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// Idle connections, by instance. The last one given back is taken first, so
/// that those not needed get old and are closed.
pub(crate) struct Pool {
    pub(crate) upstream: Arc<Upstream>,
    loads: Arc<Loads>,
    idle: Vec<RefCell<Vec<UpstreamConnection>>>,
}

impl Pool {
    pub(crate) fn new(upstream: &Arc<Upstream>, loads: &Arc<Loads>) -> Rc<Self> {
        let none = |_: &_| RefCell::default();
        Rc::new(Self {
            loads: Arc::clone(loads),
            idle: upstream.instances.iter().map(none).collect(),
            upstream: Arc::clone(upstream),
        })
    }

    /// A request at an instance begins.
    pub(crate) fn busy(&self, instance: usize) -> Busy {
        Busy::new(&self.loads, instance)
    }

    /// Takes a connection that is neither too old nor known to be closed. A
    /// close that has not arrived yet cannot be seen: writing may still fail.
    pub(crate) fn take(&self, instance: usize, now: Instant) -> Option<UpstreamConnection> {
        let mut idle = self.idle[instance].borrow_mut();
        let mut taken = None;
        while let Some(mut connection) = idle.pop() {
            if now.saturating_duration_since(connection.idle_since()) >= self.upstream.idle_max() {
                // All below it are older still.
                idle.clear();
                break;
            }
            if connection.is_quiet() {
                connection.begin(self.busy(instance));
                taken = Some(connection);
                break;
            }
        }
        self.loads.set_idle(instance, idle.len());
        taken
    }

    /// Takes a connection for a request that must not be repeated: the
    /// operating system is asked first whether the peer has closed it.
    pub(crate) async fn take_fresh(
        &self,
        instance: usize,
        now: Instant,
    ) -> Option<UpstreamConnection> {
        loop {
            let mut connection = self.take(instance, now)?;
            // The runtime learns of closed connections only when it polls the
            // operating system, which it does before this comes back.
            tokio::task::yield_now().await;
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, where it can take another request.
    pub(crate) fn give_back(&self, mut connection: UpstreamConnection) {
        let Some(instance) = connection.end() else {
            return;
        };
        if connection.is_reusable() {
            let mut idle = self.idle[instance].borrow_mut();
            if idle.len() < IDLE_CONNECTIONS_MAX {
                idle.push(connection);
                self.loads.set_idle(instance, idle.len());
            }
        }
    }

    /// Closes what is too old or was closed by the upstream.
    pub(crate) fn sweep(&self) {
        for (instance, idle) in self.idle.iter().enumerate() {
            let mut idle = idle.borrow_mut();
            idle.retain_mut(|connection| {
                connection.is_quiet()
                    && connection.idle_since().elapsed() < self.upstream.idle_max()
            });
            self.loads.set_idle(instance, idle.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{
        own_connections::{OwnConnections, Return},
        upstreams::Upstreams,
    };
    use plan::Plan;
    use std::{net::TcpListener, time::Duration};

    #[tokio::test]
    async fn a_close_that_has_arrived_unheard_is_found_out_before_a_write_is_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = format!(
            "monolith: {{ url: \"http://{}\" }}\nservices: {{}}\n\
             gateway: {{ listen: \"127.0.0.1:0\" }}\nextractions: {{}}\n",
            listener.local_addr().unwrap()
        );
        let upstreams = Upstreams::new(&Plan::parse(&text, |_| None).unwrap());
        let upstream = &upstreams.all()[0];
        let pool = Pool::new(upstream, &Arc::new(Loads::new(1)));
        let own = Rc::new(OwnConnections::default());
        let ways: [fn(&Rc<OwnConnections>) -> Return; 2] =
            [|_| Return::Pool, |own| Return::Own(Rc::clone(own))];
        for returns in ways {
            let addresses = &upstream.instances[0].addresses;
            let connecting = UpstreamConnection::connect(pool.busy(0), addresses, LONG);
            returns(&own).give_back(&pool, connecting.await.unwrap());
            drop(listener.accept().unwrap());
            // Until it is here: the runtime stands still meanwhile, and knows of nothing.
            std::thread::sleep(Duration::from_millis(50));
            let take = || pool.take(0, Instant::now()).or_else(|| own.take(&pool, 0));
            returns(&own).give_back(&pool, take().expect("nobody has heard of it"));
            let fresh = match returns(&own) {
                Return::Own(own) => own.take_fresh(&pool, 0).await,
                _ => pool.take_fresh(0, Instant::now()).await,
            };
            assert!(fresh.is_none());
        }
    }

    const LONG: Duration = Duration::from_mins(1);
}
