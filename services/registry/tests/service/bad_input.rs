use serde_json::{Value, json};

use crate::scene::{KEY, Scene};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn with(mut body: Value, field: &str, value: Value) -> String {
    body[field] = value;
    body.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bodies_have_their_status_and_leave_nothing() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let service = json!({ "name": "auth", "url": "http://a:1", "ttl_seconds": 600 });
    let external = json!({ "name": "michigan", "url": "http://127.0.0.1:1", "kind": "imputation" });
    let injected = "'; drop table instances; --";
    let services = [
        ("name", json!(7)),
        ("name", json!("")),
        ("name", json!(injected)),
        ("name", json!("../../etc/passwd")),
        ("name", json!("auth\r\nX: y")),
        ("name", json!("x".repeat(65))),
        ("url", json!("file:///etc/passwd")),
        ("url", json!("http://user:secret-word@a:1")),
        ("url", json!(null)),
        ("tags", json!("blue")),
        ("tags", json!(["\u{0}"])),
        ("tags", json!(vec!["x"; 17])),
        ("health", json!("http://elsewhere/")),
        ("ttl_seconds", json!(0)),
        ("ttl_seconds", json!(-1)),
        ("ttl_seconds", json!(1.5)),
        ("ttl_seconds", json!(3601)),
        ("ttl_seconds", json!("15")),
    ];
    for (field, value) in services {
        let body = with(service.clone(), field, value);
        let answer = registry.tell("POST /registry/services", &body).await;
        answer.is_problem(422, "invalid-content");
        assert!(!answer.body.contains("secret-word"), "{answer:?}");
    }
    for (field, value) in [
        ("name", json!(injected)),
        ("kind", json!("a b")),
        ("url", json!("gopher://a")),
        ("url", json!("http://user:secret-word@a:1")),
        ("health_path", json!("/a\r\nHost: b")),
        ("check_interval_seconds", json!(0)),
        ("sync_interval_seconds", json!(-5)),
        ("unhealthy_after", json!(1e9)),
        ("id", json!(UNKNOWN)),
    ] {
        let body = with(external.clone(), field, value);
        for line in [
            "POST /registry/external".to_owned(),
            format!("PUT /registry/external/{UNKNOWN}"),
        ] {
            let answer = registry.tell(&line, &body).await;
            answer.is_problem(422, "invalid-content");
            assert!(!answer.body.contains("secret-word"), "{answer:?}");
        }
    }
    for line in ["POST /registry/services", "POST /registry/external"] {
        for text in ["", "{", "{'name': 1}", "\u{feff}{}", &"[".repeat(10_000)] {
            let answer = registry.tell(line, text).await;
            answer.is_problem(400, "malformed-json");
        }
        for text in ["[]", "null", "{}"] {
            let answer = registry.tell(line, text).await;
            answer.is_problem(422, "invalid-content");
        }
        let large = with(service.clone(), "version", json!("x".repeat(70_000)));
        registry
            .tell(line, &large)
            .await
            .is_problem(413, "body-too-large");
        let form = registry
            .send(line, &format!("X-API-Key: {KEY}\r\n"), "a=b")
            .await;
        form.is_problem(415, "unsupported-media-type");
    }
    assert_eq!(registry.get("/registry/services").await, json!([]));
    assert_eq!(registry.get("/registry/external").await, json!([]));
    let log = scene.log(0);
    for private in ["secret-word", "drop table", KEY, "ERROR"] {
        assert!(!log.contains(private), "the log has {private}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_addresses_are_problems() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let external = format!("/registry/external/{UNKNOWN}");
    for (line, status) in [
        ("GET /nothing".to_owned(), 404),
        (
            "GET /registry/services/..%2f..%2fetc%2fpasswd".to_owned(),
            405,
        ),
        ("DELETE /registry/services/1'%20or%20'1'='1".to_owned(), 404),
        (format!("DELETE /registry/services/{UNKNOWN}"), 404),
        (format!("PUT /registry/services/{UNKNOWN}/heartbeat"), 404),
        ("PUT /registry/services/%00/heartbeat".to_owned(), 404),
        ("PATCH /registry/services".to_owned(), 405),
        ("GET /registry/services?sort=up".to_owned(), 422),
        ("GET /registry/services?name=a&name=b".to_owned(), 422),
        ("GET /registry/services?name=%00".to_owned(), 422),
        ("GET /registry/watch?from=1".to_owned(), 422),
        ("GET /registry/external?state=fine".to_owned(), 422),
        ("GET /registry/external/x".to_owned(), 404),
        (format!("GET {external}"), 404),
        (format!("GET {external}/health"), 404),
        (format!("POST {external}/check"), 404),
        (format!("POST {external}/panels/sync"), 404),
        (format!("GET {external}/panels/versions/1"), 404),
        (format!("GET {external}/panels/versions/99999999999"), 404),
        (format!("GET {external}/panels/diff?from=1"), 422),
        (format!("GET {external}/panels/diff?from=1&to=x"), 422),
    ] {
        let answer = registry.call(&line).await;
        let is_problem = answer.header("content-type") == Some("application/problem+json");
        assert!(is_problem && answer.status == status, "{line}: {answer:?}");
    }
    // Odd but fine.
    let odd = registry
        .get("/registry/services?name='%20or%201=1%20--")
        .await;
    assert_eq!(odd, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_gets_nothing() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let external = format!("/registry/external/{UNKNOWN}");
    let lines = [
        "POST /registry/services".to_owned(),
        "GET /registry/services".to_owned(),
        format!("PUT /registry/services/{UNKNOWN}/heartbeat"),
        format!("DELETE /registry/services/{UNKNOWN}"),
        "GET /registry/watch".to_owned(),
        "POST /registry/external".to_owned(),
        "GET /registry/external".to_owned(),
        format!("GET {external}"),
        format!("PUT {external}"),
        format!("DELETE {external}"),
        format!("GET {external}/health"),
        format!("POST {external}/check"),
        format!("GET {external}/panels"),
        format!("GET {external}/panels/versions"),
        format!("GET {external}/panels/versions/1"),
        format!("GET {external}/panels/diff?from=1&to=2"),
        format!("POST {external}/panels/sync"),
        format!("GET {external}/panels/syncs"),
    ];
    let json = "Content-Type: application/json\r\n";
    let none = "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiI3IiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    for line in &lines {
        // A body that would do where one is read.
        let body = if line.ends_with("/registry/services") {
            json!({ "name": "a", "url": "http://a:1" })
        } else {
            json!({ "name": "a", "url": "http://a:1", "kind": "k" })
        };
        let ask = async |headers: String| {
            registry
                .send(line, &(headers + json), &body.to_string())
                .await
        };
        ask(String::new())
            .await
            .is_problem(401, "credential-missing");
        ask("X-API-Key: guess\r\n".to_owned())
            .await
            .is_problem(401, "key-unknown");
        ask(format!("{none}\r\n"))
            .await
            .is_problem(401, "token-algorithm");
        // Nothing wrong passes beside something good.
        let both = format!("X-API-Key: {KEY}\r\n{none}\r\n");
        ask(both).await.is_problem(401, "token-algorithm");
        // A user is known, and has no business here.
        let user = format!("Authorization: Bearer {}\r\n", user_token());
        ask(user).await.is_problem(403, "forbidden");
    }
    for path in ["/health", "/health/live", "/metrics", "/openapi.json"] {
        let answer = registry.send(&format!("GET {path}"), "", "").await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

fn user_token() -> String {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let claims = json!({ "sub": "7", "exp": now + 600, "iat": now });
    let key = jsonwebtoken::EncodingKey::from_secret(crate::scene::JWT_SECRET.as_bytes());
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}
