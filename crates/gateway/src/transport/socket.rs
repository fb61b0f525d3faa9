//! A connection's bytes, whatever they come over: one type for all of them, so
//! that there is one HTTP stack, and TCP pays one branch for the others.

use super::proxy_protocol::{self, Parsed, Source};
use bytes::Buf;
use bytes::{Bytes, BytesMut};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;

/// What a client that speaks HTTP/2 begins with (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is read at once to tell the protocol; a usual head fits, so that
/// HTTP/1 needs no other read for it.
const FIRST_READ_BYTES: usize = 4 << 10;

/// A connection, and what was read of it already.
#[derive(Debug)]
pub(crate) struct Wire {
    begun: Bytes,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<Wire>>),
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Self {
        Self::new(Transport::Tcp(stream))
    }
}

impl From<UnixStream> for Wire {
    fn from(stream: UnixStream) -> Self {
        Self::new(Transport::Unix(stream))
    }
}

impl From<Box<TlsStream<Self>>> for Wire {
    fn from(stream: Box<TlsStream<Self>>) -> Self {
        Self::new(Transport::Tls(stream))
    }
}

impl Wire {
    fn new(transport: Transport) -> Self {
        Self {
            begun: Bytes::new(),
            transport,
        }
    }

    /// Puts back what was read from it and is not used up.
    pub(crate) fn put_back(&mut self, begun: Bytes) {
        if self.begun.is_empty() {
            self.begun = begun;
        } else {
            self.begun = [begun, std::mem::take(&mut self.begun)].concat().into();
        }
    }

    /// Resolves when reading would not wait, or may at least be tried.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.transport {
            _ if !self.begun.is_empty() => Poll::Ready(Ok(())),
            Transport::Tcp(stream) => stream.poll_read_ready(cx),
            Transport::Unix(stream) => stream.poll_read_ready(cx),
            Transport::Tls(_) => Poll::Ready(Ok(())),
        }
    }

    /// Has the other side see a reset when it is closed, rather than an end. TLS has an
    /// end of its own, which is then missing.
    pub(crate) fn reset_on_close(&self) {
        if let Transport::Tcp(stream) = &self.transport {
            // Where it fails, the client has gone.
            let _ = stream.set_zero_linger();
        }
    }

    /// Whether the client begins with HTTP/2's preface. What was read to tell
    /// is put back and read again. Waits for as long as it takes.
    pub(crate) async fn begins_with_http2(&mut self) -> io::Result<bool> {
        let mut first = BytesMut::with_capacity(FIRST_READ_BYTES);
        let is_http2 = loop {
            let length = self.read_buf(&mut first).await?;
            let known = first.len().min(HTTP2_PREFACE.len());
            if length == 0 || first[..known] != HTTP2_PREFACE[..known] {
                break false;
            }
            if known == HTTP2_PREFACE.len() {
                break true;
            }
        };
        self.put_back(first.freeze());
        Ok(is_http2)
    }

    /// Reads a header of the PROXY protocol, for as long as it takes.
    pub(crate) async fn read_proxy_header(&mut self) -> io::Result<Source> {
        let mut header = BytesMut::with_capacity(proxy_protocol::HEADER_BYTES_MAX);
        loop {
            if self.read_buf(&mut header).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match proxy_protocol::parse(&header) {
                Ok(Parsed::Partial) => {}
                Ok(Parsed::Whole(length, source)) => {
                    header.advance(length);
                    self.put_back(header.freeze());
                    return Ok(source);
                }
                Err(malformed) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, malformed));
                }
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() {
            let length = self.begun.len().min(buffer.remaining());
            buffer.put_slice(&self.begun[..length]);
            self.begun.advance(length);
            if self.begun.is_empty() {
                // Gives its memory back.
                self.begun = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Transport::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Tcp(stream) => stream.is_write_vectored(),
            Transport::Unix(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
