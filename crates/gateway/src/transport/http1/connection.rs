//! A client's connection over HTTP/1: its bytes, its bounds, and the request that it is in.
//!
//! The connection's task and whoever reads the body of its request have it together.
//! They take turns: until the body has ended, only its reader reads; then the
//! connection's task does, to see whether the client is still there. The reader wakes
//! it at that moment. A reader may outlast its request (a write is seen through): it is
//! one of a request by its number, and finds nothing of another one.

use super::{
    framing::Coming,
    head::{HeadReader, RequestHead},
    policy::{MessagePart, Policy},
};
use crate::{
    base::{deadline::Deadline, malformed::Malformed},
    transport::{socket::Wire, stall::Stall},
};
use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use std::{
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite},
    time::{Duration, Instant},
};

/// What is read at once of a head, and first of a body; a usual request fits.
const READ_BYTES: usize = 4 << 10;

/// What is read at once of a body that comes fast.
const READ_BYTES_MAX: usize = 64 << 10;

/// What clients are told that wait with their body (RFC 9110, 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How much is still read of a client that was refused, and for how long: a
/// connection that is closed on data still coming is reset, and the client may
/// never see why.
const LINGER_BYTES_MAX: usize = 64 << 20;
const LINGER: Duration = Duration::from_secs(5);

/// A client's connection.
pub(crate) struct ClientWire {
    wire: Wire,
    policy: Arc<Policy>,
    /// What was read and is not taken yet. Without memory while nothing is.
    read: BytesMut,
    /// Counts requests.
    request: u64,
    /// What is still to come of the request.
    coming: Coming,
    /// Whether the client is to be asked for its body before that is read.
    asks: bool,
    /// What the client is told before its answer.
    interim: BytesMut,
    /// How much is read at once of the body.
    step: usize,
    /// The connection's task, where it waits for the end of the body.
    waiting: Option<Waker>,
    /// The body's reader, where it waits until the client was asked for it.
    asking: Option<Waker>,
    stall: Stall,
}

/// Why there is no other request.
#[derive(Debug)]
pub(crate) enum NoHead {
    /// The client has ended, or the connection is broken.
    Closed,
    /// It has been silent, or slow, for too long.
    Late,
    Malformed(Malformed),
}

/// A wait for the head of a request.
#[derive(Default)]
pub(crate) struct AwaitedHead {
    reader: HeadReader,
    /// Until when it may begin, and then until when it must have ended.
    deadline: Option<(Deadline, bool)>,
}

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    Lost,
    Malformed(Malformed),
}

impl ClientWire {
    pub(crate) fn new(wire: Wire, policy: &Arc<Policy>) -> Self {
        Self {
            wire,
            policy: Arc::clone(policy),
            read: BytesMut::new(),
            request: 0,
            coming: Coming::Ended,
            asks: false,
            interim: BytesMut::new(),
            step: READ_BYTES,
            waiting: None,
            asking: None,
            stall: Stall::new(policy.write),
        }
    }

