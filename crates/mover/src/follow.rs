//! Follows the change stream of one direction, for as long as it lives.
//!
//! Both directions are followed all the time. Which of them applies rows is
//! the stream's state ([`protocol::stream::StreamState`]), a row in the
//! target's database that changes in the same transactions as the rows do. The
//! other direction reads and discards, so that the source can drop its log.
//!
//! ```text
//! source ──walsender──▶ feed ──▶ streaming ──▶ Applier ──▶ target
//!                  (bounded bytes)   (bounded batch)   (one transaction)
//! ```
//!
//! Killed here, what is true: whatever is in memory is read again, from the
//! position in the stream's row; the slot has never been told of more than
//! that position, so the source still has it. See [`crate::apply`].
//!
//! An error that may pass (the network, a restart, a lock) is retried for ever,
//! with pauses of at most [`LONGEST_PAUSE`]. One that will not pass by itself
//! (the sides differ, the table was changed, another conductor took over) ends
//! in [`FollowPhase::Failed`], and nothing more is done until a new follower is
//! started: what was not understood is not tried again blindly.

mod assembler;
mod feed;
mod opening;
pub mod remote_progress;
mod status;
mod streaming;

pub use status::{FollowPhase, FollowStatus};

use crate::{error::MoverError, extraction::Mover, objects::owner::Claims};
use opening::Assignment;
use protocol::{Lsn, stream::Direction};
use status::Reporter;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// The pause after the first error; it doubles with each that follows.
pub const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between attempts.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// An attempt that streamed for this long has succeeded: the next pause is
/// short again.
const SOUND_ATTEMPT: Duration = Duration::from_secs(10);

/// How long [`Follower::stop`] waits for a statement under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// A running follower of one direction. Dropping it ends it at once, as a
/// crash would; [`Follower::stop`] lets it finish its batch.
#[derive(Debug)]
pub struct Follower {
    status: watch::Receiver<FollowStatus>,
    applied: watch::Receiver<Lsn>,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

impl Follower {
    /// Starts to follow. Returns at once; errors are in its status. Must
    /// be called inside a Tokio runtime.
    ///
    /// Everything must be prepared, and for the forward direction copied. A
    /// predecessor may still be alive: it is waited for, or refused by the
    /// claim.
    pub fn start(mover: &Mover, direction: Direction, claims: &Claims) -> Self {
        let assignment = Assignment {
            mover: mover.clone(),
            direction,
            claim: claims.of(direction.target()),
        };
        let (reporter, status, applied) = Reporter::new(direction);
        let reporter = Arc::new(reporter);
        let stopping = CancellationToken::new();
        let task = tokio::spawn(run(assignment, reporter, stopping.clone()));
        Self {
            status,
            applied,
            stopping,
            task,
        }
    }

    /// Its status.
    pub fn status(&self) -> watch::Receiver<FollowStatus> {
        self.status.clone()
    }

    /// The position up to which all changes of the source are in the target,
    /// visible and durable. Never decreases while this follower lives, and
    /// moves on promptly also when nothing of ours changes.
    pub fn applied(&self) -> watch::Receiver<Lsn> {
        self.applied.clone()
    }

    /// Ends it: a batch under way is finished, the sessions are closed.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        // After this time it is aborted, by its drop.
        drop(timeout(STOP_TIMEOUT, &mut self.task).await);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(assignment: Assignment, reporter: Arc<Reporter>, stopping: CancellationToken) {
    let direction = assignment.direction;
    let mut pause = SHORTEST_PAUSE;
    loop {
        let began = Instant::now();
        reporter.phase(FollowPhase::Connecting);
        let Err(error) = attempt(&assignment, &reporter, &stopping).await else {
            break;
        };
        if !error.is_transient() {
            tracing::error!(direction = direction.as_str(), %error, "following failed");
            reporter.phase(FollowPhase::Failed {
                error: error.to_string(),
            });
            return;
        }
        if began.elapsed() > SOUND_ATTEMPT {
            pause = SHORTEST_PAUSE;
        }
        tracing::warn!(direction = direction.as_str(), %error, "following is interrupted");
        reporter.phase(FollowPhase::Retrying {
            error: error.to_string(),
        });
        tokio::select! {
            () = stopping.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    reporter.phase(FollowPhase::Ended);
}

/// One connection's life; `Ok` when it was asked to stop.
async fn attempt(
    assignment: &Assignment,
    reporter: &Arc<Reporter>,
    stopping: &CancellationToken,
) -> Result<(), MoverError> {
    let opened = tokio::select! {
        () = stopping.cancelled() => return Ok(()),
        opened = Box::pin(opening::open(assignment)) => opened?,
    };
    Box::pin(streaming::stream(opened, reporter, stopping)).await
}
