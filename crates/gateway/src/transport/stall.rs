//! Clients that take nothing of what is written to them.

use crate::base::deadline::Deadline;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// How long a client may take nothing.
pub(super) struct Stall {
    bound: Duration,
    /// Runs while it does.
    deadline: Option<Box<Deadline>>,
}

impl Stall {
    pub(super) fn new(bound: Duration) -> Self {
        Self {
            bound,
            deadline: None,
        }
    }

    /// Ends a write that waits for too long.
    pub(super) fn watch<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let end = || Instant::now() + self.bound;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::new(Deadline::at(end())));
        ready!(Pin::new(deadline).poll(cx));
        tracing::debug!("client took nothing of an answer for too long");
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes nothing",
        )))
    }
}

/// A connection for hyper, whose client may not stall.
pub(crate) struct Unstalled<IO> {
    io: IO,
    stall: Stall,
}

impl<IO> Unstalled<IO> {
    pub(crate) fn new(io: IO, bound: Duration) -> Self {
        Self {
            io,
            stall: Stall::new(bound),
        }
    }
}

impl<IO: Read + Unpin> Read for Unstalled<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl<IO: Write + Unpin> Write for Unstalled<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { io, stall } = self.get_mut();
        stall.watch(Pin::new(io).poll_write(cx, bytes), cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, stall } = self.get_mut();
        stall.watch(Pin::new(io).poll_flush(cx), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, stall } = self.get_mut();
        stall.watch(Pin::new(io).poll_shutdown(cx), cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { io, stall } = self.get_mut();
        stall.watch(Pin::new(io).poll_write_vectored(cx, parts), cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper_util::rt::TokioIo;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, duplex};

    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let thread = tokio::task::LocalSet::new();
        thread.spawn_local(crate::base::deadline::watch());
        let test = async {
            let (near, mut far) = duplex(4096);
            let mut io = Unstalled::new(TokioIo::new(near), SHORT);
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
        };
        thread.run_until(test).await;
    }
}
