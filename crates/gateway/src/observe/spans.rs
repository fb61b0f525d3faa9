//! Spans for a tracing system, over OTLP.
//!
//! One thread sends what the workers put into a bounded queue; what does not
//! fit, or cannot be sent in a few tries, is lost and counted. Requests never
//! wait for it.

use super::{delivery::DeliveryCounts, trace_context::TraceContext};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_otlp::Protocol;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks},
};
use plan::Tracing;
use std::{
    net::IpAddr,
    thread,
    time::{Duration, SystemTime},
};
use tokio::sync::{mpsc, oneshot};

/// Spans that may wait: some seconds of a receiver that does not answer.
const QUEUE_MAX: usize = 4096;

/// Spans sent at once, and how long the first of them waits for others.
const BATCH_MAX: usize = 512;
const BATCH_WAIT: Duration = Duration::from_secs(1);

/// How long a receiver may take, tries and pauses included.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of a gateway waits for the last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The gateway's part of a request.
pub(crate) struct Span {
    pub(crate) own: TraceContext,
    pub(crate) parent: Option<TraceContext>,
    pub(crate) begun: SystemTime,
    pub(crate) ended: SystemTime,
    pub(crate) method: &'static str,
    pub(crate) host: Option<String>,
    pub(crate) path: String,
    pub(crate) client: IpAddr,
    pub(crate) correlation: String,
    pub(crate) route: Option<String>,
    pub(crate) side: Option<&'static str>,
    pub(crate) upstream: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<&'static str>,
}

enum Message {
    Span(Box<Span>),
    /// Say when all before it has left.
    Flush(oneshot::Sender<()>),
}

/// The way to the thread that sends.
#[derive(Clone)]
pub(crate) struct Exporter {
    queue: mpsc::Sender<Message>,
    fate: DeliveryCounts,
}

impl Exporter {
    /// Starts the thread, which ends with the last exporter. The error is for
    /// people.
    pub(crate) fn start(tracing: &Tracing, fate: &DeliveryCounts) -> Result<Self, String> {
        let mut otlp = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(tracing.endpoint.as_str())
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?;
        let name = tracing.service_name.clone();
        otlp.set_resource(&Resource::builder().with_service_name(name).build());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let (queue, messages) = mpsc::channel(QUEUE_MAX);
        let counted = fate.clone();
        thread::Builder::new()
            .name("spans".to_owned())
            .spawn(move || runtime.block_on(run(otlp, messages, counted)))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            queue,
            fate: fate.clone(),
        })
    }

    /// Has a span sent, where there is room.
    pub(crate) fn add(&self, span: Span) {
        if self.queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.fate.lost.inc();
        }
    }

    /// Waits until what was added has left, within a bound.
    pub(crate) async fn flush(&self) {
        let flushing = async {
            let (done, flushed) = oneshot::channel();
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                // A thread that has ended sends nothing more.
                let _ = flushed.await;
            }
        };
        if tokio::time::timeout(FLUSH_TIMEOUT, flushing).await.is_err() {
            tracing::warn!("the last spans were not sent in time");
        }
    }
}

async fn run(
    otlp: opentelemetry_otlp::SpanExporter,
    mut messages: mpsc::Receiver<Message>,
    fate: DeliveryCounts,
) {
    let mut works = true;
    let mut taken = Vec::new();
    while messages.recv_many(&mut taken, BATCH_MAX).await > 0 {
        let flushes = |taken: &[Message]| taken.iter().any(|one| matches!(one, Message::Flush(_)));
        let filling = async {
            while taken.len() < BATCH_MAX && !flushes(&taken) {
                let room = BATCH_MAX - taken.len();
                if messages.recv_many(&mut taken, room).await == 0 {
                    return;
                }
            }
        };
        // Late: then it is not a full one.
        let _ = tokio::time::timeout(BATCH_WAIT, filling).await;
        let (mut batch, mut waiting) = (Vec::new(), Vec::new());
        for message in taken.drain(..) {
            match message {
                Message::Span(span) => batch.push(data(*span)),
                Message::Flush(done) => waiting.push(done),
            }
        }
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        if count > 0 {
            let sending = tokio::time::timeout(EXPORT_TIMEOUT, otlp.export(batch));
            let failure = match sending.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            match failure {
                None => {
                    works = true;
                    fate.told.inc_by(count);
                }
                Some(error) => {
                    fate.lost.inc_by(count);
                    if std::mem::take(&mut works) {
                        tracing::warn!(error, "spans cannot be sent and are lost");
                    }
                }
            }
        }
        for done in waiting {
            // Receiver dropped: the flush has timed out.
            let _ = done.send(());
        }
    }
}

/// In OpenTelemetry's words (its semantic conventions for HTTP servers).
fn data(span: Span) -> SpanData {
    let own = span.own;
    let name = match &span.route {
        Some(route) => format!("{} {route}", span.method),
        None => span.method.to_owned(),
    };
    let mut attributes = vec![
        KeyValue::new("http.request.method", span.method),
        KeyValue::new("url.path", span.path),
        KeyValue::new("banyan.correlation_id", span.correlation),
    ];
    let mut add = |key: &'static str, value: Option<String>| {
        attributes.extend(value.map(|value| KeyValue::new(key, value)));
    };
    add("server.address", span.host);
    add("client.address", Some(span.client.to_string()));
    add("http.route", span.route);
    add("banyan.side", span.side.map(str::to_owned));
    add("banyan.upstream", span.upstream);
    add("error.type", span.reason.map(str::to_owned));
    if let Some(status) = span.status {
        attributes.push(KeyValue::new(
            "http.response.status_code",
            i64::from(status),
        ));
    }
    let failed = span.status.is_none_or(|status| status >= 500);
    let flags = TraceFlags::new(own.flags());
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(own.trace),
            SpanId::from(own.span),
            flags,
            false,
            TraceState::default(),
        ),
        parent_span_id: span
            .parent
            .map_or(SpanId::INVALID, |parent| SpanId::from(parent.span)),
        parent_span_is_remote: span.parent.is_some(),
        span_kind: SpanKind::Server,
        name: name.into(),
        start_time: span.begun,
        end_time: span.ended,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: if failed {
            Status::error(span.reason.unwrap_or_default())
        } else {
            Status::Unset
        },
        instrumentation_scope: InstrumentationScope::builder("banyan").build(),
    }
}
