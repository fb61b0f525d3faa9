//! Answers read from bytes alone, without a connection.

use super::{IncomingBody, answer};
use bytes::BytesMut;

/// What was read of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Status and data of each answer, the last one perhaps not to its end.
    pub(crate) answers: Vec<(u16, Vec<u8>)>,
    pub(crate) is_malformed: bool,
}

/// Reads answers to GET, one after the other, of bytes that come in such parts.
pub(crate) fn answers<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Replayed {
    let (mut replayed, mut read, mut coming) =
        (Replayed::default(), BytesMut::new(), IncomingBody::Ended);
    for part in parts {
        read.extend_from_slice(part);
        loop {
            let went_on = if coming.has_ended() {
                head(&mut replayed, &mut read, &mut coming)
            } else {
                data(&mut replayed, &mut read, &mut coming)
            };
            match went_on {
                Some(true) => {}
                Some(false) => break,
                None => {
                    replayed.is_malformed = true;
                    return replayed;
                }
            }
        }
    }
    replayed
}

/// Whether there was one; `None` where it is malformed.
fn head(replayed: &mut Replayed, read: &mut BytesMut, coming: &mut IncomingBody) -> Option<bool> {
    if !answer::has_end(read, 0) {
        return Some(false);
    }
    let Some(answer) = answer::read(read, false).ok()? else {
        return Some(false);
    };
    replayed
        .answers
        .push((answer.response.status().as_u16(), Vec::new()));
    *coming = answer.response.into_body();
    Some(true)
}

fn data(replayed: &mut Replayed, read: &mut BytesMut, coming: &mut IncomingBody) -> Option<bool> {
    let frame = coming.take(read).ok()?;
    if let (Some(data), Some((_, all))) = (
        frame.as_ref().and_then(http_body::Frame::data_ref),
        replayed.answers.last_mut(),
    ) {
        all.extend_from_slice(data);
    }
    Some(frame.is_some() || coming.has_ended())
}
