//! A follower's status, and what writes it.

use crate::objects::stream::StreamRow;
use protocol::{
    Lsn,
    stream::{Direction, StreamState},
};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How a follower is. In memory only; the follower sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowPhase {
    /// It opens its sessions and compares both sides.
    Connecting,
    /// It reads and applies.
    Streaming,
    /// A transient error; it tries again by itself.
    Retrying {
        /// What it was.
        error: String,
    },
    /// An error that a person must mend. It is tried again all the same, with
    /// longer pauses; this is left only once the stream is past what failed.
    Failed {
        /// What it was and what to do.
        error: String,
    },
    /// It was stopped.
    Ended,
}

/// A follower's view of its stream.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowStatus {
    /// Which direction.
    pub direction: Direction,
    /// How it is.
    pub phase: FollowPhase,
    /// What it does with rows, as stored; `None` until it has read the row.
    pub state: Option<StreamState>,
    /// Everything of the source up to here is in the target.
    pub applied: Lsn,
    /// The end of the source's log, as last received.
    pub received: Lsn,
    /// How far `applied` is behind `received`.
    pub lag_bytes: u64,
    /// The age of the oldest transaction that is not applied, by the source's
    /// clock; 0 when there is none. While it does not stream, an upper bound:
    /// how long ago everything was applied.
    pub lag_seconds: f64,
    /// How many bytes of its log the source has to keep for the stream's slot, as
    /// of the last answer; `None` where there is no slot, or it is lost.
    pub retained_bytes: Option<u64>,
    /// Attempts that have ended.
    pub attempts: u64,
    /// Transactions of the source dealt with since the start.
    pub transactions: u64,
    /// Rows applied since the start.
    pub rows: u64,
    /// Rows of others, not ours, that came in the state `Stopped`: written
    /// past the fence and not taken over. There should be none; since the
    /// start, the database remembers all ([`crate::objects::notes`]).
    pub discarded_rows: u64,
    /// Whether rows of split tables flow no more, as of the last commit.
    pub split: bool,
}

/// Writes the status; many readers.
#[derive(Debug)]
pub(super) struct Reporter {
    status: watch::Sender<FollowStatus>,
    applied: watch::Sender<Lsn>,
    /// When the oldest transaction that is known and not applied was
    /// committed, in microseconds since 2000-01-01; `NOTHING` without one.
    pending_since: AtomicI64,
    /// The position of the last transaction whose beginning was read.
    begun: AtomicU64,
    marks: Mutex<Marks>,
}

#[derive(Debug, Clone, Copy)]
struct Marks {
    /// When everything was applied last; before the first look, the start.
    current_at: Instant,
    /// Whether the stream's row has been read, so that `applied` is known.
    row_read: bool,
    /// The last transaction begun when an attempt failed: the stream is well
    /// once it is past that.
    failed_at: Option<Lsn>,
}

const NOTHING: i64 = i64::MIN;

/// What one target transaction, or one that needed none, added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BatchCounts {
    pub(super) transactions: u64,
    pub(super) rows: u64,
    pub(super) discarded_rows: u64,
}

impl Reporter {
    pub(super) fn new(
        direction: Direction,
    ) -> (Self, watch::Receiver<FollowStatus>, watch::Receiver<Lsn>) {
        let (status, status_out) = watch::channel(FollowStatus {
            direction,
            phase: FollowPhase::Connecting,
            state: None,
            applied: Lsn::default(),
            received: Lsn::default(),
            lag_bytes: 0,
            lag_seconds: 0.0,
            retained_bytes: None,
            attempts: 0,
            transactions: 0,
            rows: 0,
            discarded_rows: 0,
            split: false,
        });
        let (applied, applied_out) = watch::channel(Lsn::default());
        (
            Self {
                status,
                applied,
                pending_since: AtomicI64::new(NOTHING),
                begun: AtomicU64::new(0),
                marks: Mutex::new(Marks {
                    current_at: Instant::now(),
                    row_read: false,
                    failed_at: None,
                }),
            },
            status_out,
            applied_out,
        )
    }

    pub(super) fn phase(&self, phase: FollowPhase) {
        self.status.send_modify(|status| status.phase = phase);
    }

    /// An attempt has ended.
    pub(super) fn attempted(&self) {
        self.status.send_modify(|status| status.attempts += 1);
    }

    /// What becomes of split tables' rows.
    pub(super) fn split(&self, split: bool) {
        self.status.send_if_modified(|status| {
            let changed = status.split != split;
            status.split = split;
            changed
        });
    }

