use serde_json::{Value, json};

use crate::scene::{KEY, Scene, minutes_ago, request, text};

fn with(field: &str, value: Value) -> Value {
    let mut one = request(minutes_ago(0), "/", 200, 1.0);
    one[field] = value;
    json!({ "requests": [one] })
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bodies_have_their_status_and_leave_nothing() {
    let scene = Scene::new().await;
    let now = text(minutes_ago(0));
    let metrics = [
        json!({}),
        json!({ "requests": [] }),
        json!({ "requests": {} }),
        json!({ "requests": [7] }),
        json!({ "requests": [{}] }),
        json!([]),
        with("service", json!("Robert'); drop table metrics;--")),
        with("endpoint", json!("no-path")),
        with("endpoint", json!("/\r\nX-Injected: 1")),
        with("endpoint", json!("/\u{0}")),
        with("method", json!("get")),
        with("status", json!(1000)),
        with("status", json!(200.5)),
        with("response_time", json!(-1)),
        with("response_time", json!("1")),
        with("at", json!(0)),
        with("at", json!("2026-02-30T00:00:00Z")),
        with("at", json!("1970-01-01T00:00:00Z")),
        with("at", json!("9999-12-31T23:59:59Z")),
        with("id", json!("no-uuid")),
        with("unknown", json!(1)),
        json!({ "resources": [{ "at": now, "service": "auth", "instance": "",
                "cpu_cores": 1, "memory_bytes": 1 }] }),
        json!({ "resources": [{ "at": now, "service": "auth", "instance": "a",
                "cpu_cores": -1, "memory_bytes": 1 }] }),
        json!({ "resources": [{ "at": now, "service": "auth", "instance": "a",
                "cpu_cores": 1, "memory_bytes": 1.5 }] }),
    ];
    for body in metrics {
        let answer = scene.post("/analytics/metrics", "", &body).await;
        answer.is_problem(422, "invalid-content");
    }
    let event = |field: &str, value: Value| {
        let mut event = json!({ "at": now, "service": "auth", "name": "x" });
        event[field] = value;
        json!({ "events": [event] })
    };
    let events = [
        json!({}),
        json!({ "events": [] }),
        event("name", json!("../../etc/passwd")),
        event("user_id", json!("a b")),
        event("properties", json!([])),
        event("properties", json!({ "text": "x".repeat(4096) })),
        event("properties", json!({ "text": "\u{0}" })),
    ];
    for body in events {
        let answer = scene.post("/analytics/events", "", &body).await;
        answer.is_problem(422, "invalid-content");
    }
    let rows: i64 = scene
        .value(
            "select (select count(*) from metrics) + (select count(*) from resources) \
                + (select count(*) from events) + (select count(*) from arrivals)",
        )
        .await;
    assert_eq!(rows, 0);
    let raw = async |headers: &str, body: &str| {
        let headers = format!("X-API-Key: {KEY}\r\n{headers}");
        scene.send("POST /analytics/metrics", &headers, body).await
    };
    let as_json = "Content-Type: application/json\r\n";
    for body in [
        "",
        "{",
        "{\"requests\": NaN}",
        "\u{feff}{}",
        &"[".repeat(10_000),
    ] {
        raw(as_json, body).await.is_problem(400, "malformed-json");
    }
    let large = format!("{{\"requests\": [{}]}}", " ".repeat(3 << 20));
    raw(as_json, &large).await.is_problem(413, "body-too-large");
    raw("", "a=b")
        .await
        .is_problem(415, "unsupported-media-type");
    let keys = format!("{as_json}Idempotency-Key: a b\r\n");
    raw(&keys, "{}").await.is_problem(400, "idempotency-key");
    // Nothing of it broke anything, and nothing of it is in the log.
    scene
        .report(&[request(minutes_ago(0), "/", 200, 1.0)], &[])
        .await;
    let log = scene.log();
    for private in ["drop table metrics", "X-Injected", "etc/passwd", KEY] {
        assert!(!log.contains(private), "the log has {private}");
    }
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_addresses_are_problems() {
    let scene = Scene::new().await;
    for (line, status) in [
        ("GET /nothing", 404),
        ("GET /analytics/metrics", 405),
        ("DELETE /analytics/events", 405),
        ("GET /analytics/overview?from=yesterday", 422),
        (
            "GET /analytics/overview?from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z",
            422,
        ),
        ("GET /analytics/overview?from=0001-01-01T00:00:00Z", 422),
        ("GET /analytics/overview?from=2020-01-01T00:00:00Z", 422),
        ("GET /analytics/overview?step=60", 422),
        ("GET /analytics/services/auth?step=0", 422),
        ("GET /analytics/services/auth?step=61", 422),
        ("GET /analytics/services/auth?step=-60", 422),
        ("GET /analytics/services/auth?step=99999999999", 422),
        ("GET /analytics/services/Auth", 422),
        ("GET /analytics/services/1'%20or%20'1'='1", 422),
        ("GET /analytics/services/..%2f..%2fetc%2fpasswd", 422),
        ("GET /analytics/slow-endpoints?limit=0", 422),
        ("GET /analytics/slow-endpoints?limit=101", 422),
        ("GET /analytics/slow-endpoints?service=a%00", 422),
        ("GET /analytics/events?name=A", 422),
        ("GET /analytics/events?sort=up", 422),
    ] {
        let answer = scene.send(line, &format!("X-API-Key: {KEY}\r\n"), "").await;
        let media_type = answer.header("content-type");
        assert_eq!(media_type, Some("application/problem+json"), "{line}");
        assert_eq!(answer.status, status, "{line}: {answer:?}");
    }
    for path in ["/health", "/health/live", "/metrics", "/openapi.json"] {
        assert_eq!(
            scene.send(&format!("GET {path}"), "", "").await.status,
            200,
            "{path}"
        );
    }
    let metrics = scene.send("GET /metrics", "", "").await;
    assert!(
        metrics.body.contains("analytics_rollup_waiting 0"),
        "{metrics:?}"
    );
}
