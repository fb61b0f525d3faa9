//! Bodies on their way through.

use crate::{
    answer::Refusal,
    deadline::Deadline,
    hygiene,
    link::{Coming, Link, LinkError},
    pool::Pool,
    upstream::{
        cache::Tee,
        patience::{Cut, Patience},
    },
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use plan::ClientLimits;
use std::{
    cell::Cell,
    error::Error,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// How much of a body that nobody wants is read before its request is refused,
/// and for how long: a connection that is closed on data still coming is reset,
/// and the client may never see why.
const DISCARD_BYTES_MAX: usize = 8 << 20;
const DISCARD_PATIENCE: Duration = Duration::from_secs(2);

/// A request's body on its way to an upstream.
pub(crate) enum RequestBody {
    /// All of it is here.
    Whole(Whole),
    /// It is passed on as it comes. Apart, since most requests have none and
    /// each keeps the room for it.
    Stream(Box<Stream>),
}

/// A body that is here.
#[derive(Clone, Default)]
pub(crate) struct Whole {
    /// `None` once it is taken, or where there is none.
    bytes: Option<Bytes>,
    /// Few requests have any.
    trailers: Option<Box<HeaderMap>>,
}

impl Whole {
    pub(crate) fn len(&self) -> u64 {
        self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)
    }

    /// Takes the bytes out.
    pub(crate) fn take_bytes(&mut self) -> Option<Bytes> {
        self.bytes.take()
    }

    /// What it says.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }

    fn next(&mut self) -> Option<Frame<Bytes>> {
        match self.bytes.take() {
            Some(bytes) => Some(Frame::data(bytes)),
            None => self
                .trailers
                .take()
                .map(|trailers| Frame::trailers(*trailers)),
        }
    }
}

/// A body of which only the beginning is here.
pub(crate) struct Stream {
    begun: Option<Bytes>,
    rest: Incoming,
    progress: Progress,
    /// How many bytes of the rest may come.
    room: u64,
    /// How long the next part may take; `None` in a conversation.
    patience: Option<Duration>,
    /// Runs while the next part is awaited.
    waiting: Option<Box<Deadline>>,
}

/// Why a request's body did not come to its end. Whatever it was sent to did
/// nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("the client went away in the middle of a request")]
    Lost,
    #[error("the client sent the next part of a request too late")]
    Slow,
    #[error("a request's body is too large")]
    TooLarge,
    #[error("a request's body is malformed")]
    Malformed,
}

impl BodyFault {
    fn of(error: &hyper::Error) -> Self {
        let cause = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        match cause.map(io::Error::kind) {
            // The guard's, or hyper's own.
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Self::Malformed,
            _ => Self::Lost,
        }
    }

    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Lost | Self::Slow => Refusal::BodyLost,
            Self::TooLarge => Refusal::BodyTooLarge,
            Self::Malformed => Refusal::BadBody,
        }
    }
}

/// When the last part of a request was passed on: an upstream cannot answer
/// before it has the request, so its time counts from then.
#[derive(Clone)]
pub(crate) struct Progress(Rc<Cell<Instant>>);

impl Progress {
    pub(crate) fn last(&self) -> Instant {
        self.0.get()
    }
}

impl Default for RequestBody {
    fn default() -> Self {
        Self::none()
    }
}

impl RequestBody {
    /// No body.
    pub(crate) fn none() -> Self {
        Self::Whole(Whole::default())
    }

    /// What of it has come must be within the limits.
    pub(crate) fn stream(begun: Bytes, rest: Incoming, limits: &ClientLimits) -> Self {
        if begun.is_empty() && rest.is_end_stream() {
            return Self::none();
        }
        let most = limits.body_bytes.unwrap_or(u64::MAX);
        Self::Stream(Box::new(Stream {
            room: most.saturating_sub(begun.len() as u64),
            patience: Some(limits.body),
            begun: Some(begun).filter(|bytes| !bytes.is_empty()),
            rest,
            progress: Progress(Rc::new(Cell::new(Instant::now()))),
            waiting: None,
        }))
    }

    /// Waits for each part for as long as it takes.
    pub(crate) fn patiently(mut self) -> Self {
        if let Self::Stream(stream) = &mut self {
            stream.patience = None;
        }
        self
    }

    /// Reads what is left of it, within bounds: its request is refused.
    pub(crate) async fn discard(self) {
        if let Self::Stream(stream) = self {
            discard(stream.rest).await;
        }
    }

    /// All of it, where it is here.
    pub(crate) fn whole(&self) -> Option<Whole> {
        match self {
            Self::Whole(whole) => Some(whole.clone()),
            Self::Stream(_) => None,
        }
    }

    /// How far it is, where that takes time.
    pub(crate) fn progress(&self) -> Option<Progress> {
        match self {
            Self::Whole(_) => None,
            Self::Stream(stream) => Some(stream.progress.clone()),
        }
    }
}

