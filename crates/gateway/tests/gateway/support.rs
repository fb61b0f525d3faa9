//! Real upstreams, a controllable data mover, and clients.

mod bed;
mod client;
mod mover;
mod plans;
mod python;
mod skip;
mod upstream;

pub use bed::*;
pub use client::*;
pub use mover::*;
pub use plans::*;
pub use python::python;
pub use skip::skip;
pub use upstream::*;

use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// An address that refuses connections. Nobody listens on this host of the
/// loopback network, whatever ports other tests are given meanwhile.
pub fn dead_address() -> SocketAddr {
    let listener = TcpListener::bind("127.77.7.7:0").unwrap();
    listener.local_addr().unwrap()
}

/// An address whose port was free a moment ago, to listen on.
pub fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Waits for a condition.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
