//! A follower's status, and what writes it.

use protocol::{
    Lsn,
    stream::{Direction, StreamState},
};
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
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
    /// A permanent error, which a person must mend; it does nothing more.
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
    /// The age of the oldest transaction that is known and not applied, by
    /// the source's clock; 0 when there is none.
    pub lag_seconds: f64,
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
            },
            status_out,
            applied_out,
        )
    }

    pub(super) fn phase(&self, phase: FollowPhase) {
        self.status.send_modify(|status| status.phase = phase);
    }

    /// A connection streams, from a stored position on.
    pub(super) fn streaming(&self, state: StreamState, stored: Lsn) {
        self.pending_since.store(NOTHING, Ordering::Relaxed);
        self.applied(state, stored, BatchCounts::default());
        self.phase(FollowPhase::Streaming);
    }

    /// What becomes of split tables' rows.
    pub(super) fn split(&self, split: bool) {
        self.status.send_if_modified(|status| {
            let changed = status.split != split;
            status.split = split;
            changed
        });
    }

    /// A transaction was received that was committed then.
    pub(super) fn pending(&self, commit_time: i64) {
        // One task alone writes it.
        if self.pending_since.load(Ordering::Relaxed) == NOTHING {
            self.pending_since.store(commit_time, Ordering::Relaxed);
        }
    }

    /// Everything received was applied or discarded, up to `position`.
    pub(super) fn applied(&self, state: StreamState, position: Lsn, counts: BatchCounts) {
        self.pending_since.store(NOTHING, Ordering::Relaxed);
        self.applied.send_if_modified(|applied| {
            let further = position > *applied;
            *applied = position.max(*applied);
            further
        });
        self.status.send_modify(|status| {
            status.state = Some(state);
            status.transactions += counts.transactions;
            status.rows += counts.rows;
            status.discarded_rows += counts.discarded_rows;
            status.applied = status.applied.max(position);
            status.received = status.received.max(position);
            status.measure();
            if status.lag_bytes == 0 {
                status.lag_seconds = 0.0;
            }
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
        self.status.send_modify(|status| {
            status.received = status.received.max(end);
            status.lag_seconds = Duration::from_micros(age.unsigned_abs()).as_secs_f64();
            status.measure();
        });
    }
}

impl FollowStatus {
    /// What is wrong with the stream, if anything is.
    pub fn problem(&self) -> Option<String> {
        match &self.phase {
            FollowPhase::Streaming => None,
            FollowPhase::Connecting => Some("it is connecting".to_owned()),
            FollowPhase::Retrying { error } => Some(format!("it is being tried again: {error}")),
            FollowPhase::Failed { error } => Some(format!("it has failed: {error}")),
            FollowPhase::Ended => Some("it has ended".to_owned()),
        }
    }

    fn measure(&mut self) {
        self.lag_bytes = self.received.0.saturating_sub(self.applied.0);
    }
}
