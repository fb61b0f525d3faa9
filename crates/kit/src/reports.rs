//! Tells the analytics service what this one answered and what it takes of its
//! machine, where `ANALYTICS_URL` says where that is.
//!
//! Each batch is told until it is taken, under one idempotency key, so that it
//! counts once; while analytics is away, what no longer fits is lost and
//! counted. No request waits for it.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::batches::{self, BatchCounters, Batches, Queue};
use crate::client::{Client, jittered};
use crate::metrics::{OTHER, Usage, method_label};
use crate::settings::Address;
use crate::{Identity, Kit};

/// Answers that may wait: half a minute of some hundred per second.
const WAITING_MAX: usize = 10_000;

/// What analytics takes at once is five times this.
const BATCH_MAX: usize = 1000;

/// Analytics counts a minute without a sample as one that costs nothing.
const SAMPLE_EVERY: Duration = Duration::from_secs(20);

/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Where analytics takes them.
const PATH: &str = "/analytics/metrics";

/// The kit's own pages: asked by machines, they would hide what people ask for.
const OWN_PAGES: [&str; 5] = [
    "/health",
    "/health/ready",
    "/health/live",
    "/metrics",
    "/openapi.json",
];

/// The name of what no declared route has answered.
const NO_ENDPOINT: &str = "/(other)";

/// One answer, as analytics takes it.
#[derive(Debug, Serialize)]
pub(crate) struct RequestReport {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    service: &'static str,
    endpoint: String,
    method: &'static str,
    status: u16,
    /// In milliseconds.
    response_time: f64,
}

/// What one instance uses, as analytics takes it.
#[derive(Debug, Serialize)]
struct Resources {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    service: &'static str,
    instance: String,
    cpu_cores: f64,
    memory_bytes: i64,
}

#[derive(Debug, Serialize)]
struct Content<'a> {
    requests: &'a [RequestReport],
    resources: &'a [Resources],
}

/// Where requests put what they answered.
#[derive(Debug)]
pub(crate) struct Reports {
    service: &'static str,
    queue: Queue<RequestReport>,
}

/// What the task does.
#[derive(Debug)]
pub(crate) struct ReportTask {
    analytics: Client,
    batches: Batches<RequestReport>,
    counters: BatchCounters,
    sampler: Sampler,
}

/// Both ends, where there is an analytics service.
pub(crate) fn channel(kit: &Kit, address: &Address) -> Option<(Reports, ReportTask)> {
    let analytics = kit.analytics()?;
    let (queue, batches, counters) = batches::queue(
        (WAITING_MAX, BATCH_MAX),
        &kit.metrics,
        (
            "analytics_reports",
            "Answers told to analytics, by what became of that",
        ),
    );
    let reports = Reports {
        service: kit.identity.name,
        queue,
    };
    let url = kit.settings.public_url.as_ref();
    let reporting = ReportTask {
        analytics,
        batches,
        counters,
        sampler: Sampler {
            identity: kit.identity,
            instance: url.map_or_else(|| address.to_string(), |url| url.as_str().to_owned()),
            before: None,
        },
    };
    Some((reports, reporting))
}

impl Reports {
    /// Has an answer told, unless it is one of the kit's own pages.
    pub(crate) fn answered(&self, method: &Method, route: &str, code: StatusCode, time: Duration) {
        if OWN_PAGES.contains(&route) {
            return;
        }
        let method = match method_label(method) {
            OTHER => "OTHER",
            known => known,
        };
        let endpoint = if route == OTHER { NO_ENDPOINT } else { route };
        self.queue.add(RequestReport {
            at: OffsetDateTime::now_utc(),
            service: self.service,
            endpoint: endpoint.to_owned(),
            method,
            status: code.as_u16(),
            response_time: time.as_secs_f64() * 1e3,
        });
    }
}

impl ReportTask {
    /// Tells until it is told that no more comes, and then the rest.
    pub(crate) async fn run(mut self, ended: CancellationToken) {
        let mut sampling = interval(SAMPLE_EVERY);
        sampling.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                batch = self.batches.next(&ended) => {
                    self.deliver(&batch.items, &[], &ended).await;
                    if batch.is_last {
                        return;
                    }
                }
                _ = sampling.tick() => {
                    let sample = self.sampler.sample();
                    self.deliver(&[], sample.as_slice(), &ended).await;
                }
            }
        }
    }

    async fn deliver(
        &self,
        requests: &[RequestReport],
        resources: &[Resources],
        ended: &CancellationToken,
    ) {
        if requests.is_empty() && resources.is_empty() {
            return;
        }
        let content = Content {
            requests,
            resources,
        };
        let count = u64::try_from(requests.len()).unwrap_or(u64::MAX);
        let key = Uuid::new_v4().to_string();
        let mut failures = 0_u32;
        loop {
            let verdict = self.tell(&content, &key).await;
            match verdict {
                Ok(()) => {
                    if failures > 0 {
                        info!("analytics is back");
                    }
                    self.counters.sent.inc_by(count);
                    return;
                }
                Err(ReportError::Refused(status)) => {
                    warn!(%status, "analytics refuses what it is told, which is lost; check ANALYTICS_SERVICE_API_KEY");
                    self.counters.lost.inc_by(count);
                    return;
                }
                Err(ReportError::Away(error)) => {
                    if failures == 0 {
                        warn!(error, "analytics cannot be told; it is tried again");
                    }
                    failures = failures.saturating_add(1);
                }
            }
            tokio::select! {
                () = sleep(jittered(failures).min(PAUSE_MAX)) => {}
                () = ended.cancelled() => {
                    self.counters.lost.inc_by(count);
                    return;
                }
            }
        }
    }

    async fn tell(&self, content: &Content<'_>, key: &str) -> Result<(), ReportError> {
        let request = self.analytics.post(PATH).idempotency_key(key).json(content);
        let answer = request
            .send()
            .await
            .map_err(|error| ReportError::Away(error.to_string()))?;
        match answer.status {
            status if status.is_success() => Ok(()),
            // The key is in use, or it is asked too much: another time.
            status @ (StatusCode::CONFLICT
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS) => Err(ReportError::Away(status.to_string())),
            status if status.is_client_error() => Err(ReportError::Refused(status)),
            status => Err(ReportError::Away(status.to_string())),
        }
    }
}

/// Why analytics does not know something.
#[derive(Debug)]
enum ReportError {
    /// It may take it later.
    Away(String),
    /// It will not.
    Refused(StatusCode),
}

/// Looks at what the process takes of its machine.
#[derive(Debug)]
struct Sampler {
    identity: Identity,
    instance: String,
    before: Option<(Instant, f64)>,
}

impl Sampler {
    /// What it took since the last time; nothing the first time.
    fn sample(&mut self) -> Option<Resources> {
        let usage = Usage::now()?;
        let now = Instant::now();
        let (then, cpu_then) = self.before.replace((now, usage.cpu_seconds))?;
        let elapsed = now.duration_since(then).as_secs_f64();
        (elapsed > 0.0).then(|| Resources {
            at: OffsetDateTime::now_utc(),
            service: self.identity.name,
            instance: self.instance.clone(),
            cpu_cores: (usage.cpu_seconds - cpu_then).max(0.0) / elapsed,
            memory_bytes: usage.resident_bytes,
        })
    }
}
