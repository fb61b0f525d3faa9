//! What stands in the way of a hand-over beside what the databases say:
//! streams that lag, undeclared writers, a service that is not healthy.

use super::followers::Followers;
use mover::{Mover, readiness};
use plan::{HostAddresses, Upstream};
use protocol::stream::Direction;

/// Streams that are not followed, or too far behind.
pub(super) fn of_streams(mover: &Mover, followers: &Followers) -> Vec<String> {
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

/// Writers that the plan does not declare.
pub(super) fn of_writers(mover: &Mover, followers: &Followers) -> Vec<String> {
    let declared = &mover.extraction().data.writers;
    readiness::undeclared(&followers.writers(), declared)
        .map(|blocker| blocker.to_string())
        .collect()
}

/// The service must say that it can work before it is given the writes.
pub(super) async fn of_health(service: &Upstream, resolve: &HostAddresses) -> Option<String> {
    let path = service.health.as_ref()?.path.as_str();
    let checked = gateway::check_health(service, resolve).await;
    let problem = checked.err()?;
    let url = &service.url;
    Some(format!(
        "the service at {url}: {path} {problem}. See to the service first"
    ))
}
