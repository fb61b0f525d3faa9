//! Points of lines over time, in memory: an hour at most, as the status had them.

use crate::api::Api;
use conductor::{
    now_ms,
    ports::StreamProgress,
    status::{ExtractionStatus, Status},
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How often the status is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The most points of an extraction.
const POINTS_MAX: usize = 1_800;

/// The most extractions: those of the plan, with room for what reloads bring.
const EXTRACTIONS_MAX: usize = 200;

/// How an extraction stood.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Point {
    /// In milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// Of the readers, at the service.
    pub(crate) reads_percent: f64,
    /// Age of the oldest change not applied, of the worse stream.
    pub(crate) lag_seconds: Option<f64>,
    pub(crate) lag_bytes: Option<u64>,
}

/// All points, by extraction.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<BTreeMap<String, VecDeque<Point>>>);

impl History {
    /// Those of an extraction, in order.
    pub(crate) fn of(&self, extraction: &str) -> Vec<Point> {
        let points = self.0.lock();
        let points = points.get(extraction);
        points.map_or_else(Vec::new, |points| points.iter().cloned().collect())
    }

    fn add(&self, at_ms: i64, status: &Status) {
        let mut all = self.0.lock();
        for one in &status.extractions {
            if !all.contains_key(&one.name) && all.len() == EXTRACTIONS_MAX {
                continue;
            }
            let points = all.entry(one.name.clone()).or_default();
            if points.len() == POINTS_MAX {
                points.pop_front();
            }
            points.push_back(point(at_ms, one));
        }
    }
}

fn point(at_ms: i64, one: &ExtractionStatus) -> Point {
    let streams = [&one.progress.forward, &one.progress.reverse];
    let streams = streams.into_iter().flatten();
    let lags = streams.clone().filter_map(known_lag);
    Point {
        at_ms,
        reads_percent: one.reads_percent,
        lag_seconds: lags.reduce(f64::max),
        lag_bytes: streams.map(|stream| stream.lag_bytes).max(),
    }
}

/// The age of the oldest change not applied, where that is known: one that waits for its turn
/// applies none, and before the first was dealt with it is the age of what was read to begin.
fn known_lag(stream: &StreamProgress) -> Option<f64> {
    let is_known = match stream.state.as_str() {
        "waiting" | "connecting" => false,
        "applying" => stream.transactions > 0 || stream.lag_bytes == 0,
        _ => true,
    };
    is_known.then_some(stream.lag_seconds)
}

/// Looks at the status until it is stopped.
pub(crate) async fn run(api: Api, token: Arc<str>, history: Arc<History>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        match api.get(&token, "/v1/status").await {
            Ok(status) => history.add(now_ms(), &status),
            Err(error) => tracing::debug!(error = %error.reply.error, "status not read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_that_is_not_known_is_no_number() {
        let stream = |state: &str, transactions, lag_bytes| StreamProgress {
            state: state.to_owned(),
            lag_seconds: 85_000.0,
            transactions,
            lag_bytes,
            ..StreamProgress::default()
        };
        for (stream, is_known) in [
            (stream("connecting", 0, 0), false),
            (stream("waiting", 9, 9), false),
            (stream("applying", 0, 9), false),
            (stream("applying", 1, 9), true),
            (stream("applying", 0, 0), true),
            // How long ago all was applied: what fails must not look well.
            (stream("retrying", 0, 9), true),
        ] {
            assert_eq!(known_lag(&stream).is_some(), is_known, "{stream:?}");
        }
    }

    #[test]
    fn points_are_bounded() {
        let history = History::default();
        let status = Status {
            extractions: vec![ExtractionStatus {
                name: "contracts".to_owned(),
                ..ExtractionStatus::default()
            }],
            ..Status::default()
        };
        for at_ms in 0..=1_800 {
            history.add(at_ms, &status);
        }
        let points = history.of("contracts");
        assert_eq!(points.len(), POINTS_MAX);
        assert_eq!(points[0].at_ms, 1);
        assert!(history.of("another").is_empty());
    }
}
