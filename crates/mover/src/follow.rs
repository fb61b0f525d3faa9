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
//! Whatever fails is tried again for ever, each time with everything opened
//! anew ([`crate::error::cause`] has the table). What may pass (the network, a
//! restart, a lock) after pauses of at most [`LONGEST_PAUSE`]; what a person must
//! mend after pauses of at most [`LONGEST_WAIT`], and the phase is
//! [`FollowPhase::Failed`] until the stream is past the transaction that failed.
//! Up to that one the source's transactions are committed one by one, so that
//! those in front of it stay applied. Only a successor's claim is final.

mod assembler;
mod feed;
mod lag;
mod opening;
mod pauses;
pub mod remote_progress;
mod status;
mod streaming;

pub use status::{FollowPhase, FollowStatus};

pub use pauses::{FIRST_WAIT, LONGEST_PAUSE, LONGEST_WAIT, SHORTEST_PAUSE};

use crate::{
    error::{MoverError, cause::Mends},
    extraction::Mover,
    objects::owner::Claims,
};
use opening::Assignment;
use pauses::Pauses;
use protocol::{Lsn, stream::Direction};
use status::Reporter;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

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
    again: Arc<Notify>,
    task: JoinHandle<()>,
    lag: JoinHandle<()>,
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
        let again = Arc::new(Notify::new());
        let lag = tokio::spawn(lag::sample(mover.clone(), direction, Arc::clone(&reporter)));
        let task = tokio::spawn(run(
            assignment,
            reporter,
            stopping.clone(),
            Arc::clone(&again),
        ));
        Self {
            status,
            applied,
            stopping,
            again,
            task,
            lag,
        }
    }

    /// Ends a pause between two attempts, and makes the next one short.
    pub fn resume(&self) {
        self.again.notify_one();
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
        self.lag.abort();
    }
}

async fn run(
    assignment: Assignment,
    reporter: Arc<Reporter>,
    stopping: CancellationToken,
    again: Arc<Notify>,
) {
    let direction = assignment.direction;
    let mut pauses = Pauses::default();
    // Up to here the source's transactions are committed one by one.
    let mut one_by_one = Lsn::default();
    // When the source was compared with the row last. Before the first time the row
    // says how long ago that was.
    let mut looked = Instant::now();
    loop {
        let began = Instant::now();
        let attempted = attempt(&assignment, &reporter, &mut looked, one_by_one, &stopping).await;
        let Err(error) = attempted else {
            break;
        };
        let error = assignment.mover.with_grants(error).await;
        let mends = error.cause().mends;
        let suspect = reporter.interrupted();
        if began.elapsed() > SOUND_ATTEMPT {
            pauses = Pauses::default();
        }
        let text = worded(&error, &assignment);
        let pause = match mends {
            Mends::Never => {
                tracing::error!(direction = direction.as_str(), %error, "following has ended");
                reporter.phase(FollowPhase::Failed { error: text });
                return;
            }
            // Which of the transactions it was is not known yet.
            Mends::ByPerson if suspect > one_by_one => {
                one_by_one = suspect;
                tracing::warn!(direction = direction.as_str(), %error, "looking for what failed");
                reporter.phase(FollowPhase::Retrying { error: text });
                SHORTEST_PAUSE
            }
            Mends::ByPerson => {
                tracing::error!(direction = direction.as_str(), %error, "following failed");
                reporter.phase(FollowPhase::Failed { error: text });
                pauses.for_a_person()
            }
            Mends::ByItself => {
                tracing::warn!(direction = direction.as_str(), %error, "following is interrupted");
                reporter.phase(FollowPhase::Retrying { error: text });
                pauses.passing()
            }
        };
        reporter.attempted();
        tokio::select! {
            () = stopping.cancelled() => break,
            () = again.notified() => pauses = Pauses::default(),
            () = tokio::time::sleep(pause) => {}
        }
    }
    reporter.phase(FollowPhase::Ended);
}

/// The error, and what to do where it does not say that itself.
fn worded(error: &MoverError, assignment: &Assignment) -> String {
    let advice = error.advice().map(|advice| format!(". {advice}"));
    let again = match error.cause().mends {
        Mends::ByPerson => format!(
            ". It is tried again by itself; at once by `banyan resume {}`",
            assignment.mover.extraction().name
        ),
        Mends::ByItself | Mends::Never => String::new(),
    };
    format!("{error}{}{again}", advice.unwrap_or_default())
}

/// One connection's life; `Ok` when it was asked to stop.
async fn attempt(
    assignment: &Assignment,
    reporter: &Arc<Reporter>,
    looked: &mut Instant,
    one_by_one: Lsn,
    stopping: &CancellationToken,
) -> Result<(), MoverError> {
    let opened = tokio::select! {
        () = stopping.cancelled() => return Ok(()),
        opened = Box::pin(opening::open(assignment, reporter, looked)) => opened?,
        silence = assignment.mover.unanswered() => return Err(silence),
    };
    Box::pin(streaming::stream(opened, reporter, one_by_one, stopping)).await
}
