//! A request's body on its way to an upstream.

use super::{
    discard::discard, fault::BodyFault, incoming::Incoming, pace::Pace, progress::Progress,
    spool::Spooled, trailers::RequestTrailers,
};
use crate::base::deadline::Deadline;
use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use http_body::{Body, Frame, SizeHint};
use plan::ClientLimits;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// A request's body on its way to an upstream.
pub(crate) enum RequestBody {
    /// All of it is here.
    Whole(Whole),
    /// It is passed on as it comes. Apart, since most requests have none and
    /// each keeps the room for it.
    Stream(Box<Stream>),
    /// All of it is in a file.
    Spooled(Box<Spooled>),
}

/// A body that is here.
#[derive(Clone, Default)]
pub(crate) struct Whole {
    /// `None` once it is taken, or where there is none.
    pub(super) bytes: Option<Bytes>,
    /// Few requests have any.
    pub(super) trailers: Option<Box<HeaderMap>>,
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
    trailers: RequestTrailers,
    /// How long the next part may take; `None` in a conversation.
    pace: Option<Pace>,
    /// Runs while the next part is awaited, and since when that is.
    waiting: Option<(Box<Deadline>, Instant)>,
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
            trailers: RequestTrailers::default(),
            pace: Some(if rest.size_hint().exact().is_some() {
                Pace::new(limits)
            } else {
                Pace::steady(limits)
            }),
            begun: Some(begun).filter(|bytes| !bytes.is_empty()),
            rest,
            progress: Progress::begin(),
            waiting: None,
        }))
    }

    /// Waits for each part for as long as it takes.
    pub(crate) fn patiently(mut self) -> Self {
        if let Self::Stream(stream) = &mut self {
            stream.pace = None;
        }
        self
    }

    /// Lets trailers pass as far as who it is sent to can be trusted with them.
    pub(crate) fn restrict(&mut self, trailers: &RequestTrailers) {
        match self {
            Self::Whole(whole) => {
                if let Some(found) = whole.trailers.take() {
                    whole.trailers = trailers.passed(*found).map(Box::new);
                }
            }
            Self::Stream(stream) => stream.trailers = trailers.clone(),
            Self::Spooled(_) => {}
        }
    }

    /// Whether trailers may come at its end.
    pub(crate) fn may_have_trailers(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.trailers.is_some(),
            Self::Stream(stream) => stream.trailers != RequestTrailers::Dropped,
            Self::Spooled(_) => false,
        }
    }

    /// Reads what is left of it, within bounds: its request is refused.
    pub(crate) async fn discard(self) {
        if let Self::Stream(stream) = self {
            discard(stream.rest).await;
        }
    }

    /// Whether all of it is in memory.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    /// All of it, where it is in memory.
    pub(crate) fn whole(&self) -> Option<Whole> {
        match self {
            Self::Whole(whole) => Some(whole.clone()),
            Self::Stream(_) | Self::Spooled(_) => None,
        }
    }

    /// How far it is, where that takes time.
    pub(crate) fn progress(&self) -> Option<Progress> {
        match self {
            Self::Whole(_) => None,
            Self::Stream(stream) => Some(stream.progress.clone()),
            Self::Spooled(spooled) => Some(spooled.progress().clone()),
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
            Poll::Pending => return self.poll_timeout(cx).map(|fault| Some(Err(fault))),
        };
        let waited = self.waiting.take().map(|(_, since)| since.elapsed());
        self.progress.now();
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
            None => return Poll::Ready(None),
        };
        match frame.into_trailers() {
            // The last frame: without it, the body just ends.
            Ok(trailers) => {
                let passed = self.trailers.passed(trailers);
                Poll::Ready(passed.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Err(frame) => {
                if let Some(pace) = &mut self.pace {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    pace.came(bytes, waited.unwrap_or_default());
                }
                Poll::Ready(Some(self.fits(frame)))
            }
        }
    }

    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<BodyFault> {
        let Some(pace) = &self.pace else {
            return Poll::Pending;
        };
        let (waiting, _) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (Box::new(Deadline::at(now + pace.longest())), now)
        });
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
            Self::Stream(stream) => stream.poll_frame(cx),
            Self::Spooled(spooled) => spooled.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.bytes.is_none() && whole.trailers.is_none(),
            Self::Stream(stream) => stream.begun.is_none() && stream.rest.is_end_stream(),
            Self::Spooled(spooled) => spooled.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            // Trailers need chunks: the length may not be known, then.
            Self::Whole(whole) if whole.trailers.is_some() => SizeHint::default(),
            Self::Whole(whole) => SizeHint::with_exact(whole.len()),
            Self::Spooled(spooled) => SizeHint::with_exact(spooled.left()),
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
