//! Memory per idle connection.

use super::{
    conversation::{Conversation, request},
    machine::resident_kib,
    peers::{Peer, check_share},
};
use anyhow::{Context, Result};
use std::{thread, time::Duration};

/// Enough that what a process needs anyway does not matter.
pub(super) const CONNECTIONS: u32 = 5_000;

/// What a proxy does after the last answer, it does at once; this is for
/// allocators that give back in the background.
const SETTLE: Duration = Duration::from_secs(1);

/// KiB that a proxy holds for a connection that has had one request answered
/// and is kept. Each request is of another user, so this also sees whether the
/// split is one.
pub(super) fn measure(peer: &Peer) -> Result<f64> {
    let before = resident_kib(peer.pid())?;
    let mut kept = Vec::new();
    let mut service = 0;
    for user in 0..CONNECTIONS {
        let mut conversation = Conversation::new(peer.address())?;
        let arm = conversation
            .exchange(&request(user))
            .with_context(|| format!("connection {user} of {}", peer.name()))?;
        service += u32::from(peer.is_service(arm));
        kept.push(conversation);
    }
    check_share(peer.name(), service, CONNECTIONS)?;
    thread::sleep(SETTLE);
    let after = resident_kib(peer.pid())?;
    drop(kept);
    Ok((after - before) / f64::from(CONNECTIONS))
}