    fn marks<T>(&self, with: impl FnOnce(&mut Marks) -> T) -> T {
        with(&mut self.marks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The stream's row was read: so far is the target, streaming or not.
    pub(super) fn stored(&self, row: &StreamRow) {
        self.marks(|marks| {
            if !std::mem::replace(&mut marks.row_read, true) {
                // Nothing is known to have been applied since.
                let then = Instant::now().checked_sub(row.unchanged);
                marks.current_at = then.unwrap_or(marks.current_at);
            }
        });
        self.applied(row.state, row.position, BatchCounts::default());
    }

    /// A connection streams.
    pub(super) fn streaming(&self) {
        self.pending_since.store(NOTHING, Ordering::Relaxed);
        if self.marks(|marks| marks.failed_at.is_none()) {
            self.phase(FollowPhase::Streaming);
        }
    }

    /// An attempt has failed: the position of the last transaction that it read
    /// and did not apply, 0 without one. Until it is past that it is not well.
    pub(super) fn interrupted(&self) -> Lsn {
        let begun = Lsn(self.begun.swap(0, Ordering::Relaxed));
        if begun <= self.status.borrow().applied {
            return Lsn::default();
        }
        self.marks(|marks| marks.failed_at = marks.failed_at.max(Some(begun)));
        begun
    }

    /// A transaction was received that was committed then, and there.
    pub(super) fn pending(&self, commit_time: i64, commit: Lsn) {
        self.begun.store(commit.0, Ordering::Relaxed);
        // One task alone writes it.
        if self.pending_since.load(Ordering::Relaxed) == NOTHING {
            self.pending_since.store(commit_time, Ordering::Relaxed);
        }
    }

    /// Everything received was applied or discarded, up to `position`.
    pub(super) fn applied(&self, state: StreamState, position: Lsn, counts: BatchCounts) {
        self.pending_since.store(NOTHING, Ordering::Relaxed);
        let mended = self.marks(|marks| {
            let mended = marks.failed_at.is_some_and(|failed| position > failed);
            if mended {
                marks.failed_at = None;
            }
            mended
        });
        self.status.send_modify(|status| {
            if mended {
                status.phase = FollowPhase::Streaming;
            }
            status.state = Some(state);
            status.transactions += counts.transactions;
            status.rows += counts.rows;
            status.discarded_rows += counts.discarded_rows;
            status.applied = status.applied.max(position);
            status.received = status.received.max(position);
            status.measure();
            if status.lag_bytes == 0 && status.phase == FollowPhase::Streaming {
                status.lag_seconds = 0.0;
            }
        });
        // Last: who waits for it finds the status as it then is.
        self.applied.send_if_modified(|applied| {
            let further = position > *applied;
            *applied = position.max(*applied);
            further
        });
    }

    /// The source's log ends here, at this time of the source's clock.
    pub(super) fn log_end(&self, end: Lsn, clock: i64) {
        let since = self.pending_since.load(Ordering::Relaxed);
        let age = if since == NOTHING {
            0
        } else {
            clock.saturating_sub(since).max(0)
        };
        let age = Duration::from_micros(age.unsigned_abs());
        self.measured(Some(end), age);
    }

    /// What the source keeps for the slot.
    pub(super) fn retained(&self, bytes: Option<u64>) {
        self.status.send_if_modified(|status| {
            let changed = status.retained_bytes != bytes;
            status.retained_bytes = bytes;
            changed
        });
    }

    /// The source does not say where its log ends.
    pub(super) fn log_end_unknown(&self) {
        self.measured(None, Duration::ZERO);
    }

    fn measured(&self, end: Option<Lsn>, age: Duration) {
        let (row_read, current_at) = self.marks(|marks| (marks.row_read, marks.current_at));
        let mut current = false;
        self.status.send_modify(|status| {
            let streams = status.phase == FollowPhase::Streaming;
            status.received = status.received.max(end.unwrap_or_default());
            if row_read {
                status.measure();
            }
            current = row_read && end.is_some() && status.lag_bytes == 0;
            status.lag_seconds = if streams && end.is_some() {
                age.as_secs_f64()
            } else if current {
                0.0
            } else {
                current_at.elapsed().as_secs_f64().max(age.as_secs_f64())
            };
        });
        if current || (end.is_some() && age.is_zero() && self.is_streaming()) {
            self.marks(|marks| marks.current_at = Instant::now());
        }
    }

    fn is_streaming(&self) -> bool {
        self.status.borrow().phase == FollowPhase::Streaming
    }
}

impl FollowPhase {
    /// Its word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Streaming => "streaming",
            Self::Retrying { .. } => "retrying",
            Self::Failed { .. } => "failed",
            Self::Ended => "ended",
        }
    }
}

impl FollowStatus {
    /// What is wrong with the stream, if anything is.
    pub fn problem(&self) -> Option<String> {
        match &self.phase {
            FollowPhase::Streaming => None,
            FollowPhase::Connecting => Some("it is connecting".to_owned()),
            FollowPhase::Retrying { error } => Some(format!(
                "it is tried again by itself until this has passed: {error}"
            )),
            FollowPhase::Failed { error } => {
                Some(format!("it has failed, and wants a person: {error}"))
            }
            FollowPhase::Ended => Some("it has ended".to_owned()),
        }
    }

    fn measure(&mut self) {
        self.lag_bytes = self.received.0.saturating_sub(self.applied.0);
    }
}
