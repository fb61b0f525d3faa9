//! What stands in the way of a hand-over beside what the databases say:
//! streams that lag, undeclared writers, a service that is not healthy.

use super::followers::Followers;
use mover::{
    Mover, MoverError,
    positions::Sampler,
    readiness::{
        keeping_up::{self, LagLimits},
        seen::Observations,
    },
};
use plan::{HostAddresses, Switch, Upstream};
use protocol::{Side, stream::Direction};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long is waited for the least time of looking who writes; a longer one is
/// the operator's to wait for.
const OBSERVE_WAIT: Duration = Duration::from_secs(15);

/// Streams that are not followed, or do not keep up. `samplers`: of the
/// monolith, of the service.
pub(super) async fn of_streams(
    followers: &Followers,
    samplers: &[Sampler; 2],
    switch: &Switch,
) -> Vec<String> {
    let limits = LagLimits::of(switch);
    let of = async |direction: Direction| {
        let Some(status) = followers.status(direction) else {
            return Some(format!(
                "the {} stream is not followed yet",
                direction.as_str()
            ));
        };
        let source = &samplers[usize::from(direction.source() == Side::Service)];
        let patience = keeping_up::PATIENCE;
        let found = keeping_up::stream_blocker(direction, status, source, limits, patience).await;
        found.map(|blocker| blocker.to_string())
    };
    let (forward, reverse) = tokio::join!(of(Direction::Forward), of(Direction::Reverse));
    forward.into_iter().chain(reverse).collect()
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
