//! A client's body as it comes in: read whole within bounds, or away with it.

use super::{
    buffers::{Buffers, Reserved},
    discard::discard,
    fault::BodyFault,
    incoming::Incoming,
    pace::Pace,
    request::{Expecting, RequestBody, Whole},
    spool::{Spool, Spooling},
};
use crate::base::{deadline::timeout, hop_by_hop, refusal::Refusal};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body::{Body as _, Frame};
use plan::ClientLimits;
use std::{future::poll_fn, net::IpAddr, pin::Pin, rc::Rc, sync::Arc, task::Poll};
use tokio::time::Instant;

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
    /// Whether it is here or says how long it is. One that does not is read to its end
    /// before it is sent, which may take minutes.
    pub(crate) fn has_length(&self) -> bool {
        match self {
            Self::Unread(body) => body.size_hint().exact().is_some(),
            Self::Collected(..) => true,
        }
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        match self {
            Self::Unread(body) => body.is_end_stream(),
            Self::Collected(whole, _) => whole.len() == 0,
        }
    }

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
    pace: Pace,
}

impl Begun {
    /// Reads what is left of it, within bounds: its request is refused.
    pub(crate) async fn discard(self) {
        discard(self.rest).await;
    }

    /// Passes it on as it comes.
    pub(crate) fn stream(self, client: &ClientLimits) -> (RequestBody, Reserved) {
        self.reserved.arrived();
        let body = RequestBody::stream(self.first, self.rest, client);
        (body, self.reserved)
    }

    /// Reads the rest of it, too, and keeps all of it in a file. Trailers are
    /// dropped: the body will have a length. `client` sends it, as far as that is known.
    pub(crate) async fn spool(
        self,
        intake: Intake<'_>,
        client: Option<IpAddr>,
    ) -> Result<(RequestBody, Reserved), Refusal> {
        let Self {
            first,
            mut rest,
            reserved,
            mut pace,
        } = self;
        let mut spooling = Spooling::begin(intake.spool, client).await?;
        let mut length = first.len() as u64;
        spooling.append(first).await?;
        reserved.give_back();
        while !rest.is_end_stream() {
            let Some(frame) = next(&mut rest, &mut pace, &reserved).await? else {
                break;
            };
            if let Ok(data) = frame.into_data() {
                length += data.len() as u64;
                fits(length, &intake.client)?;
                spooling.append(data).await?;
            }
        }
        reserved.arrived();
        let body = RequestBody::Spooled(Box::new(spooling.end().await?));
        Ok((body, reserved))
    }
}

/// Reads a body, up to a little more than `limit` bytes.
pub(crate) async fn collect(
    mut body: Incoming,
    limit: usize,
    intake: Intake<'_>,
) -> Result<Collected, Refusal> {
    let reserved = intake.buffers.reserve();
    if body.is_end_stream() {
        return Ok(Collected::Whole(Whole::default(), reserved));
    }
    let mut pace = Pace::new(&intake.client);
    let exact = body.size_hint().exact();
    if body.size_hint().lower() > limit as u64 {
        let first = Bytes::new();
        return Ok(Collected::Large(Begun {
            first,
            rest: body,
            reserved,
            pace,
        }));
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = next(&mut body, &mut pace, &reserved).await? {
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
                pace,
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
    if exact.is_some_and(|exact| exact != (first.len() + more.len()) as u64) {
        return Err(Refusal::BodyLost);
    }
    let whole = Whole {
        bytes: Some(join(first, &more)).filter(|bytes| !bytes.is_empty()),
        trailers: trailers.filter(|trailers| !trailers.is_empty()),
    };
    reserved.arrived();
    Ok(Collected::Whole(whole, reserved))
}

/// The next part of a body, in time.
async fn next(
    body: &mut Incoming,
    pace: &mut Pace,
    reserved: &Reserved,
) -> Result<Option<Frame<Bytes>>, Refusal> {
    let begun = Instant::now();
    let part = poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
        Poll::Pending if reserved.is_evicted(cx.waker()) => Poll::Ready(Err(Refusal::BodyLost)),
        Poll::Pending => Poll::Pending,
        Poll::Ready(part) => Poll::Ready(Ok(part)),
    });
    let part = timeout(pace.longest(), part).await;
    let part = part.unwrap_or(Err(Refusal::BodyLost))?;
    let Some(frame) = part.transpose().map_err(BodyFault::refusal)? else {
        return Ok(None);
    };
    pace.came(frame.data_ref().map_or(0, Bytes::len), begun.elapsed());
    Ok(Some(frame))
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
