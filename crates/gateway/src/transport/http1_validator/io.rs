//! A connection whose incoming bytes are judged, and whose client may neither
//! send its heads nor take its answers too slowly.

use super::{
    Malformed,
    framing::{Limits, MessagePart, Refused, Validator},
};
use crate::base::deadline::Deadline;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// What is read at once, per thread: as much as hyper asks for at most.
const SCRATCH_BYTES: usize = 64 << 10;

/// How much is still read of a client that was refused, and for how long: a
/// connection that is closed on data still coming is reset, and the client may
/// never see why.
const LINGER_BYTES_MAX: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(2);

thread_local! {
    // Bytes are looked at before hyper may have them, and without `unsafe`
    // they cannot be looked at in its buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
}

/// What holds for all connections of a gateway.
pub(crate) struct Policy {
    pub(crate) limits: Limits,
    /// How long a client may take for a head, from its first byte.
    pub(crate) head: Duration,
    /// How long a client may take nothing of what is written to it.
    pub(crate) write: Duration,
    /// Told of each refusal.
    pub(crate) on_malformed: Box<dyn Fn(Refused) + Send + Sync>,
}

impl Policy {
    pub(crate) fn new(
        client: &plan::ClientLimits,
        on_malformed: impl Fn(Refused) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits: Limits {
                head_bytes: client.head_bytes,
                headers: client.headers,
            },
            head: client.head,
            write: client.write,
            on_malformed: Box::new(on_malformed),
        })
    }
}

/// A connection behind a [`Validator`].
///
/// At a refusal everything before the malformed message has passed. In the
/// place of a malformed head comes something that hyper answers itself, in
/// order behind earlier answers, and closes; a malformed body fails.
pub(crate) struct Validated<IO> {
    io: IO,
    validator: Validator,
    policy: Arc<Policy>,
    /// Whether bytes pass as they are: they are not HTTP/1.
    is_open: bool,
    refusal: Refusal,
    /// Runs while a head has begun and not ended.
    head: Option<Box<Deadline>>,
    /// Runs while the client takes nothing.
    stalled: Option<Box<Deadline>>,
    linger: Linger,
}

/// What is read in the place of what was refused.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    None,
    /// These bytes, then the end.
    Instead(&'static [u8]),
    /// An error.
    Body(Malformed),
}

enum Linger {
    NotYet,
    Until(Box<Deadline>, usize),
    Over,
}

/// No parser takes a NUL in a head; some look only once there is an empty line.
const NO_HEAD: &[u8] = b"\0\r\n\r\n";
/// Ends a head with one header too many.
const END_OF_HEAD: &[u8] = b"\r\n";

impl<IO> Validated<IO> {
    pub(crate) fn new(io: IO, policy: &Arc<Policy>) -> Self {
        Self {
            io,
            validator: Validator::new(policy.limits),
            policy: Arc::clone(policy),
            is_open: false,
            refusal: Refusal::None,
            head: None,
            stalled: None,
            linger: Linger::NotYet,
        }
    }

    /// One that lets everything pass, and only watches its client take it.
    pub(crate) fn open(io: IO, policy: &Arc<Policy>) -> Self {
        Self {
            is_open: true,
            ..Self::new(io, policy)
        }
    }

    /// The connection, for what it was upgraded to. `None` where something was
    /// refused: a client that sends what is not HTTP before it was told that
    /// it may, takes its chances (RFC 9110, 7.8).
    pub(crate) fn into_inner(self) -> Option<IO> {
        matches!(self.refusal, Refusal::None).then_some(self.io)
    }