    /// Waits for the head of the next request, within the bounds.
    pub(crate) fn poll_head(
        &mut self,
        awaited: &mut AwaitedHead,
        cx: &mut Context<'_>,
    ) -> Poll<Result<RequestHead, NoHead>> {
        loop {
            if !self.read.is_empty()
                && let Some(head) = self.take_head(&mut awaited.reader)?
            {
                return Poll::Ready(Ok(head));
            }
            match self.poll_fill(READ_BYTES, cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(NoHead::Closed)),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    ready!(self.poll_late(awaited, cx));
                    return Poll::Ready(Err(NoHead::Late));
                }
            }
        }
    }

    fn take_head(&mut self, reader: &mut HeadReader) -> Result<Option<RequestHead>, NoHead> {
        let read = match reader.feed(&self.read, self.policy.limits) {
            Ok(None) => return Ok(None),
            Ok(Some(length)) => {
                // The copy is what its values share, so that they do not keep the buffer.
                let head = Bytes::copy_from_slice(&self.read[..length]);
                self.read.advance(length);
                std::mem::take(reader).finish(&head)
            }
            Err(why) => Err(why),
        };
        let mut head = read.map_err(|why| {
            (self.policy.on_malformed)(MessagePart::Head, why);
            self.coming = Coming::Broken(why);
            NoHead::Malformed(why)
        })?;
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
        self.coming = std::mem::replace(&mut head.body, Coming::Ended);
        self.request += 1;
        self.asks = head.expects;
        self.step = READ_BYTES;
        Ok(Some(head))
    }

    fn poll_late(&mut self, awaited: &mut AwaitedHead, cx: &mut Context<'_>) -> Poll<()> {
        let has_begun = !self.read.is_empty();
        let bound = if has_begun {
            self.policy.head
        } else {
            self.policy.idle
        };
        let until = || Deadline::at(Instant::now() + bound);
        match &mut awaited.deadline {
            Some((_, of_begun)) if *of_begun == has_begun => {}
            deadline => *deadline = Some((until(), has_begun)),
        }
        match &mut awaited.deadline {
            Some((deadline, _)) => Pin::new(deadline).poll(cx),
            None => Poll::Pending,
        }
    }

    /// What is still to come of the request, and which one it is.
    pub(crate) fn coming(&self) -> (&Coming, u64) {
        (&self.coming, self.request)
    }

    /// The next part of the body of the request of this number. Asks for it first, where
    /// the client wants that.
    pub(crate) fn poll_body(
        &mut self,
        request: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyEnd>>> {
        if request != self.request {
            return Poll::Ready(Some(Err(BodyEnd::Lost)));
        }
        loop {
            if let Coming::Broken(why) = self.coming {
                return Poll::Ready(Some(Err(BodyEnd::Malformed(why))));
            }
            let taken = self.coming.take(&mut self.read);
            if self.coming.has_ended() {
                self.wake(cx);
            }
            match taken {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(compact(frame)))),
                Ok(None) if self.coming.has_ended() => return Poll::Ready(None),
                Ok(None) => {}
                Err(why) => {
                    (self.policy.on_malformed)(MessagePart::Body, why);
                    tracing::debug!(reason = why.reason(), "malformed body refused");
                    return Poll::Ready(Some(Err(BodyEnd::Malformed(why))));
                }
            }
            let filled = match self.poll_ask(cx) {
                Poll::Ready(Ok(())) => self.poll_fill(self.room(), cx),
                other => other.map_ok(|()| 0),
            };
            match ready!(filled) {
                Ok(length) if length > 0 => {
                    if length >= self.step {
                        self.step = (self.step * 2).min(READ_BYTES_MAX);
                    } else if length < self.step / 4 {
                        self.step = (self.step / 2).max(READ_BYTES);
                    }
                }
                _ => return Poll::Ready(Some(Err(BodyEnd::Lost))),
            }
        }
    }

    /// As much as is read of the body at once: what may be a trickle gets little room.
    fn room(&self) -> usize {
        let left = self.coming.awaits().map(usize::try_from);
        match left {
            Some(Ok(left)) => left.min(self.step),
            _ => self.step,
        }
    }

    fn wake(&mut self, cx: &Context<'_>) {
        // Its own task looks at once.
        if let Some(waiting) = self.waiting.take()
            && !waiting.will_wake(cx.waker())
        {
            waiting.wake();
        }
    }

    fn poll_ask(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.asks) {
            self.interim.extend_from_slice(CONTINUE);
        }
        let asked = self.poll_interim(cx);
        if asked.is_pending() {
            // The connection's task writes, too: then it says when that is done.
            self.asking = Some(cx.waker().clone());
        }
        asked
    }

    fn wake_asking(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.wake();
        }
    }

    /// Tells the client something before its answer; nothing more while it does not
    /// take that.
    pub(crate) fn say_interim(&mut self, bytes: BytesMut) {
        if self.interim.is_empty() {
            self.interim = bytes;
        }
    }

    /// Writes what the client is told before its answer.
    pub(crate) fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut saying = std::mem::take(&mut self.interim);
        let mut written = Poll::Ready(Ok(()));
        while !saying.is_empty() && matches!(written, Poll::Ready(Ok(()))) {
            written = self
                .poll_write(&[IoSlice::new(&saying)], cx)
                .map_ok(|length| saying.advance(length));
        }
        self.interim = saying;
        ready!(written)?;
        self.wake_asking();
        self.poll_flush(cx)
    }

    /// The answer begins: nothing is asked for any more. What is left of what came
    /// before it goes first.
    pub(crate) fn begin_answer(&mut self) -> BytesMut {
        self.asks = false;
        self.wake_asking();
        std::mem::take(&mut self.interim)
    }

    /// Whether the client still waits to be asked for the body: it may send it or not,
    /// and nobody knows which.
    pub(crate) fn is_unasked(&self) -> bool {
        self.asks && !self.coming.has_ended()
    }

    /// Resolves when the client has gone, as far as that can be seen: once it has sent
    /// something of its next request, that comes first.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.coming.has_ended() {
            // Who reads the body finds out.
            match &mut self.waiting {
                Some(waiting) => waiting.clone_from(cx.waker()),
                waiting => *waiting = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        while self.read.is_empty() {
            match ready!(self.poll_fill(READ_BYTES, cx)) {
                Ok(length) if length > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Takes what has come of the request's body, where nobody wanted it. Whether that
    /// is all of it.
    pub(crate) fn skip_body(&mut self) -> bool {
        while !self.coming.has_ended() {
            match self.coming.take(&mut self.read) {
                Ok(Some(_)) => {}
                Ok(None) if self.coming.has_ended() => {}
                _ => return false,
            }
        }
        true
    }

    /// Writes parts, some or all of them. Ends a connection whose client takes nothing
    /// for too long.
    pub(crate) fn poll_write(
        &mut self,
        parts: &[IoSlice<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let wire = Pin::new(&mut self.wire);
        let written = match parts {
            [part] => wire.poll_write(cx, part),
            parts => wire.poll_write_vectored(cx, parts),
        };
        match self.stall.watch(written, cx) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            other => other,
        }
    }

    /// Resolves when what was written has left.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.wire).poll_flush(cx);
        self.stall.watch(flushed, cx)
    }

    /// Closes it: at once where nothing else is expected, else after what the client
    /// still sends, within bounds.
    pub(crate) fn poll_close(&mut self, closing: &mut Closing, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match closing {
                Closing::Begun => {
                    let shut = Pin::new(&mut self.wire).poll_shutdown(cx);
                    let shut = ready!(self.stall.watch(shut, cx));
                    let is_between = self.coming.has_ended() && self.read.is_empty();
                    // What has come and was not read would have the connection reset.
                    let mut has_more =
                        || matches!(self.poll_fill(READ_BYTES, cx), Poll::Ready(Ok(1..)));
                    if shut.is_err() || (is_between && !has_more()) {
                        return Poll::Ready(());
                    }
                    let end = Deadline::at(Instant::now() + LINGER);
                    *closing = Closing::Lingering(end, LINGER_BYTES_MAX);
                }
                Closing::Lingering(end, left) => {
                    if Pin::new(end).poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    self.read.clear();
                    match ready!(self.poll_fill(READ_BYTES, cx)) {
                        Ok(length) if (1..=*left).contains(&length) => *left -= length,
                        _ => return Poll::Ready(()),
                    }
                }
            }
        }
    }

    /// Has the client see that it was broken off, where it would take that for the end.
    pub(crate) fn reset(&self) {
        self.wire.reset_on_close();
    }

    /// The bytes themselves, for another protocol.
    pub(crate) fn take_wire(self) -> Wire {
        let Self { mut wire, read, .. } = self;
        if !read.is_empty() {
            wire.put_back(read.freeze());
        }
        wire
    }

    /// Reads once, at most about `bytes`. 0: there is nothing more.
    fn poll_fill(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // Before there is something to read there is no room for it either.
        ready!(self.wire.poll_readable(cx))?;
        self.read.reserve(bytes);
        let filled = pin!(self.wire.read_buf(&mut self.read)).poll(cx);
        if filled.is_pending() && self.read.is_empty() {
            // TLS was asked, which cannot tell before.
            self.read = BytesMut::new();
        }
        filled
    }
}

/// How far closing is.
#[derive(Default)]
pub(crate) enum Closing {
    #[default]
    Begun,
    /// Until then, and so many bytes more.
    Lingering(Deadline, usize),
}

/// Pieces smaller than this do not keep the buffer that they came in.
const COPIED_BYTES: usize = 1 << 10;

fn compact(frame: Frame<Bytes>) -> Frame<Bytes> {
    frame.map_data(|data| {
        if data.len() < COPIED_BYTES {
            Bytes::copy_from_slice(&data)
        } else {
            data
        }
    })
}
