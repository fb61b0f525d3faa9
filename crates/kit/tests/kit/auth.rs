//! Keys and tokens, good and bad.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get as at_get;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kit::auth::PeerTokens;
use kit::settings::{Secrets, Setting};
use kit::{ApiKey, Caller, Json, Peer, Problem, Service, User};
use serde_json::{Value, json};

use crate::support::{Answer, send, started};

const SETTINGS: &[(&str, &str)] = &[
    ("GREETER_SERVICE_API_KEY", "key-one,key-two"),
    ("JWT_SECRET_KEY", "new, with a comma"),
    ("JWT_FORMER_SECRET_KEY", "old"),
    ("JWT_ISSUER", "identity"),
    ("JWT_AUDIENCE", "land"),
    ("SERVICE_TOKEN_SECRET", "between us"),
];

fn router() -> Router {
    async fn admin(user: User) -> Result<&'static str, Problem> {
        user.require_role("admin")?;
        Ok("welcome")
    }
    let inner = Router::new().route("/peer", at_get(|peer: Peer| async move { peer.service }));
    Router::new()
        .route(
            "/key",
            at_get(|key: ApiKey| async move { key.position.to_string() }),
        )
        .route("/user", at_get(|user: User| async move { user.subject }))
        .route("/admin", at_get(admin))
        .route(
            "/anybody",
            at_get(|user: Option<User>| async move { Json(user.map(|u| u.subject)) }),
        )
        .route(
            "/caller",
            at_get(|caller: Caller| async move { format!("{caller:?}") }),
        )
        .nest("/inner", inner)
}

fn claims(changes: &Value) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let mut claims = json!({
        "sub": "42", "iss": "identity", "aud": ["land"], "exp": now + 60, "roles": ["clerk"],
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = match value {
            // A time from now on.
            Value::Number(number) => (now.cast_signed() + number.as_i64().unwrap()).into(),
            other => other.clone(),
        };
    }
    claims
}

fn token(secret: &str, algorithm: Algorithm, changes: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(algorithm), &claims(changes), &key).unwrap()
}

async fn with(running: &kit::server::Running, path: &str, header: &str) -> Answer {
    send(
        running,
        &format!("GET {path}"),
        &format!("{header}\r\n"),
        "",
    )
    .await
}

#[tokio::test]
async fn keys_open_what_takes_keys() {
    let running = started(SETTINGS, Service::new(router())).await;
    assert_eq!(with(&running, "/key", "X-API-Key: key-one").await.body, "0");
    assert_eq!(with(&running, "/key", "X-API-Key: key-two").await.body, "1");
    for wrong in ["", "key", "key-one ,key-two", "key-one,key-two", "KEY-ONE"] {
        let answer = with(&running, "/key", &format!("X-API-Key: {wrong}")).await;
        answer.is_problem(401, "key-unknown");
        assert!(!answer.body.contains("key-one"));
    }
    let twice = with(&running, "/key", "X-API-Key: key-one\r\nX-API-Key: key-one").await;
    twice.is_problem(400, "malformed-request");
    let nothing = with(&running, "/key", "X-Nothing: 1").await;
    nothing.is_problem(401, "credential-missing");
    assert_eq!(nothing.header("www-authenticate"), Some("Bearer"));
    running.stop().await;
    // Where no key is set, none is good.
    let running = started(&[], Service::new(router())).await;
    with(&running, "/key", "X-API-Key: key-one")
        .await
        .is_problem(401, "key-unknown");
    with(&running, "/key", "X-API-Key:")
        .await
        .is_problem(401, "key-unknown");
    running.stop().await;
}