    /// Judges bytes; says how many may pass.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let Err(refused) = self.validator.feed(bytes) else {
            return bytes.len();
        };
        tracing::debug!(reason = refused.why.reason(), "malformed request refused");
        (self.policy.on_malformed)(refused);
        self.refusal = match (refused.place, refused.why) {
            (MessagePart::Body, why) => Refusal::Body(why),
            (MessagePart::Head, Malformed::TooManyHeaders) => Refusal::Instead(END_OF_HEAD),
            // The parser has as much as it takes.
            (MessagePart::Head, Malformed::HeadTooLarge) => Refusal::Instead(b""),
            (MessagePart::Head, _) => Refusal::Instead(NO_HEAD),
        };
        refused.passed
    }

    /// Ends a head that takes too long.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.validator.is_in_head() {
            return Poll::Pending;
        }
        let end = || Instant::now() + self.policy.head;
        let head = self
            .head
            .get_or_insert_with(|| Box::new(Deadline::at(end())));
        Pin::new(head).poll(cx).map(|()| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the head came too slowly",
            ))
        })
    }

    /// Ends a connection whose client takes nothing for too long.
    fn watch<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let end = || Instant::now() + self.policy.write;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::new(Deadline::at(end())));
        ready!(Pin::new(stalled).poll(cx));
        tracing::debug!("client took nothing of an answer for too long");
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes nothing",
        )))
    }
}

impl<IO: Read + Unpin> Validated<IO> {
    /// Reads into this thread's buffer and hands that to `take`.
    fn poll_scratch<T>(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        take: impl FnOnce(&mut Self, &[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let room = room.min(scratch.len());
            let mut buffer = ReadBuf::new(&mut scratch[..room]);
            ready!(Pin::new(&mut self.io).poll_read(cx, buffer.unfilled()))?;
            Poll::Ready(Ok(take(self, buffer.filled())))
        })
    }

