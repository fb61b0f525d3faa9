//! What is asked before a hand-over, and in which order.

use super::{LocalMover, blockers, errors::work_error};
use conductor::ports::{Wanted, WorkError};
use futures_util::FutureExt;
use mover::readiness::Blocker;
use protocol::{Side, stream::Direction};
use std::time::Duration;

impl LocalMover {
    /// All reasons against a hand-over that are known at once; only where there are
    /// none, what has to be waited for.
    pub(super) async fn in_the_way(
        &self,
        from: Side,
        wanted: Wanted,
    ) -> Result<Vec<String>, WorkError> {
        let (name, planned, looks) = (&self.mover.extraction().name, self.planned(), &self.looks);
        let health = |patience| {
            blockers::of_health(&self.current, name, from.other(), wanted, patience, looks)
        };
        let (seen, databases, unhealthy) = tokio::join!(
            looks.during("what was seen of writers", self.mover.seen()),
            looks.during(
                "the tables on both sides",
                self.mover.blockers_at_once(from)
            ),
            health(Duration::ZERO),
        );
        let seen = seen.map_err(work_error)?;
        self.followers.know(seen.clone());
        let mut found = blockers::of_seen(&seen, name, from, &planned);
        found.extend(texts(&self.told(databases).await?));
        found.extend(blockers::of_failed_streams(&self.followers));
        if !found.is_empty() {
            found.extend(unhealthy);
            return Ok(found);
        }
        let mut waits = vec![
            async {
                let found = looks
                    .during("rows and transactions", self.mover.blockers_in_time(from))
                    .await;
                self.told(found).await.map(|found| texts(&found))
            }
            .boxed(),
        ];
        for direction in Direction::BOTH {
            let (followers, samplers, switch) = (&self.followers, &self.samplers, &planned.switch);
            let lag = blockers::of_stream(direction, followers, samplers, switch, looks);
            waits.push(lag.map(Ok).boxed());
        }
        if !unhealthy.is_empty() {
            waits.push(health(blockers::health_wait()).map(Ok).boxed());
        }
        if from == Side::Monolith {
            let writers = blockers::of_writers(&self.mover, seen, &planned, looks);
            let known = async {
                let (seen, found) = writers.await.map_err(work_error)?;
                self.followers.know(seen);
                Ok(found)
            };
            waits.push(known.boxed());
        }
        blockers::together(waits).await
    }
}

fn texts(blockers: &[Blocker]) -> Vec<String> {
    blockers.iter().map(ToString::to_string).collect()
}
