//! Memory that clients cost who want nothing, or never get to the point.

use super::{
    conversation::{Conversation, PATH, request},
    machine::resident_kib,
    peers::{Peer, check_share},
};
use anyhow::{Context, Result};
use std::{io::Write, net::TcpStream, thread, time::Duration};

/// Enough that what a process needs anyway does not matter.
pub(super) const CONNECTIONS: u32 = 5_000;

/// Nearly as many as a worker of ours takes, which is 10,000 with those that its listeners
/// wait for. haproxy is not asked: it wants two descriptors for
/// each, which is more than many machines give one process.
pub(super) const CLIENTS: u32 = 9_900;

/// What a proxy does after the last answer, it does at once; this is for
/// allocators that give back in the background.
const SETTLE: Duration = Duration::from_secs(1);

/// Fields of a head that does not end: about 1.5 KiB, as of a browser with cookies.
const SLOW_FIELDS: usize = 20;

/// KiB that a proxy holds for a connection that has had one request answered
/// and is kept. Each request is of another user, so this also sees whether the
/// split is one.
pub(super) fn idle(peer: &Peer, connections: u32) -> Result<f64> {
    let before = resident_kib(peer.pid())?;
    let mut kept = Vec::new();
    let mut service = 0;
    for user in 0..connections {
        let mut conversation = Conversation::new(peer.address())?;
        let arm = conversation
            .exchange(&request(user))
            .with_context(|| format!("connection {user} of {}", peer.name()))?;
        service += u32::from(peer.is_service(arm));
        kept.push(conversation);
    }
    check_share(peer.name(), service, connections)?;
    each(peer, before, connections)
}

/// KiB that a proxy holds for a client that has sent most of a head, and waits.
pub(super) fn slow(peer: &Peer, clients: u32) -> Result<f64> {
    let field = format!("x-slow: {}\r\n", "y".repeat(64));
    let head = format!(
        "GET {PATH} HTTP/1.1\r\nHost: bench\r\n{}",
        field.repeat(SLOW_FIELDS)
    );
    let before = resident_kib(peer.pid())?;
    let mut kept = Vec::new();
    for client in 0..clients {
        let mut stream = TcpStream::connect(peer.address())
            .and_then(|mut stream| stream.write_all(head.as_bytes()).map(|()| stream))
            .with_context(|| format!("client {client} of {}", peer.name()))?;
        stream.flush()?;
        kept.push(stream);
    }
    each(peer, before, clients)
}

fn each(peer: &Peer, before: f64, connections: u32) -> Result<f64> {
    thread::sleep(SETTLE);
    let after = resident_kib(peer.pid())?;
    Ok((after - before) / f64::from(connections))
}
