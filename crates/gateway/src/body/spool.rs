//! Bodies in files, until all of them is there and they can be sent.
//!
//! A file has no name from the start (`O_TMPFILE`, or it is removed at once), so
//! that nobody else opens it and nothing is left of it, however the process ends.
//! The disk may be slow: it is written and read on threads of its own, in blocks, so
//! that one that comes in small parts does not cost a thread's turn for each.
//!
//! One client gets a share of the room only: else a single one could keep all others
//! out with bodies that come slowly.

use super::{
    fault::BodyFault,
    progress::Progress,
    spool_usage::{Share, SpoolUsage},
};
use crate::base::refusal::Refusal;
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use std::{
    fs::File,
    io,
    net::IpAddr,
    os::unix::fs::FileExt,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::task::{JoinHandle, spawn_blocking};

/// What is read at once of a file, and so in memory for a slow upstream.
const READ_BYTES: u64 = 64 << 10;

/// What is written at once, and so in memory of a body that comes slowly: no more than
/// its connection has in its buffers.
const BLOCK_BYTES: usize = 16 << 10;

/// Where files are, and how much of their disk they may take. All workers share
/// it; those of before a reload count, too.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    bytes_max: u64,
    client_bytes_max: u64,
    usage: SpoolUsage,
}

impl Spool {
    pub(crate) fn new(settings: &plan::Buffering, usage: &SpoolUsage) -> Arc<Self> {
        let directory = settings.directory.clone();
        Arc::new(Self {
            directory: directory.unwrap_or_else(std::env::temp_dir),
            bytes_max: settings.bytes.0,
            client_bytes_max: settings.client_bytes.0,
            usage: usage.clone(),
        })
    }

    fn failed(&self, error: &io::Error) -> Refusal {
        let directory = self.directory.display();
        tracing::error!(%directory, %error, "body not kept; see `gateway.buffering`");
        Refusal::SpoolFailed
    }
}

/// A file, and its share of the disk.
struct Kept {
    file: File,
    share: Share,
}

/// A body that is being written to a file.
pub(super) struct Spooling {
    spool: Arc<Spool>,
    kept: Arc<Kept>,
    /// What is to be written next.
    block: BytesMut,
    written: u64,
}

impl Spooling {
    /// `client` sends it, as far as that is known.
    pub(super) async fn begin(spool: &Arc<Spool>, client: Option<IpAddr>) -> Result<Self, Refusal> {
        let directory = spool.directory.clone();
        let file = on_disk(move || tempfile::tempfile_in(directory)).await;
        let file = file.map_err(|error| spool.failed(&error))?;
        let share = spool.usage.share(client);
        Ok(Self {
            kept: Arc::new(Kept { file, share }),
            spool: Arc::clone(spool),
            block: BytesMut::new(),
            written: 0,
        })
    }

    pub(super) async fn append(&mut self, part: Bytes) -> Result<(), Refusal> {
        let Spool {
            bytes_max,
            client_bytes_max,
            ..
        } = *self.spool;
        let (share, bytes) = (&self.kept.share, part.len() as u64);
        if share.bytes() + bytes > bytes_max.min(client_bytes_max) {
            return Err(Refusal::BodyTooLarge);
        }
        if !share.grow(bytes, bytes_max, client_bytes_max) {
            return Err(Refusal::BuffersFull);
        }
        if self.block.len() + part.len() < BLOCK_BYTES {
            self.block.extend_from_slice(&part);
            return Ok(());
        }
        let block = self.block.split().freeze();
        self.write([block, part]).await
    }

    async fn write(&mut self, parts: [Bytes; 2]) -> Result<(), Refusal> {
        let (kept, mut at) = (Arc::clone(&self.kept), self.written);
        self.written += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let written = on_disk(move || {
            for part in parts {
                kept.file.write_all_at(&part, at)?;
                at += part.len() as u64;
            }
            Ok(())
        });
        written.await.map_err(|error| self.spool.failed(&error))
    }

    pub(super) async fn end(mut self) -> Result<Spooled, Refusal> {
        let block = self.block.split().freeze();
        if !block.is_empty() {
            self.write([block, Bytes::new()]).await?;
        }
        Ok(Spooled {
            length: self.written,
            kept: self.kept,
            at: 0,
            reading: None,
            progress: Progress::begin(),
        })
    }
}

/// A body that is in a file, on its way to an upstream.
pub(crate) struct Spooled {
    kept: Arc<Kept>,
    length: u64,
    at: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    progress: Progress,
}

impl Spooled {
    /// How much of it is still to be sent.
    pub(super) fn left(&self) -> u64 {
        self.length - self.at
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let length = self.left().min(READ_BYTES);
        if length == 0 {
            return Poll::Ready(None);
        }
        let (kept, at) = (&self.kept, self.at);
        let reading = self.reading.get_or_insert_with(|| {
            let kept = Arc::clone(kept);
            spawn_blocking(move || read(&kept.file, at, length))
        });
        let part = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other);
        self.reading = None;
        self.progress.now();
        Poll::Ready(Some(match part.flatten() {
            Ok(part) => {
                self.at += part.len() as u64;
                Ok(Frame::data(part))
            }
            Err(error) => {
                tracing::error!(%error, "body not read back from its file");
                Err(BodyFault::Unreadable)
            }
        }))
    }
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut part = vec![0; length];
    file.read_exact_at(&mut part, at)?;
    Ok(part.into())
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