    /// Reads and forgets until the client has ended, within bounds.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Linger::Until(end, left) = &mut self.linger else {
                return Poll::Ready(());
            };
            if Pin::new(end).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let left = *left;
            match ready!(self.poll_scratch(cx, left, |_, bytes| bytes.len())) {
                Ok(length) if length > 0 => {
                    if let Linger::Until(_, left) = &mut self.linger {
                        *left -= length;
                    }
                }
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<IO: Read + Unpin> Read for Validated<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_open {
            return Pin::new(&mut this.io).poll_read(cx, into);
        }
        loop {
            match &mut this.refusal {
                Refusal::None => {}
                Refusal::Instead(bytes) => {
                    let (now, later) = bytes.split_at(bytes.len().min(into.remaining()));
                    into.put_slice(now);
                    *bytes = later;
                    return Poll::Ready(Ok(()));
                }
                Refusal::Body(why) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, *why)));
                }
            }
            let room = into.remaining();
            let read = this.poll_scratch(cx, room, |this, bytes| {
                let passed = this.judge(bytes);
                into.put_slice(&bytes[..passed]);
                // Nothing read is the end, nothing passed is not.
                passed > 0 || bytes.is_empty()
            });
            match read {
                Poll::Pending => return this.poll_head(cx),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(done)) => {
                    if this.head.is_some() && !this.validator.is_in_head() {
                        this.head = None;
                    }
                    if done {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<IO: Read + Write + Unpin> Write for Validated<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.watch(written, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.watch(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Linger::NotYet = this.linger {
            let ended = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.watch(ended, cx))?;
            this.linger = if this.is_open || this.validator.is_between() {
                Linger::Over
            } else {
                let end = Box::new(Deadline::at(Instant::now() + LINGER));
                Linger::Until(end, LINGER_BYTES_MAX)
            };
        }
        ready!(this.poll_linger(cx));
        this.linger = Linger::Over;
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, parts);
        this.watch(written, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper_util::rt::TokioIo;
    use std::{future::poll_fn, sync::Mutex};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    type Reasons = Arc<Mutex<Vec<&'static str>>>;

    fn validated(
        head: Duration,
        write: Duration,
    ) -> (Validated<TokioIo<DuplexStream>>, DuplexStream, Reasons) {
        let told = Reasons::default();
        let policy = Policy {
            limits: Limits {
                head_bytes: 1000,
                headers: 10,
            },
            head,
            write,
            on_malformed: {
                let told = Arc::clone(&told);
                Box::new(move |refused: Refused| told.lock().unwrap().push(refused.why.reason()))
            },
        };
        let (near, far) = duplex(4096);
        (
            Validated::new(TokioIo::new(near), &Arc::new(policy)),
            far,
            told,
        )
    }

    async fn read<IO: Read + Write + Unpin>(
        io: &mut Validated<IO>,
        room: usize,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; room];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, buffer.unfilled())).await?;
        Ok(buffer.filled().to_vec())
    }

    async fn in_a_worker(test: impl Future<Output = ()>) {
        let thread = tokio::task::LocalSet::new();
        thread.spawn_local(crate::base::deadline::watch());
        thread.run_until(test).await;
    }

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_malformed_head_is_replaced_and_told_once() {
        let (mut io, mut far, told) = validated(LONG, LONG);
        far.write_all(b"GET / HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\na: b\n")
            .await
            .unwrap();
        assert_eq!(
            read(&mut io, 4096).await.unwrap(),
            b"GET / HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n"
        );
        // Also where there is hardly room for it.
        assert_eq!(read(&mut io, 2).await.unwrap(), b"\0\r");
        assert_eq!(read(&mut io, 9).await.unwrap(), b"\n\r\n");
        assert_eq!(read(&mut io, 9).await.unwrap(), b"");
        assert_eq!(*told.lock().unwrap(), ["bare-lf"]);
    }

    #[tokio::test]
    async fn a_malformed_body_is_an_error() {
        let (mut io, mut far, told) = validated(LONG, LONG);
        let head = b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        far.write_all(head).await.unwrap();
        far.write_all(b"x\r\n").await.unwrap();
        assert_eq!(read(&mut io, 4096).await.unwrap(), head);
        let error = read(&mut io, 4096).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(*told.lock().unwrap(), ["chunk-size"]);
    }

    #[tokio::test]
    async fn an_open_one_lets_everything_pass() {
        let (io, mut far, told) = validated(LONG, LONG);
        let policy = Arc::clone(&io.policy);
        let mut io = Validated::open(io.into_inner().unwrap(), &policy);
        far.write_all(b"\0\n").await.unwrap();
        assert_eq!(read(&mut io, 4096).await.unwrap(), b"\0\n");
        assert!(told.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn nothing_refused_is_upgraded() {
        let (mut io, mut far, _) = validated(LONG, LONG);
        far.write_all(b"GET / HTTP/1.1\r\n\r\nearly").await.unwrap();
        assert_eq!(
            read(&mut io, 4096).await.unwrap(),
            b"GET / HTTP/1.1\r\n\r\nearly"
        );
        far.write_all(b"\n").await.unwrap();
        assert_eq!(read(&mut io, 4096).await.unwrap(), NO_HEAD);
        assert!(io.into_inner().is_none());
    }

    #[tokio::test]
    async fn a_slow_head_ends_and_an_idle_connection_does_not() {
        in_a_worker(async {
            let (mut io, mut far, _) = validated(SHORT, LONG);
            let idle = tokio::time::timeout(SHORT * 3, read(&mut io, 4096)).await;
            assert!(idle.is_err());
            far.write_all(b"GET").await.unwrap();
            let begun = Instant::now();
            assert_eq!(read(&mut io, 4096).await.unwrap(), b"GET");
            // More of it does not give it more time.
            let error = loop {
                match tokio::time::timeout(SHORT / 4, read(&mut io, 4096)).await {
                    Err(_) => far.write_all(b"x").await.unwrap(),
                    Ok(Ok(more)) => assert_eq!(more, b"x"),
                    Ok(Err(error)) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() >= SHORT);
        })
        .await;
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        in_a_worker(async {
            let (mut io, mut far, _) = validated(LONG, SHORT);
            let big = vec![0; 8192];
            let mut write = async || poll_fn(|cx| Pin::new(&mut io).poll_write(cx, &big)).await;
            assert_eq!(write().await.unwrap(), 4096);
            let begun = Instant::now();
            let (more, taken) = tokio::join!(write(), async {
                tokio::time::sleep(SHORT / 2).await;
                far.read_exact(&mut [0; 10]).await
            });
            // What is taken counts, however late.
            taken.unwrap();
            assert_eq!(more.unwrap(), 10);
            assert_eq!(write().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() >= SHORT + SHORT / 2);
        })
        .await;
    }
}
