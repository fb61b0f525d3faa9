//! What an operator is shown of the upstreams.

use super::{
    breaker::BreakerState,
    upstreams::{Upstream, Upstreams},
};
use std::time::Duration;

/// What the gateway thinks of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamReport {
    /// `monolith`, or the service's name.
    pub name: String,
    /// The state of its breaker; `None`: it has none.
    pub breaker: Option<BreakerState>,
    /// Its instances, as the plan lists them.
    pub instances: Vec<InstanceReport>,
}

/// What the gateway thinks of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReport {
    /// `http://host:port`.
    pub url: String,
    /// What its health checks say; `true` where there are none.
    pub healthy: bool,
    /// Whether it is left alone for a while because requests failed.
    pub ejected: bool,
    /// Whether the last request to it failed.
    pub failing: bool,
    /// Requests that it has not answered in full.
    pub in_flight: u32,
    /// The last health check.
    pub last_check: Option<CheckReport>,
    /// For how long it has been as healthy as it is; `None` where no check has said.
    pub since: Option<Duration>,
    /// What was wrong when a check failed last; none while it is well.
    pub problem: Option<String>,
}

/// A health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckReport {
    /// How long ago it ended.
    pub ago: Duration,
    /// Whether it passed.
    pub passed: bool,
}

impl UpstreamReport {
    /// Whether requests can be expected to be answered.
    pub fn is_up(&self) -> bool {
        let up = |instance: &InstanceReport| instance.healthy && !instance.ejected;
        self.breaker != Some(BreakerState::Open) && self.instances.iter().any(up)
    }
}

impl Upstreams {
    pub(crate) fn report(&self) -> Vec<UpstreamReport> {
        self.all()
            .iter()
            .map(|upstream| upstream.report())
            .collect()
    }
}

impl Upstream {
    fn report(&self) -> UpstreamReport {
        let instance = |(at, instance): (usize, &super::instance::Instance)| {
            let checked = instance.last_checked();
            InstanceReport {
                url: instance.url.to_string(),
                healthy: instance.is_healthy(),
                ejected: instance.is_ejected(),
                failing: instance.is_failing(),
                in_flight: self.sum(|loads| loads.in_flight(at)),
                last_check: checked.last.map(|check| CheckReport {
                    ago: check.at.elapsed(),
                    passed: check.passed,
                }),
                since: checked.since.map(|since| since.elapsed()),
                problem: checked.problem,
            }
        };
        UpstreamReport {
            name: self.name.clone(),
            breaker: self.breaker_state(),
            instances: self.instances.iter().enumerate().map(instance).collect(),
        }
    }
}
