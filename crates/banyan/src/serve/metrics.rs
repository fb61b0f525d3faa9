//! What `/metrics` answers.

use super::{local_gateway::LocalGateway, local_mover::LocalMover};
use conductor::{
    Worker,
    api::{Exposition, Metrics},
    ports::Mover,
};
use gateway::Gateway;
use plan::ExtractionName;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, prometheus_protobuf, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// What a stream can do; see `StreamProgress::state`.
const STATES: [&str; 7] = [
    "applying",
    "stopped",
    "waiting",
    "connecting",
    "retrying",
    "failed",
    "ended",
];

/// Gathers the gateway's metrics and the streams'.
pub(super) fn texts(
    gateway: &Gateway,
    movers: &BTreeMap<ExtractionName, Arc<LocalMover>>,
    local: &Arc<LocalGateway>,
    workers: &BTreeMap<ExtractionName, Worker>,
) -> Metrics {
    let mut registry = Registry::default();
    gateway.metrics(&mut registry);
    registry.register_collector(Box::new(Troubles(workers.clone())));
    registry.register_collector(Box::new(Streams {
        movers: movers.clone(),
    }));
    registry.register_collector(Box::new(Refusals {
        extractions: movers.keys().cloned().collect(),
        local: Arc::clone(local),
    }));
    let registry = Arc::new(registry);
    Arc::new(move |exposition| match exposition {
        Exposition::Text => {
            let mut text = String::new();
            // Writing into a string does not fail.
            let _ = text::encode(&mut text, &registry);
            text.into_bytes()
        }
        Exposition::Protobuf => {
            let encoded = prometheus_protobuf::encode_to_vec(&registry);
            encoded.unwrap_or_else(|error| {
                tracing::error!(%error, "metrics cannot be written");
                Vec::new()
            })
        }
    })
}

/// Whether something goes wrong with each extraction, read when it is asked for.
struct Troubles(BTreeMap<ExtractionName, Worker>);

impl fmt::Debug for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Troubles")
    }
}

impl Collector for Troubles {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut troubles = encoder.encode_descriptor(
            "banyan_extraction_trouble",
            "Whether the next step cannot be done: 1 while `banyan status` says why",
            None,
            MetricType::Gauge,
        )?;
        for (name, worker) in &self.0 {
            let labels = [("extraction", name.as_str())];
            let is_in_trouble = i64::from(worker.status().trouble.is_some());
            ConstGauge::new(is_in_trouble).encode(troubles.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The lag of each stream, read when it is asked for.
struct Streams {
    movers: BTreeMap<ExtractionName, Arc<LocalMover>>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

impl Collector for Streams {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut rows = Vec::new();
        for (name, mover) in &self.movers {
            let progress = mover.progress();
            for (direction, stream) in
                [("forward", progress.forward), ("reverse", progress.reverse)]
            {
                let Some(stream) = stream else { continue };
                rows.push((name.to_string(), direction, stream));
            }
        }
        let mut delay = encoder.encode_descriptor(
            "data_sync_delay_seconds",
            "Age of the oldest change that the other side has not applied",
            None,
            MetricType::Gauge,
        )?;
        for (name, direction, stream) in &rows {
            let labels = [("extraction", name.as_str()), ("direction", direction)];
            ConstGauge::new(stream.lag_seconds).encode(delay.encode_family(&labels)?)?;
        }
        let mut lag = encoder.encode_descriptor(
            "banyan_stream_lag_bytes",
            "Bytes of log that the other side has not applied",
            None,
            MetricType::Gauge,
        )?;
        for (name, direction, stream) in &rows {
            let labels = [("extraction", name.as_str()), ("direction", direction)];
            let bytes = i64::try_from(stream.lag_bytes).unwrap_or(i64::MAX);
            ConstGauge::new(bytes).encode(lag.encode_family(&labels)?)?;
        }
        let mut retained = encoder.encode_descriptor(
            "banyan_slot_retained_bytes",
            "Bytes of log that the source keeps for the stream's slot",
            None,
            MetricType::Gauge,
        )?;
        for (name, direction, stream) in &rows {
            let Some(bytes) = stream.retained_bytes else {
                continue;
            };
            let labels = [("extraction", name.as_str()), ("direction", direction)];
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            ConstGauge::new(bytes).encode(retained.encode_family(&labels)?)?;
        }
        let mut state = encoder.encode_descriptor(
            "banyan_stream_state",
            "What the stream does: 1 for that, 0 for everything else",
            None,
            MetricType::Gauge,
        )?;
        for (name, direction, stream) in &rows {
            for word in STATES {
                let labels = [
                    ("extraction", name.as_str()),
                    ("direction", direction),
                    ("state", word),
                ];
                let is_it = i64::from(stream.state == word);
                ConstGauge::new(is_it).encode(state.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// What the fences refuse, read when it is asked for.
struct Refusals {
    extractions: Vec<ExtractionName>,
    local: Arc<LocalGateway>,
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusals")
    }
}

/// The label of what no route matches: labels come from the plan.
const OTHER: &str = "other";

impl Collector for Refusals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut statements = BTreeMap::new();
        let mut answers: BTreeMap<_, u64> = BTreeMap::new();
        for name in &self.extractions {
            for refused in self.local.refusals(name) {
                for failed in refused.failed {
                    let route = if failed.has_route {
                        failed.path
                    } else {
                        OTHER.to_owned()
                    };
                    let labels = (name.as_str(), refused.side.clone(), failed.method, route);
                    *answers.entry(labels).or_default() += failed.answers;
                }
                statements.insert((name.as_str(), refused.side), refused.statements);
            }
        }
        let mut counted = encoder.encode_descriptor(
            "banyan_fence_refusals",
            "Statements that the side's fence has refused since it was put up",
            None,
            MetricType::Counter,
        )?;
        for ((extraction, side), count) in statements {
            let labels = [("extraction", extraction), ("side", side.as_str())];
            ConstCounter::new(count).encode(counted.encode_family(&labels)?)?;
        }
        let mut counted = encoder.encode_descriptor(
            "banyan_fence_failed_answers",
            "Answers with 5xx of the side within seconds of a refusal by its fence",
            None,
            MetricType::Counter,
        )?;
        for ((extraction, side, method, route), count) in answers {
            let labels = [
                ("extraction", extraction),
                ("side", side.as_str()),
                ("method", method.as_str()),
                ("route", route.as_str()),
            ];
            ConstCounter::new(count).encode(counted.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
