//! How long an answer's body may take: between two parts, and as a whole.

use super::upstreams::{Upstream, count};
use crate::base::deadline::Deadline;
use http::{HeaderMap, HeaderValue, Response, header};
use plan::Timeouts;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// Why an answer was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    #[error("nothing came for too long")]
    Idle,
    #[error("the whole request took too long")]
    Whole,
    #[error("the upstream ended it early, or made no sense")]
    Broken,
}

impl Cut {
    /// What the access log says of it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Idle => "cut-idle",
            Self::Whole => "cut-whole",
            Self::Broken => "cut-broken",
        }
    }
}

/// Waits for the parts of one body. As long as they come at once, it costs
/// nothing: the timer is made when there first is something to wait for.
pub(crate) struct BodyTimeout {
    idle: Duration,
    deadline: Option<Instant>,
    timer: Option<Box<Deadline>>,
    is_waiting: bool,
}

impl BodyTimeout {
    /// For the answer with this head, to a request that began at `begun`.
    pub(crate) fn new<B>(begun: Instant, timeouts: Timeouts, answer: &Response<B>) -> Self {
        Self {
            idle: if is_stream(answer.headers()) {
                timeouts.stream
            } else {
                timeouts.idle
            },
            deadline: timeouts.whole.map(|whole| begun + whole),
            timer: None,
            is_waiting: false,
        }
    }

    /// A part has come.
    pub(crate) fn moved(&mut self) {
        self.is_waiting = false;
    }

    /// There is no part yet: whether that has been so for too long.
    pub(crate) fn poll(&mut self, upstream: &Upstream, cx: &mut Context<'_>) -> Poll<Cut> {
        if !self.is_waiting {
            self.is_waiting = true;
            let idle = Instant::now() + self.idle;
            let end = self.deadline.map_or(idle, |deadline| deadline.min(idle));
            match &mut self.timer {
                Some(timer) => timer.reset(end),
                timer => *timer = Some(Box::new(Deadline::at(end))),
            }
        }
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        ready!(Pin::new(timer).poll(cx));
        let late = |deadline| Instant::now() >= deadline;
        let cut = if self.deadline.is_some_and(late) {
            Cut::Whole
        } else {
            Cut::Idle
        };
        Self::note(upstream, cut, &cut);
        Poll::Ready(cut)
    }

    /// It was cut off: says so to the log and the metrics.
    pub(crate) fn note(upstream: &Upstream, cut: Cut, error: &dyn fmt::Display) {
        count(match cut {
            Cut::Idle => &upstream.counts.cut_idle,
            Cut::Whole => &upstream.counts.cut_whole,
            Cut::Broken => &upstream.counts.cut_broken,
        });
        tracing::warn!(upstream = %upstream.name, %error, "answer cut off");
    }
}

/// Whether an answer may be silent for long and yet go on: events, or messages of
/// gRPC.
fn is_stream(headers: &HeaderMap) -> bool {
    let named = |value: &HeaderValue| {
        let text = value.as_bytes().trim_ascii_start();
        STREAMS
            .iter()
            .any(|name| text.len() >= name.len() && text[..name.len()].eq_ignore_ascii_case(name))
    };
    headers.get(header::CONTENT_TYPE).is_some_and(named)
}

const STREAMS: [&[u8]; 2] = [b"text/event-stream", b"application/grpc"];
