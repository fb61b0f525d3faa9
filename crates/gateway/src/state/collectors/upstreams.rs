//! The upstreams' metrics, read when they are asked for: requests pay nothing
//! for them. Label values come from the plan.

use crate::{
    state::config::Config,
    upstream::{breaker::BreakerState, upstreams::Upstreams},
};
use arc_swap::ArcSwap;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A metric's labels and value.
type Row<'a, const N: usize> = ([(&'static str, &'a str); N], u64);

/// Of the upstreams in use when it is asked.
struct UpstreamMetrics(Arc<ArcSwap<Config>>);

impl fmt::Debug for UpstreamMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamMetrics")
    }
}

/// Registers the metrics.
pub(crate) fn register(current: &Arc<ArcSwap<Config>>, registry: &mut Registry) {
    registry.register_collector(Box::new(UpstreamMetrics(Arc::clone(current))));
}

fn gauges<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    rows: impl Iterator<Item = Row<'a, N>>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counters<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    rows: impl Iterator<Item = Row<'a, N>>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in rows {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Collector for UpstreamMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let config = self.0.load();
        states(&config.upstreams, &mut encoder)?;
        events(&config.upstreams, &mut encoder)
    }
}

/// What is so now.
fn states(upstreams: &Upstreams, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let reports = upstreams.report();
    let breaker = reports.iter().filter_map(|upstream| {
        let state = match upstream.breaker? {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        Some(([("upstream", upstream.name.as_str())], state))
    });
    let help = "State of an upstream's breaker: 0 closed, 1 half-open, 2 open";
    gauges(encoder, ("banyan_breaker_state", help), breaker)?;
    let urls = || {
        let urls = reports.iter().map(|upstream| {
            upstream
                .instances
                .iter()
                .map(move |instance| (upstream.name.as_str(), instance))
        });
        urls.flatten()
    };
    let healthy = urls().map(|(name, instance)| {
        let healthy = instance.healthy && !instance.ejected;
        (
            [("upstream", name), ("instance", instance.url.as_str())],
            healthy.into(),
        )
    });
    let help = "Whether an instance is healthy and not ejected";
    gauges(encoder, ("banyan_upstream_healthy", help), healthy)?;
    let in_flight = reports.iter().map(|upstream| {
        let in_flight = upstream
            .instances
            .iter()
            .map(|one| u64::from(one.in_flight));
        ([("upstream", upstream.name.as_str())], in_flight.sum())
    });
    let help = "Requests that an upstream has not answered in full";
    gauges(encoder, ("banyan_upstream_inflight", help), in_flight)?;
    let idle = upstreams.all().iter().map(|upstream| {
        let places = 0..upstream.instances.len();
        let idle = places.map(|at| u64::from(upstream.sum(|loads| loads.idle(at))));
        ([("upstream", upstream.name.as_str())], idle.sum())
    });
    gauges(
        encoder,
        ("banyan_pool_idle", "Idle connections to an upstream"),
        idle,
    )
}

/// What has happened so far.
fn events(upstreams: &Upstreams, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let retries = upstreams.all().iter().flat_map(|upstream| {
        let row = |outcome, value| {
            (
                [("upstream", upstream.name.as_str()), ("outcome", outcome)],
                value,
            )
        };
        let counts = &upstream.counts;
        [
            row("sent", read(&counts.retries)),
            row("no-budget", read(&counts.retries_refused)),
        ]
    });
    let help = "Requests that were to be sent once more to the same side";
    counters(encoder, ("banyan_retries", help), retries)?;
    let ejections = upstreams.all().iter().map(|upstream| {
        let times = upstream.instances.iter().map(|one| read(&one.ejections));
        ([("upstream", upstream.name.as_str())], times.sum())
    });
    let help = "Times that an instance was left alone because requests failed";
    counters(encoder, ("banyan_ejections", help), ejections)?;
    let cut = upstreams.all().iter().flat_map(|upstream| {
        let row = |reason, value| {
            (
                [("upstream", upstream.name.as_str()), ("reason", reason)],
                value,
            )
        };
        let counts = &upstream.counts;
        [
            row("idle", read(&counts.cut_idle)),
            row("whole", read(&counts.cut_whole)),
            row("broken", read(&counts.cut_broken)),
        ]
    });
    let help = "Answers that were cut off after their head";
    counters(encoder, ("banyan_answers_cut", help), cut)?;
    let degraded = upstreams.all().iter().filter_map(|upstream| {
        let served = read(&upstream.cache.as_ref()?.served);
        Some(([("upstream", upstream.name.as_str())], served))
    });
    let help = "Kept answers that were served because nobody could answer";
    counters(encoder, ("banyan_degraded", help), degraded)
}
