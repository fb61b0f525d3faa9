//! The load test of seed 000 (k6): 100 visitors, each asks for `/health`, then
//! rests a second, and again.

use crate::http_client::{Call, Connection};
use anyhow::{Result, bail};
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// k6's own limit is longer; no answer takes so long.
const LIMIT: Duration = Duration::from_secs(10);

/// How the visitors behave.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many there are (`vus`).
    pub visitors: u32,
    /// How long they come (`duration`).
    pub lasting: Duration,
    /// How long each rests (`sleep(1)`).
    pub rest: Duration,
}

impl Settings {
    /// The seed's, for another time than its five minutes.
    pub fn seed(lasting: Duration) -> Self {
        Self {
            visitors: 100,
            lasting,
            rest: Duration::from_secs(1),
        }
    }
}

/// What they saw.
#[derive(Debug, Clone, Serialize)]
pub struct Load {
    /// Visitors at once.
    pub visitors: u32,
    /// How long they came.
    pub seconds: f64,
    /// How often they asked.
    pub requests: usize,
    /// How often the answer was not 200, or there was none.
    pub failed: usize,
    /// The first failure, in words.
    pub first_failure: Option<String>,
    /// Median time to a whole answer.
    pub p50_ms: f64,
    /// 19 of 20 were faster.
    pub p95_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl Load {
    /// The share that failed, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn failed_share(&self) -> f64 {
        self.failed as f64 / self.requests.max(1) as f64
    }
}

#[derive(Debug, Default)]
struct CallCounts {
    milliseconds: Vec<f64>,
    failed: usize,
    first_failure: Option<String>,
}

/// Lets them come.
pub async fn run(gateway: &str, key: &str, settings: &Settings) -> Result<Load> {
    let began = Instant::now();
    let end = began + settings.lasting;
    let mut visitors = JoinSet::new();
    for _ in 0..settings.visitors {
        let connection = Connection::new(gateway)?.header("x-api-key", key);
        visitors.spawn(visit(connection, end, settings.rest));
    }
    let mut all = CallCounts::default();
    while let Some(seen) = visitors.join_next().await {
        let seen = seen?;
        all.milliseconds.extend(seen.milliseconds);
        all.failed += seen.failed;
        all.first_failure = all.first_failure.or(seen.first_failure);
    }
    let mut times = all.milliseconds;
    if times.is_empty() {
        bail!("nobody asked for anything");
    }
    times.sort_by(f64::total_cmp);
    // Nearest rank.
    let percentile = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
    Ok(Load {
        visitors: settings.visitors,
        seconds: began.elapsed().as_secs_f64(),
        requests: times.len(),
        failed: all.failed,
        first_failure: all.first_failure,
        p50_ms: percentile(50),
        p95_ms: percentile(95),
        p99_ms: percentile(99),
        max_ms: percentile(100),
    })
}

async fn visit(mut connection: Connection, end: Instant, rest: Duration) -> CallCounts {
    let mut seen = CallCounts::default();
    while Instant::now() < end {
        let asked = Instant::now();
        let answer = connection.send(&Call::get("/health"), LIMIT).await;
        seen.milliseconds
            .push(asked.elapsed().as_secs_f64() * 1000.0);
        let failure = match answer {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => Some(format!("{}: {}", answer.status, answer.body_head())),
            Err(error) => Some(error.to_string()),
        };
        seen.failed += usize::from(failure.is_some());
        seen.first_failure = seen.first_failure.or(failure);
        tokio::time::sleep(rest).await;
    }
    seen
}
