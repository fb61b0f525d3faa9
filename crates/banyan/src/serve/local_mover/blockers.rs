//! What stands in the way of a hand-over beside what the databases say:
//! streams that lag, undeclared writers, a service that is not healthy.

use super::followers::Followers;
use mover::{
    Mover, MoverError,
    follow::FollowPhase,
    readiness::{self, seen::Observations},
};
use plan::{HostAddresses, Upstream};
use protocol::{Side, stream::Direction};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long a stream that is only behind is waited for, as one is that has just
/// begun.
const CATCH_UP: Duration = Duration::from_secs(5);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How long is waited for the least time of looking who writes; a longer one is
/// the operator's to wait for.
const OBSERVE_WAIT: Duration = Duration::from_secs(15);

/// Streams that are not followed, or too far behind after a moment.
pub(super) async fn of_streams(mover: &Mover, followers: &Followers) -> Vec<String> {
    let until = Instant::now() + CATCH_UP;
    loop {
        let found = streams(mover, followers);
        if found.is_empty() || Instant::now() > until || has_failed(followers) {
            return found;
        }
        sleep(LOOK).await;
    }
}

fn streams(mover: &Mover, followers: &Followers) -> Vec<String> {
    let limit = mover.extraction().data.switch.lag.0;
    let blocked = |direction: Direction| match followers.status(direction) {
        Some(status) => readiness::stream_blocker(direction, &status.borrow(), limit)
            .map(|blocker| blocker.to_string()),
        None => Some(format!(
            "the {} stream is not followed yet",
            direction.as_str()
        )),
    };
    Direction::BOTH.into_iter().filter_map(blocked).collect()
}

/// Waiting does not help where a person is needed.
fn has_failed(followers: &Followers) -> bool {
    let failed = |direction| {
        let status = followers.status(direction);
        status.is_some_and(|status| matches!(status.borrow().phase, FollowPhase::Failed { .. }))
    };
    Direction::BOTH.into_iter().any(failed)
}

/// What was seen and stands in the way, as the databases say now. Of writers
/// only where the monolith is to be fenced.
pub(super) async fn of_seen(
    mover: &Mover,
    from: Side,
    declared: &[String],
    observe: Duration,
) -> Result<(Observations, Vec<String>), MoverError> {
    let name = &mover.extraction().name;
    let mut seen = mover.seen().await?;
    let mut found = seen.strangers_rows(name);
    if from == Side::Monolith {
        let until = Instant::now() + OBSERVE_WAIT;
        while !seen.still_to_look(observe).is_zero()
            && Instant::now() + seen.still_to_look(observe) < until
        {
            sleep(seen.still_to_look(observe).min(Duration::from_secs(1))).await;
            seen = mover.seen().await?;
        }
        found.extend(seen.too_short(observe));
        found.extend(seen.writers_in_the_way(name, declared));
    }
    let found = found.iter().map(ToString::to_string).collect();
    Ok((seen, found))
}

/// Who is to get the writes must say that it can work, or answer at all where
/// the plan does not say how to ask.
pub(super) async fn of_health(
    to: Side,
    upstream: &Upstream,
    resolve: &HostAddresses,
) -> Option<String> {
    let problem = gateway::check_health(upstream, resolve).await.err()?;
    let path = upstream.health.as_ref().map(|health| health.path.as_str());
    let (url, path) = (&upstream.url, path.unwrap_or("it"));
    Some(format!(
        "the {to} at {url}: {path} {problem}. See to the {to} first"
    ))
}
