use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-21 13:00 UTC);

fn window() -> Window {
    Window::of(NOW, 8)
}

fn request() -> Value {
    json!({
        "at": "2026-11-21T12:59:00Z", "service": "auth", "endpoint": "/auth/login",
        "method": "POST", "status": 200, "response_time": 12.5,
    })
}

fn metrics(requests: &Value, resources: &Value) -> Result<ValidItems, Problem> {
    let body = json!({ "requests": requests, "resources": resources }).to_string();
    kit::extract::parse_json::<MetricsBatch>(body.as_bytes())?.checked(window())
}

fn with(field: &str, value: Value) -> Value {
    let mut one = request();
    one[field] = value;
    one
}

#[test]
fn what_is_wrong_with_a_request_is_said_where_it_is() {
    for (field, value) in [
        ("service", json!("")),
        ("service", json!("Auth")),
        ("service", json!("-a")),
        ("service", json!("a".repeat(65))),
        ("endpoint", json!("auth")),
        ("endpoint", json!("/a b")),
        ("endpoint", json!("/ä")),
        ("endpoint", json!("/".repeat(201))),
        ("method", json!("post")),
        ("method", json!("")),
        ("status", json!(99)),
        ("status", json!(600)),
        ("status", json!(-1)),
        ("status", json!("200")),
        ("response_time", json!(-0.1)),
        ("response_time", json!(86_400_001)),
        ("response_time", json!(null)),
        ("at", json!("2026-11-21T13:05:01Z")),
        ("at", json!("2026-11-13T23:59:59Z")),
        ("at", json!("yesterday")),
        ("id", json!("7")),
        ("surprise", json!(1)),
    ] {
        let problem = metrics(&json!([request(), with(field, value.clone())]), &json!([]));
        let shown = format!("{:?}", problem.unwrap_err());
        let pointer = format!("\"/requests/1/{field}\"");
        assert!(shown.contains(&pointer), "{field} {value}: {shown}");
    }
}

#[test]
fn the_borders_are_taken() {
    for (field, value) in [
        ("service", json!("a-1")),
        ("endpoint", json!("/")),
        ("status", json!(100)),
        ("response_time", json!(0)),
        ("response_time", json!(86_400_000)),
        ("at", json!("2026-11-21T13:05:00Z")),
        ("at", json!("2026-11-14T00:00:00Z")),
        ("at", json!("2026-11-21T14:00:00+01:00")),
        ("id", json!("00000000-0000-4000-8000-000000000000")),
    ] {
        let items = metrics(&json!([with(field, value.clone())]), &json!([]));
        assert_eq!(items.unwrap().requests.len(), 1, "{field} {value}");
    }
}

#[test]
fn a_batch_is_neither_empty_nor_too_large() {
    let many = |count| Value::from(vec![request(); count]);
    assert!(metrics(&json!([]), &json!([])).is_err());
    assert!(metrics(&many(MAX_ITEMS), &json!([])).is_ok());
    assert!(metrics(&many(MAX_ITEMS + 1), &json!([])).is_err());
    let wrong = Value::from(vec![with("status", json!(0)); 100]);
    let shown = format!("{:?}", metrics(&wrong, &json!([])).unwrap_err());
    assert_eq!(shown.matches("/status").count(), MAX_FAULTS);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9-]{0,70}", "/[ -~]{0,210}", "[A-Z]{0,18}", "\\PC*"]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..700_i64).prop_map(Value::from),
        text().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn at() -> impl Strategy<Value = String> {
    let near = (-900_000..600_i64).prop_map(|seconds| {
        let at = NOW + Duration::seconds(seconds);
        at.format(&time::format_description::well_known::Rfc3339)
            .unwrap()
    });
    prop_oneof![near, text()]
}

proptest! {
    #[test]
    fn whatever_comes_is_taken_as_it_is_or_refused(
        (at, service, endpoint, method) in (at(), text(), text(), text()),
        (status, time, cores, bytes) in (number(), number(), number(), number()),
    ) {
        let request = json!({
            "at": at, "service": service, "endpoint": endpoint,
            "method": method, "status": status, "response_time": time,
        });
        let sample = json!({
            "at": at, "service": service, "instance": endpoint,
            "cpu_cores": cores, "memory_bytes": bytes,
        });
        if let Ok(items) = metrics(&json!([request]), &json!([])) {
            let one = &items.requests[0];
            prop_assert!(one.at >= window().oldest && one.at <= window().newest);
            prop_assert!(is_service(&one.service) && one.endpoint.starts_with('/'));
            prop_assert!(one.response_time.is_finite() && one.response_time >= 0.0);
            prop_assert_eq!(&one.endpoint, &endpoint);
        }
        if let Ok(items) = metrics(&json!([]), &json!([sample])) {
            let one = &items.resources[0];
            prop_assert!(one.cpu_cores.is_finite() && one.memory_bytes >= 0);
        }
    }

    #[test]
    fn events_are_taken_as_they_are_or_refused(
        (at, service, name, user) in (at(), text(), text(), prop::option::of(text())),
        size in 0..5000_usize,
    ) {
        let event = json!({
            "at": at, "service": service, "name": name, "user_id": user,
            "properties": { "text": "x".repeat(size) },
        });
        let body = json!({ "events": [event] }).to_string();
        let batch = kit::extract::parse_json::<EventsBatch>(body.as_bytes());
        if let Ok(items) = batch.and_then(|batch| batch.checked(window())) {
            prop_assert!(size <= MAX_PROPERTIES_BYTES && is_event_name(&name));
            prop_assert_eq!(&items.events[0].user_id, &user);
        }
    }

    #[test]
    fn what_is_good_is_taken(
        service in "[a-z0-9][a-z0-9-]{0,63}",
        endpoint in "/[!-~]{0,199}",
        status in 100..600_u16,
        time in 0.0..=MOST_MS,
    ) {
        let mut one = request();
        one["service"] = json!(service);
        one["endpoint"] = json!(endpoint);
        one["status"] = json!(status);
        one["response_time"] = json!(time);
        prop_assert!(metrics(&json!([one]), &json!([])).is_ok());
    }
}
