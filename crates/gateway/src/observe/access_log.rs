//! The access log: one JSON document for each request.
//!
//! Workers gather lines and hand them on in pieces, at the latest with each
//! sweep (once a second); a thread of its own writes them. Nothing waits for
//! that thread: what finds its queue full is dropped, and counted.
//!
//! A file that was renamed or removed, as rotation does it, is opened anew
//! under its name. A crash loses what was gathered, a second's lines at most.

use super::delivery::DeliveryCounts;
use plan::LogTarget;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// As much as is written at once: more saves no calls that could be felt.
const PIECE_BYTES: usize = 16 << 10;

/// Pieces that may wait: 4 MiB, some seconds of a slow disk under full load.
const PIECES_MAX: usize = 256;

/// How often a file is looked for under its name.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long the end of a gateway waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
const FLUSH_PAUSE: Duration = Duration::from_millis(10);

/// The owner writes; the group, which is the operator's choice, may read.
const MODE: u32 = 0o640;

enum Message {
    Piece(Piece),
    /// Say when all before it is written.
    Flush(oneshot::Sender<()>),
}

/// Whole lines.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    lines: u64,
}

/// The way to the thread that writes.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: SyncSender<Message>,
    fate: DeliveryCounts,
}

impl Writer {
    /// Opens the file and starts the thread, which ends with the last writer.
    pub(crate) fn start(target: &LogTarget, fate: &DeliveryCounts) -> io::Result<Self> {
        let (queue, messages) = sync_channel(PIECES_MAX);
        let output = Output::open(target)?;
        let counted = fate.clone();
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || run(output, &messages, &counted))?;
        Ok(Self {
            queue,
            fate: fate.clone(),
        })
    }

    fn send(&self, piece: Piece) {
        let lines = piece.lines;
        if self.queue.try_send(Message::Piece(piece)).is_err() {
            self.fate.lost.inc_by(lines);
        }
    }

    /// Waits until what was sent is written, within a bound.
    pub(crate) async fn flush(&self) {
        let flushing = async {
            let (done, flushed) = oneshot::channel();
            let mut message = Message::Flush(done);
            while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
                message = back;
                tokio::time::sleep(FLUSH_PAUSE).await;
            }
            // A thread that has ended writes nothing more.
            let _ = flushed.await;
        };
        if tokio::time::timeout(FLUSH_TIMEOUT, flushing).await.is_err() {
            tracing::warn!("the access log's last lines were not written in time");
        }
    }
}

/// One worker's lines.
pub(crate) struct Sink {
    writer: Writer,
    gathered: RefCell<Piece>,
}

impl Sink {
    pub(crate) fn new(writer: &Writer) -> Self {
        Self {
            writer: writer.clone(),
            gathered: RefCell::default(),
        }
    }

    /// Adds a line.
    pub(crate) fn add(&self, line: &impl serde::Serialize) {
        let mut piece = self.gathered.borrow_mut();
        // Texts and numbers into memory: neither fails.
        if serde_json::to_writer(&mut piece.bytes, line).is_ok() {
            piece.bytes.push(b'\n');
            piece.lines += 1;
        }
        if piece.bytes.len() >= PIECE_BYTES {
            self.writer.send(std::mem::take(&mut *piece));
        }
    }

    /// Hands on what is there.
    pub(crate) fn flush(&self) {
        let piece = std::mem::take(&mut *self.gathered.borrow_mut());
        if piece.lines > 0 {
            self.writer.send(piece);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.flush();
    }
}

fn run(mut output: Output, messages: &Receiver<Message>, fate: &DeliveryCounts) {
    let mut works = true;
    for message in messages {
        let piece = match message {
            Message::Piece(piece) => piece,
            Message::Flush(done) => {
                // Receiver dropped: the flush has timed out.
                let _ = done.send(());
                continue;
            }
        };
        match output.write(&piece.bytes) {
            Ok(()) => {
                works = true;
                fate.told.inc_by(piece.lines);
            }
            Err(error) => {
                fate.lost.inc_by(piece.lines);
                if std::mem::take(&mut works) {
                    tracing::error!(%error, "the access log cannot be written, lines are lost");
                }
            }
        }
    }
}

enum Output {
    Stdout,
    File(Named),
}

/// A file and the name that it is to have.
struct Named {
    path: PathBuf,
    file: File,
    /// Device and number, by which it is known whatever it is called.
    id: (u64, u64),
    looked: Instant,
}

impl Output {
    fn open(target: &LogTarget) -> io::Result<Self> {
        match target {
            LogTarget::Stdout => Ok(Self::Stdout),
            LogTarget::File(path) => Named::open(path).map(Self::File),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::File(named) => {
                named.look()?;
                named.file.write_all(bytes)
            }
        }
    }
}

impl Named {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(MODE)
            .open(path)?;
        let is = file.metadata()?;
        Ok(Self {
            path: path.to_owned(),
            id: (is.dev(), is.ino()),
            file,
            looked: Instant::now(),
        })
    }

    /// Opens it anew where another one, or none, has its name now.
    fn look(&mut self) -> io::Result<()> {
        if self.looked.elapsed() < LOOK_INTERVAL {
            return Ok(());
        }
        match std::fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == self.id => self.looked = Instant::now(),
            _ => *self = Self::open(&self.path)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(fate: &DeliveryCounts) -> (u64, u64) {
        (fate.told.get(), fate.lost.get())
    }

    #[tokio::test]
    async fn lines_are_written_in_order_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let fate = DeliveryCounts::default();
        let writer = Writer::start(&LogTarget::File(path.clone()), &fate).unwrap();
        let sink = Sink::new(&writer);
        for number in 0..5000 {
            sink.add(&serde_json::json!({ "number": number }));
        }
        drop(sink);
        writer.flush().await;
        let text = std::fs::read_to_string(&path).unwrap();
        let numbers: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["number"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
        assert_eq!(counted(&fate), (5000, 0));
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted() {
        let (queue, messages) = sync_channel(2);
        let fate = DeliveryCounts::default();
        let writer = Writer {
            queue,
            fate: fate.clone(),
        };
        let sink = Sink::new(&writer);
        for _ in 0..5 {
            sink.add(&"x");
            sink.add(&"y");
            sink.flush();
        }
        assert_eq!(counted(&fate), (0, 6));
        assert_eq!(messages.try_iter().count(), 2);
    }

    #[test]
    fn a_renamed_file_is_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("a"), directory.path().join("a.1"));
        let mut named = Named::open(&path).unwrap();
        let mut write = |bytes: &[u8], after: Duration| {
            named.looked -= after;
            named.look().unwrap();
            named.file.write_all(bytes).unwrap();
        };
        write(b"1", Duration::ZERO);
        std::fs::rename(&path, &old).unwrap();
        // Not looked for with every write.
        write(b"2", Duration::ZERO);
        write(b"3", LOOK_INTERVAL);
        assert_eq!(std::fs::read(&old).unwrap(), b"12");
        assert_eq!(std::fs::read(&path).unwrap(), b"3");
    }
}
