//! An upgraded connection, once the upstream has switched protocols.

use crate::{
    base::index::ExtractionIndex,
    routing::decision::{self, Choosing, Right, WriteVerdict},
    state::{inflight::Flight, under_way::TalliedRequest, worker::Current},
    transport::socket::Wire,
};
use std::{
    cell::{Cell, RefCell},
    future::pending,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes},
    time::Instant,
};

/// Where the upgrade of a client's connection leaves its tunnel, until the client
/// has been answered and has stopped speaking HTTP.
#[derive(Default)]
pub(crate) struct TunnelSlot {
    tunnel: RefCell<Option<Tunnel>>,
    /// Its request, which lasts as long as the slot.
    under_way: RefCell<Option<TalliedRequest>>,
}

impl TunnelSlot {
    pub(crate) fn leave(&self, tunnel: Tunnel) {
        self.tunnel.replace(Some(tunnel));
    }

    pub(crate) fn accompany(&self, under_way: TalliedRequest) {
        self.under_way.replace(Some(under_way));
    }

    pub(crate) fn take(&self) -> Option<Tunnel> {
        self.tunnel.take()
    }
}

/// What a tunnel has in memory, each way: messages are mostly small, and there
/// may be as many tunnels as connections.
const TUNNEL_BUFFER_BYTES: usize = 8 << 10;

/// What lets a tunnel be: that the writes of all these go where it leads. None
/// for routes that stay.
pub(super) struct Grant(pub(super) Vec<Granted>);

/// That of one extraction.
pub(super) struct Granted {
    pub(super) extraction: ExtractionIndex,
    pub(super) right: Right,
    /// Where data are shared, another share may move the client.
    pub(super) choosing: Choosing,
    pub(super) flight: Flight,
}

/// An upstream that speaks another protocol than HTTP with the client.
pub(crate) struct Tunnel {
    pub(super) upstream: Wire,
    pub(super) grant: Grant,
    /// How long both sides may be silent.
    pub(super) silence: Duration,
}

/// Why a tunnel was closed.
enum End {
    Done(io::Result<(u64, u64)>),
    Idle,
    Revoked,
}

impl Tunnel {
    /// Copies bytes both ways until both sides have ended, nothing was said for
    /// too long, or it must not be any longer.
    pub(crate) async fn run(self, current: &Current, client: Wire) {
        let Self {
            mut upstream,
            mut grant,
            silence: bound,
        } = self;
        let last = Cell::new(Instant::now());
        let mut client = Watched {
            wire: client,
            last: &last,
        };
        let end = {
            let copying = copy_bidirectional_with_sizes(
                &mut client,
                &mut upstream,
                TUNNEL_BUFFER_BYTES,
                TUNNEL_BUFFER_BYTES,
            );
            tokio::select! {
                // First of all, not a byte more.
                biased;
                () = grant.revoked(current) => End::Revoked,
                done = copying => End::Done(done),
                () = silence(&last, bound) => End::Idle,
            }
        };
        // The upstream first: what was in flight has then ended, or never will.
        drop(upstream);
        drop(grant);
        match end {
            End::Done(Ok((sent, received))) => {
                tracing::debug!(sent, received, "upgraded connection ended");
            }
            End::Done(Err(error)) => tracing::debug!(%error, "upgraded connection broke"),
            End::Idle => tracing::debug!("upgraded connection closed, it was idle"),
            End::Revoked => tracing::info!("upgraded connection closed for a hand-over"),
        }
    }
}

impl Grant {
    /// Resolves when the tunnel must be closed. While the owners stay, the
    /// flights follow the routing, so that they do not look like old ones.
    async fn revoked(&mut self, current: &Current) {
        if self.0.is_empty() {
            return pending().await;
        }
        loop {
            let worker = current.get();
            let wake = Rc::clone(&worker.rerouted);
            let mut rerouted = pin!(wake.notified());
            rerouted.as_mut().enable();
            for one in &mut self.0 {
                let routing_state = worker.state.snapshot.load().routing_state(one.extraction);
                match decision::write(routing_state, worker.state.lease(), || one.choosing) {
                    WriteVerdict::Forward(now) if now == one.right => {
                        one.flight = worker.inflight.enter(one.flight.route(), routing_state);
                    }
                    _ => return,
                }
            }
            // A tunnel may last longer than this plan.
            drop(worker);
            rerouted.await;
        }
    }
}

/// Resolves when nothing has happened for `bound`.
async fn silence(last: &Cell<Instant>, bound: Duration) {
    loop {
        let until = last.get() + bound;
        tokio::time::sleep_until(until).await;
        if last.get() + bound <= until {
            return;
        }
    }
}

/// A wire that notes when something went over it last.
struct Watched<'a> {
    wire: Wire,
    last: &'a Cell<Instant>,
}

impl Watched<'_> {
    fn note<T>(&self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_ready() {
            self.last.set(Instant::now());
        }
        outcome
    }
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.wire).poll_read(cx, buffer);
        self.note(read)
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
