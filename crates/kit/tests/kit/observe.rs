//! Correlation ids, and what Prometheus sees.

use axum::Router;
use axum::routing::get as at_get;
use kit::{Service, context};
use prometheus_client::metrics::counter::Counter;

use crate::support::{get, kit, send, serving};

fn router() -> Router {
    let whoami = || async { context::current().map(|context| context.correlation.to_string()) };
    Router::new()
        .route(
            "/whoami",
            at_get(async move || whoami().await.unwrap_or_default()),
        )
        .route("/users/{id}", at_get(|| async {}))
        .route(
            "/broken",
            at_get(|| async { http::StatusCode::BAD_GATEWAY }),
        )
}

#[tokio::test]
async fn a_correlation_id_goes_in_and_out() {
    let running = serving(router()).await;
    let given = send(&running, "GET /whoami", "X-Correlation-ID: abc-1\r\n", "").await;
    assert_eq!(given.header("x-correlation-id"), Some("abc-1"));
    assert_eq!(given.body, "abc-1");
    let made = get(&running, "/whoami").await;
    assert_eq!(made.header("x-correlation-id"), Some(made.body.as_str()));
    assert_eq!(made.body.len(), 36);
    let wrong = send(
        &running,
        "GET /nothing",
        "X-Correlation-ID: a\\nb <x>\r\n",
        "",
    )
    .await;
    wrong.is_problem(404, "not-found");
    assert_eq!(wrong.header("x-correlation-id").map(str::len), Some(36));
    running.stop().await;
}

#[tokio::test]
async fn requests_are_counted_by_labels_that_are_bounded() {
    let running = serving(router()).await;
    for id in 0..5 {
        get(&running, &format!("/users/{id}")).await;
        get(&running, &format!("/nothing/{id}")).await;
    }
    get(&running, "/broken").await;
    send(&running, "BREW /users/1", "", "").await;
    let text = get(&running, "/metrics").await.body;
    for line in [
        "http_requests_total{service=\"greeter\",method=\"GET\",route=\"/users/{id}\",\
         status=\"2xx\",code=\"200\"} 5",
        "http_requests_total{service=\"greeter\",method=\"GET\",route=\"other\",\
         status=\"4xx\",code=\"404\"} 5",
        "http_requests_total{service=\"greeter\",method=\"GET\",route=\"/broken\",\
         status=\"5xx\",code=\"502\"} 1",
        "http_requests_total{service=\"greeter\",method=\"other\",route=\"/users/{id}\",\
         status=\"4xx\",code=\"405\"} 1",
        "http_request_duration_seconds_count{service=\"greeter\",method=\"GET\",\
         route=\"/users/{id}\"} 5",
        "http_requests_in_flight{service=\"greeter\"} 1",
        "service_info{service=\"greeter\",version=\"1.2.3\"} 1",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    assert!(
        !text.contains("nothing") && !text.contains("BREW"),
        "{text}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_service_has_metrics_of_its_own() {
    let kit = kit(&[]);
    let greetings: Counter = Counter::default();
    kit.metrics
        .register("greetings", "Greetings sent", greetings.clone());
    greetings.inc_by(3);
    let running = kit::server::start(kit, Service::new(router()))
        .await
        .unwrap();
    let text = get(&running, "/metrics").await.body;
    assert!(text.contains("greetings_total 3"), "{text}");
    running.stop().await;
}
