//! The end of this process's gateway: what it is answering may go on for as long as the plan's
//! `gateway.grace` has it, and what is cut off then is said.

use super::{presence::Presence, stop_signals::StopSignals};
use gateway::{Gateway, UnderWay};
use std::{pin::pin, time::Duration};
use tokio::time::{Instant, interval};

/// The longest grace where the process ends because it cannot go on: nobody serves until
/// somebody starts it again.
const FAILED: Duration = Duration::from_secs(10);

/// How often those that come after it are told what is left.
const TELL: Duration = Duration::from_secs(1);

/// Why a gateway ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It was told to.
    Told,
    /// The process cannot go on.
    Failed,
    /// A successor accepts.
    TakenOver,
}

/// Ends a gateway within its grace. One more signal ends it at once, where one has told it to
/// end already.
pub(super) async fn end(
    gateway: &Gateway,
    presence: &Presence,
    reason: Reason,
    stop: &mut StopSignals,
) {
    let grace = match reason {
        Reason::Failed => gateway.grace().min(FAILED),
        Reason::Told | Reason::TakenOver => gateway.grace(),
    };
    let mut was_told = reason != Reason::TakenOver;
    if was_told {
        say_what_is_left(gateway, grace).await;
    }
    let mut ending = pin!(async {
        match reason {
            Reason::TakenOver => gateway.retire(grace).await,
            Reason::Told | Reason::Failed => gateway.shutdown(grace).await,
        }
    });
    let (ends_at, mut ticks) = (Instant::now() + grace, interval(TELL));
    let mut at_once = false;
    let cut = loop {
        tokio::select! {
            cut = &mut ending => break cut,
            _ = ticks.tick() => {
                let left = gateway.under_way().await.total();
                presence.ends(left, ends_at.saturating_duration_since(Instant::now()));
            }
            () = stop.recv(), if !at_once => {
                if std::mem::replace(&mut was_told, true) {
                    tracing::warn!("told once more, ending at once");
                    at_once = true;
                    gateway.shutdown(Duration::ZERO).await;
                } else {
                    say_what_is_left(gateway, grace).await;
                }
            }
        }
    };
    say_what_was_cut(&cut, grace, at_once);
}

async fn say_what_is_left(gateway: &Gateway, grace: Duration) {
    let left = gateway.under_way().await.total();
    tracing::info!(
        requests = left.requests,
        streams = left.streams,
        ?grace,
        "ending once these have ended, after this grace at the latest; a second signal ends them now"
    );
}

fn say_what_was_cut(cut: &UnderWay, grace: Duration, at_once: bool) {
    let total = cut.total();
    if total.all() == 0 {
        return;
    }
    let why = if at_once {
        "a second signal came"
    } else {
        "they ran for longer than `gateway.grace`"
    };
    tracing::warn!(
        requests = total.requests,
        streams = total.streams,
        routes = cut.by_route(),
        ?grace,
        why,
        "cut off; whether a request without an answer has had its effect is not known"
    );
}
