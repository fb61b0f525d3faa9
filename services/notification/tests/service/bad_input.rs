use axum::http::Method;
use serde_json::{Value, json};

use crate::scene::Scene;

fn good() -> Value {
    json!({
        "user_id": "7", "template": "welcome", "data": { "name": "Ann" },
        "channels": ["email"], "email": "ann@example.com",
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut body = good();
    body[pointer] = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bodies_have_their_status_and_leave_nothing() {
    let scene = Scene::new().await;
    let injected = "ann@example.com\r\nBcc: eve@example.com";
    let wrong = [
        with("user_id", json!(7)),
        with("user_id", json!("")),
        with("user_id", json!("a b")),
        with("user_id", json!("x".repeat(129))),
        with("template", json!("nothing")),
        with("template", json!("../../etc/passwd")),
        with("data", json!([])),
        with("data", json!({})),
        with("data", json!({ "name": "Ann\r\nBcc: eve@example.com" })),
        with("data", json!({ "name": "\u{0}" })),
        with("data", json!({ "name": "x".repeat(150_000) })),
        with("channels", json!([])),
        with("channels", json!(["fax"])),
        with("channels", json!("email")),
        with("email", json!(injected)),
        with("email", json!("a@b, c@d")),
        with("email", json!("'; drop table notifications; --")),
        with("category", json!("News!")),
        with("surprise", json!(1)),
        json!([]),
        json!(null),
    ];
    for body in wrong {
        let answer = scene.post("/notifications", body.clone()).await;
        answer.is_problem(422, "invalid-content");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("eve@example.com"), "{text}");
    }
    let raw = |body: &str| {
        let call = scene.client.post("/notifications").key();
        let call = call.header("content-type", "application/json");
        call.body(body.to_owned()).send()
    };
    for text in [
        "",
        "{",
        "{\"user_id\": 'x'}",
        "\u{feff}{}",
        &"[".repeat(10_000),
    ] {
        raw(text).await.unwrap().is_problem(400, "malformed-json");
    }
    let large = with("data", json!({ "name": "x".repeat(300_000) }));
    raw(&large.to_string())
        .await
        .unwrap()
        .is_problem(413, "body-too-large");
    let form = scene.client.post("/notifications").key().body("a=b");
    form.send()
        .await
        .unwrap()
        .is_problem(415, "unsupported-media-type");
    let list = scene.get("/notifications?user_id=7").await.json();
    assert_eq!(list, json!({ "notifications": [] }));
    // Nothing of it broke anything.
    assert_eq!(scene.post("/notifications", good()).await.status, 202);
    let log = scene.log();
    for private in [
        "eve@example.com",
        "ann@example.com",
        "drop table",
        crate::scene::KEY,
    ] {
        assert!(!log.contains(private), "the log has {private}");
    }
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_gets_nothing() {
    let scene = Scene::new().await;
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiI3IiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    let send = |name: &str, value: &str| {
        let call = scene.client.post("/notifications").json(&good());
        call.header(name, value).send()
    };
    send("x-nothing", "x")
        .await
        .unwrap()
        .is_problem(401, "credential-missing");
    send("x-api-key", "guess")
        .await
        .unwrap()
        .is_problem(401, "key-unknown");
    let token = format!("Bearer {none}");
    send("authorization", &token)
        .await
        .unwrap()
        .is_problem(401, "token-algorithm");
    for (method, path) in [
        (Method::GET, "/notifications?user_id=7"),
        (Method::GET, "/notifications/dead-letters"),
        (Method::GET, "/notifications/preferences/7"),
        (Method::PUT, "/notifications/preferences/7"),
        (Method::GET, "/notifications/webhooks"),
        (Method::GET, "/notifications/stream"),
    ] {
        let call = scene.client.call(method.clone(), path).json(&json!({}));
        call.send()
            .await
            .unwrap()
            .is_problem(401, "credential-missing");
        let user = scene.client.call(method, path).user("8").json(&json!({}));
        let status = user.send().await.unwrap().status;
        assert!([200, 403, 426].contains(&status), "{path}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_addresses_are_problems() {
    let scene = Scene::new().await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (method, path, status) in [
        (Method::GET, "/nothing", 404),
        (Method::GET, &*format!("/notifications/{unknown}"), 404),
        (Method::GET, "/notifications/..%2f..%2fetc%2fpasswd", 404),
        (Method::GET, "/notifications/1'%20or%20'1'='1", 404),
        (Method::DELETE, "/notifications", 405),
        (Method::GET, "/notifications", 422),
        (Method::GET, "/notifications?user_id=7&limit=9999", 422),
        (
            Method::GET,
            "/notifications?user_id=7&before=yesterday",
            422,
        ),
        (Method::GET, "/notifications?user_id=7&sort=up", 422),
        (Method::GET, "/notifications/preferences/a%20b", 422),
        (
            Method::POST,
            &*format!("/notifications/dead-letters/{unknown}/replay"),
            404,
        ),
        (
            Method::DELETE,
            &*format!("/notifications/webhooks/{unknown}?user_id=7"),
            404,
        ),
    ] {
        let answer = scene
            .client
            .call(method.clone(), path)
            .key()
            .send()
            .await
            .unwrap();
        let is_problem = answer.headers["content-type"] == "application/problem+json";
        assert!(
            is_problem && answer.status == status,
            "{method} {path}: {answer:?}"
        );
    }
    for path in [
        "/health",
        "/health/live",
        "/metrics",
        "/openapi.json",
        "/notifications/openapi.json",
    ] {
        let answer = scene.client.get(path).send().await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
    }
    let metrics = scene.client.get("/metrics").send().await.unwrap();
    assert!(String::from_utf8_lossy(&metrics.body).contains("outbox_dead_letters 0"));
}
