//! What analytics is told, also when it was away.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get as at_get, post as at_post};
use http::{HeaderMap, StatusCode};
use kit::server::Running;
use kit::{ApiKey, Json, Service};
use parking_lot::Mutex;
use serde_json::{Value, json};
use testbed::deadline::until;

use crate::support::{TIMEOUT, get, started, url};

/// What came by each key, and whether it was taken.
type ReceivedBatches = Arc<Mutex<BTreeMap<String, (Value, bool)>>>;

/// Is away for the first batch, when it first comes.
async fn take(
    State(told): State<ReceivedBatches>,
    _: ApiKey,
    headers: HeaderMap,
    Json(content): Json<Value>,
) -> StatusCode {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let mut told = told.lock();
    let is_first = told.is_empty();
    let known = told.entry(key).or_insert((content.clone(), false));
    assert_eq!(known.0, content, "one key, two batches");
    known.1 = !is_first;
    if is_first {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::ACCEPTED
    }
}

async fn analytics(told: &ReceivedBatches) -> Running {
    let router = Router::new()
        .route("/analytics/metrics", at_post(take))
        .with_state(Arc::clone(told));
    let settings = [("GREETER_SERVICE_API_KEY", "analytics-key")];
    started(&settings, Service::new(router)).await
}

/// Endpoint and status of every request in the batches that were taken.
fn requests(told: &ReceivedBatches) -> Vec<(String, u64)> {
    let told = told.lock();
    let taken = told.values().filter(|(_, is_taken)| *is_taken);
    let all = taken.flat_map(|(content, _)| content["requests"].as_array().cloned().unwrap());
    let mut all: Vec<_> = all
        .map(|one| {
            assert_eq!(
                (&one["service"], &one["method"]),
                (&json!("greeter"), &json!("GET"))
            );
            assert!(one["response_time"].as_f64().unwrap() >= 0.0);
            assert!(one["at"].as_str().unwrap().ends_with('Z'));
            (
                one["endpoint"].as_str().unwrap().to_owned(),
                one["status"].as_u64().unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn analytics_is_told_each_answer_once_by_its_route() {
    let told = ReceivedBatches::default();
    let analytics = analytics(&told).await;
    let settings = [
        ("ANALYTICS_URL", &*url(&analytics)),
        ("ANALYTICS_SERVICE_API_KEY", "analytics-key"),
    ];
    let router = Router::new()
        .route("/users/{id}", at_get(|| async {}))
        .route("/broken", at_get(|| async { StatusCode::BAD_GATEWAY }));
    let running = started(&settings, Service::new(router)).await;
    for path in ["/users/1", "/users/2", "/broken", "/nothing", "/health"] {
        get(&running, path).await;
    }
    let expected = [
        ("/(other)", 404),
        ("/broken", 502),
        ("/users/{id}", 200),
        ("/users/{id}", 200),
    ];
    let expected = expected.map(|(endpoint, status)| (endpoint.to_owned(), status));
    until("analytics to know", TIMEOUT, async || {
        Ok((requests(&told) == expected).then_some(()))
    })
    .await
    .unwrap();
    let metrics = get(&running, "/metrics").await.body;
    let sent = r#"analytics_reports_total{outcome="sent"} 4"#;
    assert!(metrics.contains(sent), "{metrics}");
    // Also what is still in the queue at the end.
    get(&running, "/users/3").await;
    running.stop().await;
    assert_eq!(requests(&told).len(), 5);
    analytics.stop().await;
}
