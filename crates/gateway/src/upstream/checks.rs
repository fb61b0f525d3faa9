//! Active health checks and look-ups of names: one task per instance, all on
//! the first worker, whose results every worker sees. They end with its part of
//! the upstream.

use super::{probe::Probe, upstreams::Upstream};
use crate::base::random::Random;
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// The most checks at once: they must not weigh on the requests beside them.
const CHECKS_MAX: usize = 16;

/// Whose turn it is to be checked, over all upstreams.
#[derive(Clone)]
pub(crate) struct CheckSemaphore(Rc<Semaphore>);

impl CheckSemaphore {
    pub(crate) fn new() -> Self {
        Self(Rc::new(Semaphore::new(CHECKS_MAX)))
    }
}

/// Begins with an upstream; ends when it is dropped.
pub(crate) fn start(upstream: &Arc<Upstream>, checks_semaphore: &CheckSemaphore) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for place in 0..upstream.instances.len() {
        if upstream.instances[place].addresses.is_name() {
            tasks.spawn_local(look_up(Arc::clone(upstream), place));
        }
        if upstream.health.is_some() {
            tasks.spawn_local(check(Arc::clone(upstream), place, checks_semaphore.clone()));
        }
    }
    tasks
}

async fn look_up(upstream: Arc<Upstream>, place: usize) {
    let instance = &upstream.instances[place];
    let random = Random::new();
    loop {
        instance.addresses.refresh().await;
        tokio::time::sleep(jittered(upstream.resolve_every(), &random)).await;
    }
}

async fn check(upstream: Arc<Upstream>, place: usize, checks_semaphore: CheckSemaphore) {
    let instance = &upstream.instances[place];
    let Some(checks) = &upstream.health else {
        return;
    };
    let (probe, random) = (Probe::planned(checks), Random::new());
    loop {
        let result = {
            // It is never closed.
            let _permit = checks_semaphore.0.acquire().await;
            probe.ask(&instance.addresses, upstream.protocol).await
        };
        if let Err(error) = &result {
            tracing::debug!(upstream = %upstream.name, instance = %instance.url, %error,
                "health check failed");
        }
        let told = |error| format!("{} {error}", probe.asked(&instance.url));
        instance.checked(result.map_err(told), checks);
        tokio::time::sleep(jittered(checks.interval, &random)).await;
    }
}

/// A tenth more or less, so that gateways do not ask all at the same time.
fn jittered(interval: Duration, random: &Random) -> Duration {
    let share = 90 + u32::try_from(random.next() % 21).unwrap_or(10);
    interval * share / 100
}
