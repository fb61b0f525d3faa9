//! How a person ends what runs in the foreground.

use tokio::signal::unix::{SignalKind, signal};

/// As a shell says it for a process that Ctrl-C ended.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Ctrl-C in the terminal, or SIGTERM.
pub(crate) async fn interrupted() {
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
