//! The signals that end the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listened for once: one that comes while a successor takes over counts when that has
/// failed.
pub(super) struct StopSignals([Option<Signal>; 2]);

impl StopSignals {
    pub(super) fn new() -> Self {
        let listen = |kind| match signal(kind) {
            Ok(signal) => Some(signal),
            Err(error) => {
                tracing::warn!(%error, ?kind, "a signal cannot be listened for");
                None
            }
        };
        Self([SignalKind::terminate(), SignalKind::interrupt()].map(listen))
    }

    /// Cancel safe.
    pub(super) async fn recv(&mut self) {
        let [terminate, interrupt] = &mut self.0;
        let one = async |signal: &mut Option<Signal>| match signal {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        };
        tokio::select! {
            () = one(terminate) => {}
            () = one(interrupt) => {}
        }
    }
}
