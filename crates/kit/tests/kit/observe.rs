//! Correlation ids, and what Prometheus sees.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get as at_get, post as at_post};
use bytes::Bytes;
use kit::settings::{Origin, Setting};
use kit::{Service, context};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prost::Message;

use crate::support::{get, kit, send, serving, started, url};

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
        "\nprocess_cpu_seconds_total ",
        "\nprocess_resident_memory_bytes ",
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

#[tokio::test]
async fn requests_to_others_are_counted_by_what_came_of_them() {
    let kit = kit(&[]);
    let other = serving(router()).await;
    let ask = |url: &str| {
        let url = Origin::parse(url).unwrap();
        let client = kit.client("other").at(Some(&url)).build().unwrap();
        async move { client.get("/users/7").send().await.is_ok() }
    };
    assert!(ask(&url(&other)).await);
    other.stop().await;
    let free = testbed::ports::free().unwrap();
    assert!(!ask(&format!("http://127.0.0.1:{free}")).await);
    let running = kit::server::start(kit, Service::new(router()))
        .await
        .unwrap();
    let text = get(&running, "/metrics").await.body;
    for line in [
        "client_requests_total{target=\"other\",outcome=\"answered\"} 1",
        "client_requests_total{target=\"other\",outcome=\"repeated\"} 2",
        "client_requests_total{target=\"other\",outcome=\"failed\"} 1",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    running.stop().await;
}

#[tokio::test]
async fn spans_reach_a_receiver_before_the_end() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&received);
    let receive = at_post(move |body: Bytes| {
        noted.lock().push(ExportTraceServiceRequest::decode(body));
        async {}
    });
    let collector = serving(Router::new().route("/v1/traces", receive)).await;
    let endpoint = url(&collector);
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let running = started(&settings, Service::new(router())).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let header = format!("traceparent: {parent}\r\n");
    send(&running, "GET /users/7", &header, "").await;
    let unsampled = format!("traceparent: {}0\r\n", &parent[..54]);
    send(&running, "GET /broken", &unsampled, "").await;
    // The last spans are sent before the end.
    running.stop().await;
    collector.stop().await;
    let received = received.lock();
    let spans: Vec<_> = received
        .iter()
        .flat_map(|request| &request.as_ref().unwrap().resource_spans)
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
        .collect();
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(spans[0].name, "GET /users/{id}");
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |all, byte| all << 8 | u128::from(*byte))
    };
    assert_eq!(
        number(&spans[0].trace_id),
        0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736
    );
    assert_eq!(number(&spans[0].parent_span_id), 0x00f0_67aa_0ba9_02b7);
}

#[tokio::test]
async fn a_receiver_that_is_away_costs_spans_only() {
    let free = testbed::ports::free().unwrap();
    let endpoint = format!("http://127.0.0.1:{free}");
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let running = started(&settings, Service::new(router())).await;
    assert_eq!(get(&running, "/users/7").await.status, 200);
    running.stop().await;
}