#[tokio::test]
async fn each_fault_of_a_token_has_its_problem() {
    let running = started(SETTINGS, Service::new(router())).await;
    let secret = "new, with a comma";
    let hs256 = |changes: Value| token(secret, Algorithm::HS256, &changes);
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9.";
    let critical = {
        let mut header = Header::new(Algorithm::HS256);
        header.crit = Some(vec!["exp".to_owned()]);
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&header, &claims(&json!({})), &key).unwrap()
    };
    let table = [
        (hs256(json!({})), None),
        (token("old", Algorithm::HS256, &json!({})), None),
        (hs256(json!({ "aud": "land", "nbf": -5 })), None),
        (none.to_owned(), Some("token-algorithm")),
        (critical, Some("token-malformed")),
        (
            token(secret, Algorithm::HS512, &json!({})),
            Some("token-algorithm"),
        ),
        (
            token("wrong", Algorithm::HS256, &json!({})),
            Some("token-signature"),
        ),
        (hs256(json!({ "exp": -60 })), Some("token-expired")),
        (hs256(json!({ "nbf": 60 })), Some("token-not-yet")),
        (hs256(json!({ "iss": "another" })), Some("token-issuer")),
        (hs256(json!({ "iss": null })), Some("token-issuer")),
        (hs256(json!({ "aud": "sea" })), Some("token-audience")),
        (hs256(json!({ "exp": null })), Some("token-malformed")),
        (hs256(json!({ "sub": null })), Some("token-malformed")),
        ("a.b.c".to_owned(), Some("token-malformed")),
        ("x".repeat(9000), Some("token-malformed")),
        (String::new(), Some("token-malformed")),
    ];
    for (token, kind) in table {
        let header = format!("Authorization: Bearer {token}");
        for path in ["/user", "/anybody"] {
            let answer = with(&running, path, &header).await;
            match kind {
                None => assert_eq!(answer.body.trim_matches('"'), "42", "{answer:?}"),
                Some(kind) => {
                    answer.is_problem(401, kind);
                    let challenge = answer.header("www-authenticate");
                    assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
                }
            }
        }
    }
    let nobody = with(&running, "/anybody", "X-Nothing: 1").await;
    assert_eq!((nobody.status, nobody.body.as_str()), (200, "null"));
    running.stop().await;
}

#[tokio::test]
async fn roles_are_asked_for() {
    let running = started(SETTINGS, Service::new(router())).await;
    let clerk = token("old", Algorithm::HS256, &json!({}));
    let clerk = with(
        &running,
        "/admin",
        &format!("Authorization: Bearer {clerk}"),
    )
    .await;
    clerk.is_problem(403, "forbidden");
    let admin = token("old", Algorithm::HS256, &json!({ "roles": ["admin"] }));
    let admin = with(
        &running,
        "/admin",
        &format!("Authorization: bearer {admin}"),
    )
    .await;
    assert_eq!(admin.body, "welcome");
    running.stop().await;
}

#[tokio::test]
async fn services_know_each_other_by_tokens_for_one_request() {
    let running = started(SETTINGS, Service::new(router())).await;
    let peer = PeerTokens::new("analytics", Secrets::parse("between us"));
    let made = |audience, path| peer.sign(audience, &http::Method::GET, path).unwrap();
    let good = format!("X-Service-Token: {}", made("greeter", "/inner/peer"));
    assert_eq!(with(&running, "/inner/peer", &good).await.body, "analytics");
    let query = with(&running, "/inner/peer?a=b", &good).await;
    assert_eq!(query.body, "analytics");
    with(&running, "/caller", &good)
        .await
        .is_problem(401, "token-request");
    let other = format!("X-Service-Token: {}", made("auth", "/inner/peer"));
    with(&running, "/inner/peer", &other)
        .await
        .is_problem(401, "token-audience");
    // Neither kind of token is good for the other, even under one secret.
    let user = token("between us", Algorithm::HS256, &json!({ "aud": "greeter" }));
    let user = with(&running, "/inner/peer", &format!("X-Service-Token: {user}")).await;
    user.is_problem(401, "token-malformed");
    running.stop().await;
}

#[tokio::test]
async fn nothing_wrong_passes_beside_something_good() {
    let running = started(SETTINGS, Service::new(router())).await;
    let user = token("old", Algorithm::HS256, &json!({}));
    let both = |key| format!("Authorization: Bearer {user}\r\nX-API-Key: {key}");
    let answer = with(&running, "/caller", &both("key-one")).await;
    assert!(
        answer.body.starts_with("User(User { subject: \"42\""),
        "{answer:?}"
    );
    let answer = with(&running, "/caller", &both("wrong")).await;
    answer.is_problem(401, "key-unknown");
    let key = with(&running, "/caller", "X-API-Key: key-two").await;
    assert_eq!(key.body, "Key(ApiKey { position: 1 })");
    running.stop().await;
}