impl Stream {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Some(begun) = self.begun.take() {
            return Poll::Ready(Some(Ok(Frame::data(begun))));
        }
        let frame = match Pin::new(&mut self.rest).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return self.poll_patience(cx).map(|fault| Some(Err(fault))),
        };
        self.waiting = None;
        self.progress.0.set(Instant::now());
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(|error| BodyFault::of(&error))?;
            self.fits(frame)
        }))
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<BodyFault> {
        let Some(patience) = self.patience else {
            return Poll::Pending;
        };
        let end = || Instant::now() + patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::new(Deadline::at(end())));
        Pin::new(waiting).poll(cx).map(|()| BodyFault::Slow)
    }

    fn fits(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyFault> {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        self.room = self.room.checked_sub(length).ok_or(BodyFault::TooLarge)?;
        Ok(frame)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self.get_mut() {
            Self::Whole(whole) => Poll::Ready(whole.next().map(Ok)),
            Self::Stream(stream) => checked(stream.poll_frame(cx)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.bytes.is_none() && whole.trailers.is_none(),
            Self::Stream(stream) => stream.begun.is_none() && stream.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            // Trailers need chunks: the length may not be known, then.
            Self::Whole(whole) if whole.trailers.is_some() => SizeHint::default(),
            Self::Whole(whole) => SizeHint::with_exact(whole.len()),
            Self::Stream(stream) => {
                let begun = stream.begun.as_ref().map_or(0, |bytes| bytes.len() as u64);
                let rest = stream.rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(begun + rest.lower());
                if let Some(upper) = rest.upper() {
                    hint.set_upper(begun + upper);
                }
                hint
            }
        }
    }
}

/// Takes out of trailers what must not be there.
fn checked<E>(
    frame: Poll<Option<Result<Frame<Bytes>, E>>>,
) -> Poll<Option<Result<Frame<Bytes>, E>>> {
    match frame {
        Poll::Ready(Some(Ok(mut frame))) => {
            if let Some(trailers) = frame.trailers_mut() {
                hygiene::trailers(trailers);
            }
            Poll::Ready(Some(Ok(frame)))
        }
        other => other,
    }
}

/// A request's client waits to be told that its body is wanted: an extension
/// of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expecting;

impl Expecting {
    pub(crate) fn is_in(parts: &Parts) -> bool {
        parts.extensions.get::<Self>().is_some()
    }
}

/// A request's body may be one side of a conversation, in which the client is
/// silent while it listens (streams of gRPC): an extension of the request. Over
/// HTTP/2 that is any whose length is not known; the connection's pings tell
/// whether the client is still there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conversing;

impl Conversing {
    pub(crate) fn mark(parts: &mut Parts, body: &Incoming) {
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            parts.extensions.insert(Self);
        }
    }

    pub(crate) fn is_in(parts: &Parts) -> bool {
        parts.extensions.get::<Self>().is_some()
    }
}

/// How much of the bodies of one worker's requests may be in memory.
#[derive(Debug)]
pub(crate) struct Buffers {
    free: Cell<usize>,
}

/// A part of [`Buffers`], given back on drop.
#[derive(Debug)]
pub(crate) struct Reserved {
    buffers: Rc<Buffers>,
    bytes: usize,
}

impl Buffers {
    pub(crate) fn new(bytes: usize) -> Rc<Self> {
        Rc::new(Self {
            free: Cell::new(bytes),
        })
    }

    fn reserve(self: &Rc<Self>) -> Reserved {
        Reserved {
            buffers: Rc::clone(self),
            bytes: 0,
        }
    }
}

impl Reserved {
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let free = self
            .buffers
            .free
            .get()
            .checked_sub(bytes)
            .ok_or(Refusal::BuffersFull)?;
        self.buffers.free.set(free);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.buffers.free.set(self.buffers.free.get() + self.bytes);
    }
}

/// Reads the body of a refused request, within bounds; not where the client
/// waits to be asked for it, since reading it asks.
pub(crate) async fn refuse(parts: &Parts, body: Incoming) {
    if !Expecting::is_in(parts) && !parts.headers.contains_key(http::header::EXPECT) {
        discard(body).await;
    }
}

async fn discard(mut body: Incoming) {
    if body.is_end_stream() || body.size_hint().lower() > DISCARD_BYTES_MAX as u64 {
        return;
    }
    let all = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    // Too slow, then: the client takes its chances.
    let _ = tokio::time::timeout(DISCARD_PATIENCE, all).await;
}

/// A client's body.
pub(crate) enum Inbound {
    /// It has not been looked at.
    Coming(Incoming),
    /// It was read to see what the request asks for.
    Here(Whole, Reserved),
}

impl Inbound {
    /// Reads the body of a refused request, like [`refuse`].
    pub(crate) async fn refuse(self, parts: &Parts) {
        if let Self::Coming(body) = self {
            refuse(parts, body).await;
        }
    }
}

/// A body that was read before its request is sent.
pub(crate) enum Collected {
    /// It ended within the limit.
    Whole(Whole, Reserved),
    /// It did not; what came so far, and the rest.
    Large(Bytes, Incoming, Reserved),
}

