//! The end of this process's gateway: what it is answering may go on for as long as the plan's
//! `gateway.grace` has it, and what is cut off then is said.

use super::{presence::Presence, stop_signals::StopSignals};
use gateway::{Gateway, UnderWay};
use std::{pin::pin, time::Duration};
use tokio::time::{Instant, interval};

/// The longest grace where the process ends because it cannot go on: nobody serves until
/// somebody starts it again.
const FAILED: Duration = Duration::from_secs(10);

/// How long streams are waited for once nothing else is under way, where no successor
/// serves: they end when somebody wants it, and until the next start nobody is served.
const STREAMS: Duration = Duration::from_secs(5);

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

/// Why what is left is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Grace,
    Streams,
    Signal,
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
    let (begun, mut ticks) = (Instant::now(), interval(TELL));
    let mut why = Why::Grace;
    let cut = loop {
        tokio::select! {
            cut = &mut ending => break cut,
            _ = ticks.tick() => {
                let left = gateway.under_way().await.total();
                presence.ends(left, grace.saturating_sub(begun.elapsed()));
                let are_streams = left.requests == 0 && left.streams > 0;
                let nobody_serves = reason != Reason::TakenOver && begun.elapsed() >= STREAMS;
                if are_streams && nobody_serves && why == Why::Grace {
                    why = Why::Streams;
                    gateway.shutdown(Duration::ZERO).await;
                }
            }
            () = stop.recv(), if why != Why::Signal => {
                if std::mem::replace(&mut was_told, true) {
                    tracing::warn!("told once more, ending at once");
                    why = Why::Signal;
                    gateway.shutdown(Duration::ZERO).await;
                } else {
                    say_what_is_left(gateway, grace).await;
                }
            }
        }
    };
    say_what_was_cut(&cut, grace, why);
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

fn say_what_was_cut(cut: &UnderWay, grace: Duration, why: Why) {
    let total = cut.total();
    if total.all() == 0 {
        return;
    }
    let why = match why {
        Why::Grace => "they ran for longer than `gateway.grace`",
        Why::Streams => "only streams were left, and nobody is served until the next start",
        Why::Signal => "a second signal came",
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
