//! Spans of requests, sent to a tracing system (OTLP over HTTP).
//!
//! What does not fit into the queue, or cannot be sent, is lost and counted.

use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Identity;
use crate::batches::{self, BatchCounters, Batches, Queue};
use crate::context::Context;
use crate::metrics::Metrics;
use crate::settings::Origin;

/// Spans that may wait: some seconds of a receiver that does not answer.
const QUEUE_MAX: usize = 4096;

/// Spans sent at once.
const BATCH_MAX: usize = 512;

/// How long a receiver may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where OTLP over HTTP takes traces, below the endpoint.
const PATH: &str = "/v1/traces";

/// The service's part of a request.
pub(crate) struct Span {
    pub(crate) context: Context,
    pub(crate) begun: SystemTime,
    pub(crate) method: Method,
    pub(crate) route: String,
    pub(crate) status: StatusCode,
}

/// The way to the task that sends.
#[derive(Debug)]
pub(crate) struct Spans(Queue<SpanData>);

/// What the task does.
pub(crate) struct ExportTask {
    exporter: opentelemetry_otlp::SpanExporter,
    batches: Batches<SpanData>,
    counters: BatchCounters,
}

/// Both ends.
pub(crate) fn channel(
    identity: Identity,
    endpoint: &Origin,
    metrics: &Metrics,
) -> Result<(Spans, ExportTask), ExporterBuildError> {
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}{PATH}", endpoint.as_str()))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let version = KeyValue::new("service.version", identity.version);
    let resource = Resource::builder().with_service_name(identity.name);
    exporter.set_resource(&resource.with_attribute(version).build());
    let (queue, batches, counters) = batches::queue(
        (QUEUE_MAX, BATCH_MAX),
        metrics,
        ("spans", "Spans by what became of them"),
    );
    let sending = ExportTask {
        exporter,
        batches,
        counters,
    };
    Ok((Spans(queue), sending))
}

impl Spans {
    /// Has a span sent, if its trace is one that is kept and there is room.
    pub(crate) fn add(&self, span: Span) {
        if span.context.trace.is_sampled() {
            self.0.add(data(span));
        }
    }
}

impl ExportTask {
    /// Sends until it is told that nothing more comes, and then the rest.
    pub(crate) async fn run(mut self, ended: CancellationToken) {
        let mut works = true;
        loop {
            let batch = self.batches.next(&ended).await;
            self.export(batch.items, &mut works).await;
            if batch.is_last {
                return;
            }
        }
    }

    async fn export(&self, batch: Vec<SpanData>, works: &mut bool) {
        if batch.is_empty() {
            return;
        }
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let failure = match timeout(EXPORT_TIMEOUT, self.exporter.export(batch)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        match failure {
            None => {
                *works = true;
                self.counters.sent.inc_by(count);
            }
            Some(error) => {
                self.counters.lost.inc_by(count);
                if std::mem::take(works) {
                    tracing::warn!(error, "spans cannot be sent and are lost");
                }
            }
        }
    }
}

/// In OpenTelemetry's words (its semantic conventions for HTTP servers).
fn data(span: Span) -> SpanData {
    let Context {
        correlation,
        trace,
        parent,
    } = span.context;
    let code = span.status.as_u16();
    let attributes = vec![
        KeyValue::new("http.request.method", span.method.to_string()),
        KeyValue::new("http.route", span.route.clone()),
        KeyValue::new("http.response.status_code", i64::from(code)),
        KeyValue::new("banyan.correlation_id", correlation.to_string()),
    ];
    SpanData {
        span_context: SpanContext::new(
            trace.trace_id(),
            trace.span_id(),
            trace.trace_flags(),
            false,
            trace.trace_state().clone(),
        ),
        parent_span_id: parent,
        parent_span_is_remote: parent != SpanId::INVALID,
        span_kind: SpanKind::Server,
        name: format!("{} {}", span.method, span.route).into(),
        start_time: span.begun,
        end_time: SystemTime::now(),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: if span.status.is_server_error() {
            Status::error(code.to_string())
        } else {
            Status::Unset
        },
        instrumentation_scope: InstrumentationScope::builder("kit").build(),
    }
}