/// Reads a body, up to a little more than `limit` bytes.
pub(crate) async fn collect(
    mut body: Incoming,
    limit: usize,
    client: &ClientLimits,
    buffers: &Rc<Buffers>,
) -> Result<Collected, Refusal> {
    let mut reserved = buffers.reserve();
    if body.is_end_stream() {
        return Ok(Collected::Whole(Whole::default(), reserved));
    }
    if body.size_hint().lower() > limit as u64 {
        return Ok(Collected::Large(Bytes::new(), body, reserved));
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    let mut trailers = None;
    loop {
        let frame = crate::deadline::timeout(client.body, body.frame()).await;
        let data = match frame.map_err(|_| Refusal::BodyLost)? {
            None => break,
            Some(Err(error)) => return Err(BodyFault::of(&error).refusal()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    trailers = frame.into_trailers().ok().map(|mut trailers| {
                        hygiene::trailers(&mut trailers);
                        Box::new(trailers)
                    });
                    continue;
                }
            },
        };
        reserved.grow(data.len())?;
        if first.is_empty() {
            first = data;
        } else {
            // Most bodies come in one part, which is not copied.
            more.extend_from_slice(&data);
        }
        let length = first.len() + more.len();
        if client.body_bytes.is_some_and(|most| length as u64 > most) {
            return Err(Refusal::BodyTooLarge);
        }
        if length > limit {
            return Ok(Collected::Large(join(first, &more), body, reserved));
        }
        if body.is_end_stream() {
            break;
        }
    }
    let whole = Whole {
        bytes: Some(join(first, &more)).filter(|bytes| !bytes.is_empty()),
        trailers: trailers.filter(|trailers| !trailers.is_empty()),
    };
    Ok(Collected::Whole(whole, reserved))
}

fn join(first: Bytes, more: &BytesMut) -> Bytes {
    if more.is_empty() {
        return first;
    }
    let mut all = BytesMut::with_capacity(first.len() + more.len());
    all.extend_from_slice(&first);
    all.extend_from_slice(more);
    all.freeze()
}

/// A response's body on its way to a client.
pub(crate) enum ResponseBody {
    /// The gateway's own.
    Own(Option<Bytes>),
    /// An upstream's, with the connection that it comes over.
    Upstream(Passing),
    /// An upstream's, over a connection that many share, with its place there.
    Stream { body: Incoming, _place: Rc<()> },
}

/// An upstream's body. Polling it drives the connection; when it has ended,
/// the connection goes back to the pool.
pub(crate) struct Passing {
    body: Coming,
    link: Option<Link>,
    pool: Rc<Pool>,
    patience: Patience,
    /// Where it is to be kept, too.
    tee: Option<Box<Tee>>,
}

/// Why a body ended early.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl ResponseBody {
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self::Own(Some(bytes))
    }

    pub(crate) fn empty() -> Self {
        Self::Own(None)
    }

    pub(crate) fn stream(body: Incoming, place: Rc<()>) -> Self {
        Self::Stream {
            body,
            _place: place,
        }
    }

    pub(crate) fn upstream(body: Coming, link: Link, pool: Rc<Pool>, patience: Patience) -> Self {
        Self::Upstream(Passing {
            body,
            link: Some(link),
            pool,
            patience,
            tee: None,
        })
    }

    /// Keeps what comes, too.
    pub(crate) fn keep(mut self, tee: Tee) -> Self {
        if let Self::Upstream(passing) = &mut self {
            passing.tee = Some(Box::new(tee));
        }
        self
    }
}

impl Passing {
    fn give_back(&mut self) {
        if let Some(link) = self.link.take() {
            self.pool.give_back(link);
        }
        if let Some(tee) = self.tee.take() {
            (*tee).finish();
        }
    }

    /// Looks at what came on its way to the client.
    fn watched(
        &mut self,
        frame: Poll<Option<Result<Frame<Bytes>, LinkError>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match frame {
            Poll::Pending => {
                let Poll::Ready(cut) = self.patience.poll(&self.pool.upstream, cx) else {
                    return Poll::Pending;
                };
                self.link = None;
                self.tee = None;
                Poll::Ready(Some(Err(cut.into())))
            }
            Poll::Ready(None) => {
                self.give_back();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.patience.moved();
                if let Some(tee) = &mut self.tee {
                    // Trailers are not kept, so neither is what has some.
                    let keeps = frame.data_ref().is_some_and(|data| tee.add(data));
                    if !keeps {
                        self.tee = None;
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                Patience::note(&self.pool.upstream, Cut::Broken, &error);
                self.link = None;
                self.tee = None;
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // hyper drops a body at its last frame without asking for the end.
        if self.body.has_ended() {
            self.give_back();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let passing = match self.get_mut() {
            Self::Own(bytes) => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            Self::Stream { body, .. } => {
                let frame = Pin::new(body).poll_frame(cx).map_err(Into::into);
                return checked(frame);
            }
            Self::Upstream(passing) => passing,
        };
        let frame = match &mut passing.link {
            Some(link) => link.poll_frame(&mut passing.body, cx),
            None => Poll::Ready(None),
        };
        checked(passing.watched(frame, cx))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Stream { body, .. } => body.is_end_stream(),
            Self::Upstream(passing) => passing.body.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream { body, .. } => body.size_hint(),
            Self::Upstream(passing) => passing.body.size_hint(),
        }
    }
}
