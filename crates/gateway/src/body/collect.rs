//! A client's body as it comes in: read whole within bounds, or away with it.

use super::{
    discard::discard,
    request::{BodyFault, Expecting, Whole},
};
use crate::base::hop_by_hop;
use crate::base::refusal::Refusal;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use plan::ClientLimits;
use std::{cell::Cell, rc::Rc};

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

/// A client's body.
pub(crate) enum Inbound {
    /// It has not been looked at.
    Unread(Incoming),
    /// It was read to see what the request asks for.
    Collected(Whole, Reserved),
}

impl Inbound {
    /// Reads the body of a refused request, like [`refuse`].
    pub(crate) async fn refuse(self, parts: &Parts) {
        if let Self::Unread(body) = self {
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
        let frame = crate::base::deadline::timeout(client.body, body.frame()).await;
        let data = match frame.map_err(|_| Refusal::BodyLost)? {
            None => break,
            Some(Err(error)) => return Err(BodyFault::of(&error).refusal()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    trailers = frame.into_trailers().ok().map(|mut trailers| {
                        hop_by_hop::trailers(&mut trailers);
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

/// The largest body that is read before its request is sent, and so the
/// largest that can be held. Forms and JSON documents are far smaller; a larger
/// one is an upload, which is passed on as it comes.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;
