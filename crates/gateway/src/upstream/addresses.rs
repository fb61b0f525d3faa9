//! The addresses of an instance: looked up in the background, all used.
//!
//! Connections begin at one address after the other; one that failed since
//! the last look-up is tried last.

use crate::transport::socket::Wire;
use arc_swap::ArcSwap;
use plan::{HostAddresses, UpstreamUrl};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpStream, UnixStream},
    sync::Mutex,
    time::Instant,
};

/// The most addresses of a name that are used: one word holds what failed.
const ADDRESSES_MAX: usize = 64;

/// How long a look-up in the background may take: resolvers ask again after
/// five seconds.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// The addresses of one instance.
#[derive(Debug)]
pub(crate) struct Addresses {
    authority: Arc<str>,
    /// The path of a Unix socket, in place of all below.
    socket: Option<PathBuf>,
    is_name: bool,
    found: ArcSwap<Resolved>,
    next: AtomicUsize,
    /// One look-up at a time, whoever needs it.
    looking: Mutex<()>,
}

#[derive(Debug, Default)]
struct Resolved {
    addresses: Vec<SocketAddr>,
    /// By their place, those that could not be connected to.
    failed: AtomicU64,
}

impl Addresses {
    pub(crate) fn new(url: &UpstreamUrl, resolve: &HostAddresses) -> Self {
        let literal = url.host.trim_start_matches('[').trim_end_matches(']');
        let literal: Option<IpAddr> = literal.parse().ok().or_else(|| resolve.address(literal));
        let addresses = literal
            .map(|ip| SocketAddr::new(ip, url.port))
            .into_iter()
            .collect();
        Self {
            authority: url.authority().into(),
            is_name: literal.is_none() && url.socket.is_none(),
            socket: url.socket.clone(),
            found: ArcSwap::from_pointee(Resolved::of(addresses)),
            next: AtomicUsize::new(0),
            looking: Mutex::default(),
        }
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> &Arc<str> {
        &self.authority
    }

    pub(crate) fn is_name(&self) -> bool {
        self.is_name
    }

    /// Connects to one of them within `bound`, of which none may use up what
    /// the others need.
    pub(crate) async fn connect(&self, bound: Duration) -> io::Result<Wire> {
        let end = Instant::now() + bound;
        if let Some(path) = &self.socket {
            let stream = tokio::time::timeout_at(end, UnixStream::connect(path)).await??;
            return Ok(stream.into());
        }
        let found = tokio::time::timeout_at(end, self.found()).await??;
        let count = found.addresses.len();
        let start = if count > 1 {
            self.next.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        let failed = found.failed.load(Ordering::Relaxed);
        for (tried, at) in order(count, start, failed).enumerate() {
            let left = end.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(count - tried).unwrap_or(1);
            match tokio::time::timeout(share, TcpStream::connect(found.addresses[at])).await {
                Ok(Ok(stream)) => {
                    if failed != 0 {
                        found.failed.fetch_and(!(1 << at), Ordering::Relaxed);
                    }
                    stream.set_nodelay(true)?;
                    return Ok(stream.into());
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
            found.failed.fetch_or(1 << at, Ordering::Relaxed);
        }
        if self.is_name {
            // The name may have moved: the next one looks it up again.
            self.found.store(Arc::default());
        }
        Err(last)
    }

    async fn found(&self) -> io::Result<Arc<Resolved>> {
        let found = self.found.load_full();
        if !found.addresses.is_empty() {
            return Ok(found);
        }
        let _one_at_a_time = self.looking.lock().await;
        let found = self.found.load_full();
        if !found.addresses.is_empty() {
            return Ok(found);
        }
        self.look_up().await?;
        Ok(self.found.load_full())
    }

    /// Looks the name up once more; what was known stays where that fails.
    pub(crate) async fn refresh(&self) {
        match tokio::time::timeout(LOOKUP_TIMEOUT, self.look_up()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(upstream = %self.authority, %error, "host name not looked up");
            }
            Err(_) => tracing::warn!(upstream = %self.authority, "host name not looked up in time"),
        }
    }

    async fn look_up(&self) -> io::Result<()> {
        let mut addresses: Vec<SocketAddr> =
            tokio::net::lookup_host(&*self.authority).await?.collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(ADDRESSES_MAX);
        if !addresses.is_empty() {
            self.found.store(Arc::new(Resolved::of(addresses)));
        }
        Ok(())
    }
}

impl Resolved {
    fn of(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            failed: AtomicU64::new(0),
        }
    }
}

/// Each place once, from `start` on, those that failed last.
fn order(count: usize, start: usize, failed: u64) -> impl Iterator<Item = usize> {
    let places = move |wanted: bool| {
        (0..count)
            .map(move |step| (start.wrapping_add(step)) % count)
            .filter(move |at| (failed & (1 << at) != 0) == wanted)
    };
    places(false).chain(places(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_tried_those_that_failed_last() {
        let order = |count, start, failed| order(count, start, failed).collect::<Vec<_>>();
        assert_eq!(order(3, 0, 0), [0, 1, 2]);
        assert_eq!(order(3, 2, 0), [2, 0, 1]);
        assert_eq!(order(3, 7, 0b010), [2, 0, 1]);
        assert_eq!(order(3, 0, 0b001), [1, 2, 0]);
        assert_eq!(order(3, 0, 0b111), [0, 1, 2]);
        assert_eq!(order(0, 5, 0), [0; 0]);
    }

    #[tokio::test]
    async fn a_name_with_an_address_where_nobody_listens_is_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (good, dead) = (listener.local_addr().unwrap(), {
            let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        });
        let addresses = Addresses {
            socket: None,
            authority: "two.test:80".into(),
            is_name: true,
            found: ArcSwap::from_pointee(Resolved::of(vec![dead, good])),
            next: AtomicUsize::new(0),
            looking: Mutex::default(),
        };
        for _ in 0..4 {
            addresses.connect(Duration::from_secs(9)).await.unwrap();
            listener.accept().await.unwrap();
        }
        assert_eq!(addresses.found.load().failed.load(Ordering::Relaxed), 1);
    }
}
