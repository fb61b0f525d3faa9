//! Real upstreams, a controllable data mover, and clients.

mod bed;
mod client;
mod mover;
mod upstream;

pub use bed::*;
pub use client::*;
pub use mover::*;
pub use upstream::*;

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Waits for a condition.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
