//! A client's body as it comes in: read whole within bounds, or away with it.

use super::{
    discard::discard,
    fault::BodyFault,
    request::{Expecting, RequestBody, Whole},
    spool::{Spool, Spooling},
};
use crate::base::{deadline::timeout, hop_by_hop, refusal::Refusal};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use plan::ClientLimits;
use std::{cell::Cell, rc::Rc, sync::Arc};

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
    /// Whether there is room for so many more.
    fn grow(&mut self, bytes: usize) -> bool {
        let Some(free) = self.buffers.free.get().checked_sub(bytes) else {
            return false;
        };
        self.buffers.free.set(free);
        self.bytes += bytes;
        true
    }

    fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.buffers.free.set(self.buffers.free.get() + bytes);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.give_back();
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

/// What bounds bodies that are read.
#[derive(Clone, Copy)]
pub(crate) struct Intake<'a> {
    pub(crate) client: ClientLimits,
    pub(crate) buffers: &'a Rc<Buffers>,
    pub(crate) spool: &'a Arc<Spool>,
}

/// A body that was read before its request is sent.
pub(crate) enum Collected {
    /// It ended within the limit.
    Whole(Whole, Reserved),
    /// It did not.
    Large(Begun),
    /// It might have, but others have taken the memory.
    Crowded(Begun),
}

/// A body of which the beginning is in memory.
pub(crate) struct Begun {
    pub(crate) first: Bytes,
    pub(crate) rest: Incoming,
    pub(crate) reserved: Reserved,
}

impl Begun {
    /// Reads what is left of it, within bounds: its request is refused.
    pub(crate) async fn discard(self) {
        discard(self.rest).await;
    }

    /// Passes it on as it comes.
    pub(crate) fn stream(self, client: &ClientLimits) -> (RequestBody, Reserved) {
        let body = RequestBody::stream(self.first, self.rest, client);
        (body, self.reserved)
    }

    /// Reads the rest of it, too, and keeps all of it in a file. Trailers are
    /// dropped: the body will have a length.
    pub(crate) async fn spool(
        self,
        intake: Intake<'_>,
    ) -> Result<(RequestBody, Reserved), Refusal> {
        let Self {
            first,
            mut rest,
            mut reserved,
        } = self;
        let mut spooling = Spooling::begin(intake.spool).await?;
        let mut length = first.len() as u64;
        spooling.append(first).await?;
        reserved.give_back();
        while !rest.is_end_stream() {
            let Some(frame) = next(&mut rest, &intake.client).await? else {
                break;
            };
            if let Ok(data) = frame.into_data() {
                length += data.len() as u64;
                fits(length, &intake.client)?;
                spooling.append(data).await?;
            }
        }
        let body = RequestBody::Spooled(Box::new(spooling.end()));
        Ok((body, reserved))
    }
}

/// Reads a body, up to a little more than `limit` bytes.
pub(crate) async fn collect(
    mut body: Incoming,
    limit: usize,
    intake: Intake<'_>,
) -> Result<Collected, Refusal> {
    let mut reserved = intake.buffers.reserve();
    if body.is_end_stream() {
        return Ok(Collected::Whole(Whole::default(), reserved));
    }
    if body.size_hint().lower() > limit as u64 {
        let first = Bytes::new();
        return Ok(Collected::Large(Begun {
            first,
            rest: body,
            reserved,
        }));
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = next(&mut body, &intake.client).await? {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers = frame.into_trailers().ok().map(|mut trailers| {
                    hop_by_hop::trailers(&mut trailers);
                    Box::new(trailers)
                });
                continue;
            }
        };
        let has_room = reserved.grow(data.len());
        if first.is_empty() {
            first = data;
        } else {
            // Most bodies come in one part, which is not copied.
            more.extend_from_slice(&data);
        }
        let length = first.len() + more.len();
        fits(length as u64, &intake.client)?;
        if length > limit || !has_room {
            let begun = Begun {
                first: join(first, &more),
                rest: body,
                reserved,
            };
            return Ok(if length > limit {
                Collected::Large(begun)
            } else {
                Collected::Crowded(begun)
            });
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

/// The next part of a body, in time.
async fn next(body: &mut Incoming, client: &ClientLimits) -> Result<Option<Frame<Bytes>>, Refusal> {
    let frame = timeout(client.body, body.frame()).await;
    let frame = frame.map_err(|_| Refusal::BodyLost)?;
    frame
        .transpose()
        .map_err(|error| BodyFault::of(&error).refusal())
}

fn fits(length: u64, client: &ClientLimits) -> Result<(), Refusal> {
    if client.body_bytes.is_some_and(|most| length > most) {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(())
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
