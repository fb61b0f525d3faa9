//! Bodies in files, until all of them is there and they can be sent.
//!
//! A file has no name from the start (`O_TMPFILE`, or it is removed at once), so
//! that nobody else opens it and nothing is left of it, however the process ends.
//! The disk may be slow: it is written and read on threads of its own.

use super::{fault::BodyFault, progress::Progress};
use crate::base::refusal::Refusal;
use bytes::Bytes;
use http_body::Frame;
use prometheus_client::metrics::gauge::Gauge;
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::task::{JoinHandle, spawn_blocking};

/// What is read at once of a file, and so in memory for a slow upstream.
const READ_BYTES: u64 = 64 << 10;

/// Where files are, and how much of their disk they may take. All workers share
/// it; those of before a reload count, too.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    bytes_max: u64,
    used: Gauge,
}

impl Spool {
    /// `used` counts what is in files, also for the metrics.
    pub(crate) fn new(settings: &plan::Buffering, used: &Gauge) -> Arc<Self> {
        let directory = settings.directory.clone();
        Arc::new(Self {
            directory: directory.unwrap_or_else(std::env::temp_dir),
            bytes_max: settings.bytes.0,
            used: used.clone(),
        })
    }

    fn take(&self, bytes: u64) -> bool {
        let (order, used) = (Ordering::Relaxed, self.used.inner());
        used.fetch_update(order, order, |used| {
            used.checked_add(signed(bytes))
                .filter(|sum| *sum <= signed(self.bytes_max))
        })
        .is_ok()
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
    /// Written by who spools alone, and read by nobody else before it is done.
    length: AtomicU64,
    used: Gauge,
}

impl Kept {
    fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.used.dec_by(signed(self.length()));
    }
}

/// As gauges count. No disk has more.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A body that is being written to a file.
pub(super) struct Spooling {
    spool: Arc<Spool>,
    kept: Arc<Kept>,
}

impl Spooling {
    pub(super) async fn begin(spool: &Arc<Spool>) -> Result<Self, Refusal> {
        let directory = spool.directory.clone();
        let file = on_disk(move || tempfile::tempfile_in(directory)).await;
        let file = file.map_err(|error| spool.failed(&error))?;
        let kept = Kept {
            file,
            length: AtomicU64::new(0),
            used: spool.used.clone(),
        };
        Ok(Self {
            kept: Arc::new(kept),
            spool: Arc::clone(spool),
        })
    }

    pub(super) async fn append(&mut self, part: Bytes) -> Result<(), Refusal> {
        let at = self.kept.length();
        let bytes = part.len() as u64;
        if at + bytes > self.spool.bytes_max {
            return Err(Refusal::BodyTooLarge);
        }
        if !self.spool.take(bytes) {
            return Err(Refusal::BuffersFull);
        }
        self.kept.length.store(at + bytes, Ordering::Relaxed);
        let kept = Arc::clone(&self.kept);
        let written = on_disk(move || kept.file.write_all_at(&part, at)).await;
        written.map_err(|error| self.spool.failed(&error))
    }

    pub(super) fn end(self) -> Spooled {
        Spooled {
            kept: self.kept,
            at: 0,
            reading: None,
            progress: Progress::begin(),
        }
    }
}

/// A body that is in a file, on its way to an upstream.
pub(crate) struct Spooled {
    kept: Arc<Kept>,
    at: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    progress: Progress,
}

impl Spooled {
    /// How much of it is still to be sent.
    pub(super) fn left(&self) -> u64 {
        self.kept.length() - self.at
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
