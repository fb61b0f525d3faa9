//! What is told about each request, beside the metrics: a line in the access
//! log, and a span in its trace.
//!
//! Neither is there unless the plan asks; then `Observed::begin` is a branch.
//! What is told is taken from the head as it came, before anything in it is
//! changed, and sent off when the answer has ended, or when the request is
//! dropped because its client has gone. No value of a header is
//! part of it but the host, the correlation id and the trace's.

pub(crate) mod access_log;
pub(crate) mod connection_gauge;
pub(crate) mod delivery;
pub(crate) mod histogram;
pub(crate) mod labels;
pub(crate) mod metrics;
pub(crate) mod native_histogram;
pub(crate) mod redaction;
pub(crate) mod spans;
pub(crate) mod trace_context;

use crate::{StartError, base::random::Random};
use access_log::{Sink, Writer};
use connection_gauge::{ConnectionGauge, Tally};
use delivery::DeliveryCounts;
use plan::{LogTarget, Percent, Plan};
use prometheus_client::registry::Registry;
use spans::Exporter;
use std::sync::Arc;

/// What all workers share.
pub(crate) struct Observatory {
    pub(crate) crowd: ConnectionGauge,
    log: Option<Writer>,
    lines: DeliveryCounts,
    tracing: Option<(Exporter, Percent)>,
    spans: DeliveryCounts,
}

impl Observatory {
    pub(crate) fn new(plan: &Plan) -> Result<Self, StartError> {
        let observe = &plan.gateway.observe;
        let (lines, spans) = (DeliveryCounts::default(), DeliveryCounts::default());
        let log = observe.access_log.as_ref().map(|log| {
            Writer::start(&log.to, &lines).map_err(|source| StartError::AccessLog {
                path: match &log.to {
                    LogTarget::Stdout => "stdout".into(),
                    LogTarget::File(path) => path.clone(),
                },
                source,
            })
        });
        let tracing = observe.tracing.as_ref().map(|tracing| {
            Exporter::start(tracing, &spans)
                .map(|exporter| (exporter, tracing.sample))
                .map_err(|why| StartError::Tracing { why })
        });
        Ok(Self {
            crowd: ConnectionGauge::default(),
            log: log.transpose()?,
            lines,
            tracing: tracing.transpose()?,
            spans,
        })
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.crowd.clone()));
        if self.log.is_some() {
            let help = "Lines of the access log; lost are those that could not be written in time";
            self.lines
                .register(registry, "banyan_access_log_lines", help);
        }
        if self.tracing.is_some() {
            let help = "Spans that were sampled; lost are those that could not be sent in time";
            self.spans.register(registry, "banyan_spans", help);
        }
    }

    /// Waits, within bounds, until what was told has left the process.
    pub(crate) async fn flush(&self) {
        if let Some(writer) = &self.log {
            writer.flush().await;
        }
        if let Some((exporter, _)) = &self.tracing {
            exporter.flush().await;
        }
    }
}

/// One worker's part.
pub(crate) struct Observer {
    pub(crate) tally: Arc<Tally>,
    pub(crate) sink: Option<Sink>,
    pub(crate) tracing: Option<(Exporter, Percent)>,
    pub(crate) random: Random,
}

impl Observer {
    pub(crate) fn new(observatory: &Observatory) -> Self {
        Self {
            tally: observatory.crowd.join(),
            sink: observatory.log.as_ref().map(Sink::new),
            tracing: observatory.tracing.clone(),
            random: Random::new(),
        }
    }

    /// Hands on what was gathered.
    pub(crate) fn flush(&self) {
        if let Some(sink) = &self.sink {
            sink.flush();
        }
    }
}
