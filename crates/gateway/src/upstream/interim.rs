//! Interim answers on their way to a client (RFC 9110, 15.2): early hints, and that
//! the upstream is at work. A `100` is none of them: the gateway itself asks for bodies.

use crate::base::{
    as_written::{AsWritten, Spelling, write_field},
    hop_by_hop::remove_hop_by_hop,
};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, StatusCode};
use std::cell::{Cell, RefCell};

/// What is kept at most until the client has taken it.
const BYTES_MAX: usize = 16 << 10;

/// Interim answers over HTTP/1 that the client's connection is to write.
#[derive(Debug, Default)]
pub(crate) struct Interim {
    /// HTTP/1.0 knows none.
    pub(crate) is_wanted: Cell<bool>,
    queued: RefCell<BytesMut>,
}

impl Interim {
    /// Adds one, where it is for the client and there is room.
    pub(crate) fn add(
        &self,
        status: StatusCode,
        mut headers: HeaderMap,
        written: Option<&AsWritten>,
    ) {
        let is_its = matches!(status, StatusCode::PROCESSING | StatusCode::EARLY_HINTS);
        if !is_its || !self.is_wanted.get() {
            return;
        }
        remove_hop_by_hop(&mut headers);
        let mut queued = self.queued.borrow_mut();
        let before = queued.len();
        queued.put_slice(b"HTTP/1.1 ");
        queued.put_slice(status.as_str().as_bytes());
        queued.put_u8(b' ');
        queued.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        queued.put_slice(b"\r\n");
        let mut spelling = Spelling::new(written);
        for (name, value) in &headers {
            write_field(&mut queued, spelling.of(name), value.as_bytes());
        }
        queued.put_slice(b"\r\n");
        if queued.len() > BYTES_MAX {
            queued.truncate(before);
        }
    }

    /// Takes those that wait.
    pub(crate) fn take(&self) -> Option<BytesMut> {
        let mut queued = self.queued.borrow_mut();
        (!queued.is_empty()).then(|| std::mem::take(&mut *queued))
    }
}
