//! The followers of both directions, and who has been seen to write meanwhile.

use super::applied::AppliedPositions;
use conductor::ports::{StreamProgress, WorkError};
use mover::{
    Claims, Mover,
    follow::{FollowPhase, FollowStatus, Follower},
    readiness::{seen::Observations, writers::WriterObserver},
};
use protocol::{
    Side,
    stream::{Direction, StreamState},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};

/// How long a stream may take to get going before that is told.
const STREAM_TIMEOUT: Duration = Duration::from_secs(10);

/// Both followers while they run.
#[derive(Default)]
pub(super) struct Followers {
    running: Mutex<Option<FollowerPair>>,
}

struct FollowerPair {
    /// Forward first.
    followers: [Follower; 2],
    /// Pass each follower's position on to those who asked before it began.
    relays: [JoinHandle<()>; 2],
    observer: WriterObserver,
}

impl Drop for FollowerPair {
    fn drop(&mut self) {
        for relay in &self.relays {
            relay.abort();
        }
    }
}

impl FollowerPair {
    fn start(mover: &Mover, claims: &Claims, applied: &AppliedPositions) -> Self {
        let followers = Direction::BOTH.map(|direction| Follower::start(mover, direction, claims));
        let relay =
            |direction: Direction| applied.relay(direction.source(), &followers[index(direction)]);
        Self {
            relays: Direction::BOTH.map(relay),
            followers,
            observer: WriterObserver::start(mover),
        }
    }
}

fn index(direction: Direction) -> usize {
    usize::from(direction.source() == Side::Service)
}

impl Followers {
    fn running(&self) -> MutexGuard<'_, Option<FollowerPair>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts them unless they run. Must be called inside a runtime.
    pub(super) fn start(&self, mover: &Mover, claims: &Claims, applied: &AppliedPositions) {
        self.running()
            .get_or_insert_with(|| FollowerPair::start(mover, claims, applied));
    }

    /// Whether they have been started, and not stopped.
    pub(super) fn run(&self) -> bool {
        self.running().is_some()
    }

    /// Ends them as a kill would, which they are made for.
    pub(super) fn stop(&self) {
        let stopped = self.running().take();
        drop(stopped);
    }

    /// `None`: the direction is not followed.
    pub(super) fn status(&self, direction: Direction) -> Option<watch::Receiver<FollowStatus>> {
        self.running()
            .as_ref()
            .map(|running| running.followers[index(direction)].status())
    }

    /// What was seen while they ran, now or earlier.
    pub(super) fn seen(&self) -> Observations {
        self.running()
            .as_ref()
            .map(|running| running.observer.seen())
            .unwrap_or_default()
    }

    /// The databases have just been read.
    pub(super) fn know(&self, seen: Observations) {
        if let Some(running) = self.running().as_ref() {
            running.observer.know(seen);
        }
    }

    /// Waits until a direction streams. One that has failed is not waited for:
    /// the status says so, and no hand-over begins.
    pub(super) async fn streams(&self, direction: Direction) -> Result<(), WorkError> {
        let name = direction.as_str();
        let Some(mut status) = self.status(direction) else {
            return Err(WorkError::Transient(format!(
                "the {name} stream was stopped"
            )));
        };
        let going = status.wait_for(|now| {
            matches!(
                now.phase,
                FollowPhase::Streaming | FollowPhase::Failed { .. }
            )
        });
        match tokio::time::timeout(STREAM_TIMEOUT, going).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(WorkError::Transient(format!("the {name} stream has ended"))),
            Err(_) => Err(WorkError::Transient(format!(
                "the {name} stream does not get going"
            ))),
        }
    }

    /// Waits until a direction fails, and says how; at once where it is not
    /// followed.
    pub(super) async fn failed(&self, direction: Direction) -> String {
        let Some(mut status) = self.status(direction) else {
            return "it is not followed".to_owned();
        };
        let failed = status
            .wait_for(|now| matches!(now.phase, FollowPhase::Failed { .. } | FollowPhase::Ended));
        match failed.await {
            Ok(now) => now.problem().unwrap_or_default(),
            Err(_) => "it has ended".to_owned(),
        }
    }

    /// Has both try now, and waits for what comes of it.
    pub(super) async fn resume(&self) -> Result<(), WorkError> {
        let mut before = Vec::new();
        for direction in Direction::BOTH {
            let status = self.status(direction).ok_or_else(|| {
                WorkError::Transient(format!("the {} stream was stopped", direction.as_str()))
            })?;
            let attempts = status.borrow().attempts;
            before.push((direction, status, attempts));
        }
        if let Some(running) = &*self.running() {
            running.followers.iter().for_each(Follower::resume);
        }
        for (direction, mut status, attempts) in before {
            let settled = status
                .wait_for(|now| now.phase == FollowPhase::Streaming || now.attempts > attempts);
            let name = direction.as_str();
            let problem = match tokio::time::timeout(STREAM_TIMEOUT, settled).await {
                Ok(Ok(now)) if now.phase == FollowPhase::Streaming => continue,
                Ok(Ok(now)) => now.problem().unwrap_or_default(),
                Ok(Err(_)) => "it has ended".to_owned(),
                Err(_) => "it is still being tried".to_owned(),
            };
            return Err(WorkError::Transient(format!(
                "the {name} stream: {problem}"
            )));
        }
        Ok(())
    }

    /// Where a direction is, as `banyan status` shows it.
    pub(super) fn progress(&self, direction: Direction) -> Option<StreamProgress> {
        self.status(direction)
            .map(|status| stream_progress(&status.borrow()))
    }
}

fn stream_progress(status: &FollowStatus) -> StreamProgress {
    let state = match (&status.phase, status.state) {
        (FollowPhase::Streaming, Some(StreamState::Applying(_))) => "applying",
        (FollowPhase::Streaming, Some(StreamState::Stopped(_))) => "stopped",
        (FollowPhase::Streaming, Some(StreamState::Waiting)) => "waiting",
        (FollowPhase::Streaming, None) => "connecting",
        (phase, _) => phase.as_str(),
    };
    StreamProgress {
        state: state.to_owned(),
        trouble: status.problem(),
        lag_bytes: status.lag_bytes,
        lag_seconds: status.lag_seconds,
        retained_bytes: status.retained_bytes,
        transactions: status.transactions,
        rows: status.rows,
    }
}
