//! Whether a stream is fit for a hand-over that waits for it.
//!
//! What counts is how long it takes to catch up: that is how long requests are
//! held. Bytes only bound it. On a server that writes much, most of it none of
//! ours, a stream is always some of them behind, however well it is. So where
//! there are more than the limit, a position is taken and waited for: a stream
//! that reaches it within what the hold leaves is fit.

use super::blocker::{Blocker, blocker};
use crate::{
    follow::{FollowPhase, FollowStatus},
    positions::Sampler,
};
use protocol::stream::Direction;
use std::time::{Duration, Instant};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// How long a stream is waited for that is not fit yet, as one that has just
/// begun, or one with a burst of changes behind it.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How far a stream may be behind.
#[derive(Debug, Clone, Copy)]
pub struct LagLimits {
    /// So many bytes are always well.
    pub bytes: u64,
    /// More are, where they are applied within this.
    pub catch_up: Duration,
}

impl LagLimits {
    /// Those of a plan: requests are held while others drain and then the stream
    /// catches up.
    pub fn of(switch: &plan::Switch) -> Self {
        Self {
            bytes: switch.lag.0,
            catch_up: switch.hold.saturating_sub(switch.drain),
        }
    }
}

/// What is wrong with a stream that no waiting mends: a person is needed.
pub fn failed_blocker(direction: Direction, status: &FollowStatus) -> Option<Blocker> {
    let failed = matches!(
        status.phase,
        FollowPhase::Failed { .. } | FollowPhase::Ended
    );
    failed.then(|| problem_blocker(direction, status)).flatten()
}

/// What is wrong with a stream, after it has been waited for `patience` at most.
/// `source`: of the side that it reads from.
pub async fn stream_blocker(
    direction: Direction,
    mut status: watch::Receiver<FollowStatus>,
    source: &Sampler,
    limits: LagLimits,
    patience: Duration,
) -> Option<Blocker> {
    let until = Instant::now() + patience;
    loop {
        let now = status.borrow_and_update().clone();
        let found = unfit(direction, &now, limits)?;
        let streams = now.phase == FollowPhase::Streaming;
        if streams && catches_up(&mut status, source, limits.catch_up).await {
            return None;
        }
        if failed_blocker(direction, &now).is_some() || Instant::now() >= until {
            return Some(found);
        }
        if !streams {
            sleep(LOOK).await;
        }
    }
}

/// Whether all that is written by now is applied in time.
async fn catches_up(
    status: &mut watch::Receiver<FollowStatus>,
    source: &Sampler,
    within: Duration,
) -> bool {
    let Some(position) = source.sample().await else {
        sleep(LOOK).await;
        return false;
    };
    let reached = status.wait_for(|now| now.applied >= position);
    matches!(timeout(within, reached).await, Ok(Ok(now)) if now.problem().is_none())
}

fn unfit(direction: Direction, status: &FollowStatus, limits: LagLimits) -> Option<Blocker> {
    if let Some(problem) = problem_blocker(direction, status) {
        return Some(problem);
    }
    (status.lag_bytes > limits.bytes).then(|| {
        let problem = format!(
            "it is {} bytes behind, the limit is {}, and it does not catch up within the {:?} that \
             `switch.hold` leaves it",
            status.lag_bytes, limits.bytes, limits.catch_up
        );
        blocker(
            named(direction),
            problem,
            "Wait until less is written, or raise `switch.hold`",
        )
    })
}

fn problem_blocker(direction: Direction, status: &FollowStatus) -> Option<Blocker> {
    let problem = status.problem()?;
    Some(blocker(named(direction), problem, remedy(&status.phase)))
}

/// What to do, after the problem, which says what else the error asks for.
fn remedy(phase: &FollowPhase) -> &'static str {
    match phase {
        FollowPhase::Connecting | FollowPhase::Streaming | FollowPhase::Retrying { .. } => {
            "Wait until it streams"
        }
        FollowPhase::Failed { .. } => "Nothing is handed over before that is mended",
        FollowPhase::Ended => {
            "Restart this `banyan serve`, unless another one has taken charge of the extraction"
        }
    }
}

fn named(direction: Direction) -> String {
    format!("the {} stream", direction.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Lsn;

    fn told(phase: FollowPhase) -> Option<String> {
        let status = FollowStatus {
            direction: Direction::Forward,
            phase,
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
        };
        problem_blocker(Direction::Forward, &status).map(|blocker| blocker.to_string())
    }

    #[test]
    fn a_stream_that_is_not_well_has_a_remedy_of_its_own() {
        let error = || "no room. Make some".to_owned();
        assert_eq!(told(FollowPhase::Streaming), None);
        for (phase, wanted) in [
            (
                FollowPhase::Connecting,
                "it is connecting. Wait until it streams",
            ),
            (
                FollowPhase::Retrying { error: error() },
                "it is tried again by itself until this has passed: no room. Make some. \
                 Wait until it streams",
            ),
            (
                FollowPhase::Failed { error: error() },
                "it has failed, and wants a person: no room. Make some. \
                 Nothing is handed over before that is mended",
            ),
            (
                FollowPhase::Ended,
                "it has ended. Restart this `banyan serve`, unless another one has taken \
                 charge of the extraction",
            ),
        ] {
            assert_eq!(
                told(phase).unwrap(),
                format!("the forward stream: {wanted}")
            );
        }
    }
}
