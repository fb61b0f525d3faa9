//! An answer on its way to a client.

use super::head::{Framing, Terms};
use crate::{
    base::as_written::write_field, request::client_body::ClientBody,
    transport::http1::connection::ClientWire,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use std::{
    cell::RefCell,
    io::{self, IoSlice, Write as _},
    pin::Pin,
    task::{Context, Poll, ready},
};

const CRLF: &[u8] = b"\r\n";
const CRLF_AND_LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// An answer on its way to a client.
pub(super) struct Answering {
    /// What is written next, in this order.
    head: BytesMut,
    data: Bytes,
    tail: &'static [u8],
    /// What comes after that; `None` once all of it was taken.
    body: Option<ClientBody>,
    framing: Framing,
    takes_trailers: bool,
    /// A part that was taken to see whether it is the last one.
    next: Option<Frame<Bytes>>,
    /// Why there is no more of it.
    failure: Option<io::Error>,
    has_begun: bool,
}

impl Answering {
    /// `heads`: those of interim answers, and its own.
    pub(super) fn new(
        heads: [BytesMut; 2],
        body: ClientBody,
        framing: Framing,
        terms: Terms,
    ) -> Self {
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        let [mut first, head] = heads;
        first.unsplit(head);
        Self {
            head: first,
            data: Bytes::new(),
            tail: &[],
            body: Some(body).filter(|_| has_body),
            framing,
            takes_trailers: terms.takes_trailers,
            next: None,
            failure: None,
            has_begun: false,
        }
    }

    /// Writes what can be written; resolves when all has been.
    pub(super) fn poll(
        &mut self,
        wire: &RefCell<ClientWire>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.has_begun {
            self.has_begun = true;
            // Head and body in one go, where there is something of it.
            let _ = self.poll_body(cx);
        }
        loop {
            ready!(self.poll_write(wire, cx))?;
            if self.body.is_none() {
                ready!(wire.borrow_mut().poll_flush(cx))?;
                return Poll::Ready(self.failure.take().map_or(Ok(()), Err));
            }
            if self.poll_body(cx).is_pending() {
                ready!(wire.borrow_mut().poll_flush(cx))?;
                return Poll::Pending;
            }
        }
    }

    fn poll_write(
        &mut self,
        wire: &RefCell<ClientWire>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let parts = [&self.head[..], &self.data[..], self.tail];
            let written = {
                let mut wire = wire.borrow_mut();
                match parts {
                    [[], [], []] => return Poll::Ready(Ok(())),
                    [head, [], []] => wire.poll_write(&[IoSlice::new(head)], cx),
                    [[], data, []] => wire.poll_write(&[IoSlice::new(data)], cx),
                    parts => wire.poll_write(&parts.map(IoSlice::new), cx),
                }
            };
            self.advance(ready!(written)?);
        }
    }

    fn advance(&mut self, written: usize) {
        let head = written.min(self.head.len());
        self.head.advance(head);
        let data = (written - head).min(self.data.len());
        self.data.advance(data);
        self.tail = &self.tail[written - head - data..];
    }

    /// Takes the next part of the body, of which nothing is left to be written.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(());
        };
        let frame = match self.next.take() {
            Some(frame) => Some(Ok(frame)),
            None => ready!(Pin::new(body).poll_frame(cx)),
        };
        let taken = match frame {
            Some(Ok(frame)) => self.put(frame, cx),
            Some(Err(error)) => Err(io::Error::other(error)),
            None => self.end(None),
        };
        if let Err(error) = taken {
            self.failure = Some(error);
            self.body = None;
        }
        Poll::Ready(())
    }

    fn put(&mut self, frame: Frame<Bytes>, cx: &mut Context<'_>) -> io::Result<()> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.end(frame.trailers_ref()),
        };
        match &mut self.framing {
            Framing::Length(left) => {
                let fewer = left.checked_sub(data.len() as u64);
                *left = fewer.ok_or(io::ErrorKind::InvalidData)?;
                if *left == 0 {
                    self.body = None;
                }
            }
            // An empty chunk would end it.
            Framing::Chunked if data.is_empty() => {}
            Framing::Chunked => {
                // Nothing is written but to memory.
                let _ = write!((&mut self.head).writer(), "{:x}\r\n", data.len());
                self.tail = CRLF;
                self.look_ahead(cx);
            }
            Framing::Close | Framing::None => {}
        }
        self.data = data;
        Ok(())
    }

    /// Ends the body with its last chunk, where its end is known already.
    fn look_ahead(&mut self, cx: &mut Context<'_>) {
        let Some(body) = &mut self.body else { return };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(None) => {
                self.tail = CRLF_AND_LAST_CHUNK;
                self.body = None;
            }
            Poll::Ready(Some(Ok(frame))) => self.next = Some(frame),
            Poll::Ready(Some(Err(error))) => {
                self.failure = Some(io::Error::other(error));
                self.body = None;
            }
            Poll::Pending => {}
        }
    }

    /// There is no more of it.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> io::Result<()> {
        self.body = None;
        match self.framing {
            Framing::Length(left) if left > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Framing::Chunked => {
                self.head.put_slice(b"0\r\n");
                let trailers = trailers.filter(|_| self.takes_trailers);
                for (name, value) in trailers.into_iter().flatten() {
                    write_field(&mut self.head, name.as_str().as_bytes(), value.as_bytes());
                }
                self.head.put_slice(CRLF);
            }
            Framing::Length(_) | Framing::Close | Framing::None => {}
        }
        Ok(())
    }
}
