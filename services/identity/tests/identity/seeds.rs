//! The seeds' calls, as written there.

use serde_json::json;
use tokio::task::JoinSet;

use crate::scene::{PASSWORD, Scene, bearer, pair, send};

/// Seed 000's registration, then seed 003's login, refresh and me.
#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_calls_work_as_written() {
    let scene = Scene::new(&[]).await;
    let body = r#"{
    "username": "testuser",
    "email": "test@example.com",
    "password": "SecurePassword123!",
    "first_name": "Test",
    "last_name": "User"
  }"#;
    // The gateway's own key is nothing to us.
    let headers = "X-API-Key: staging-client-1\r\nContent-Type: application/json\r\n";
    let registered = scene.send("POST /auth/register", headers, body).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    assert_eq!(registered.json()["username"], "testuser");
    assert_eq!(registered.json()["email_verified"], false);
    assert!(!registered.body.contains(PASSWORD));

    let answer = scene.login("test@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let fields: Vec<_> = answer.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["access_token", "refresh_token", "token_type"]);
    assert_eq!(answer.json()["token_type"], "bearer");

    let (access, refresh) = pair(&answer);
    let refreshed = scene.refresh(&refresh).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    let (second_access, second_refresh) = pair(&refreshed);
    assert!(second_refresh != refresh && second_access != access);
    for token in [&access, &second_access] {
        let me = scene.get("/auth/me", token).await;
        assert_eq!(me.status, 200, "{me:?}");
        assert_eq!(me.json()["email"], "test@example.com");
        assert_eq!(me.json()["id"], registered.json()["id"]);
    }
    assert_eq!(
        scene
            .send("POST /auth/logout", &bearer(&access), "")
            .await
            .status,
        204
    );
    scene
        .get("/auth/me", &second_access)
        .await
        .is_problem(401, "session-ended");
    scene
        .refresh(&second_refresh)
        .await
        .is_problem(401, "session-ended");
}

const JSON: &str = "Content-Type: application/json\r\n";

/// Line, headers, body; status and kind of the problem.
const REFUSED: &[(&str, &str, &str, u16, &str)] = &[
    ("POST /auth/login", JSON, "{", 400, "malformed-json"),
    ("POST /auth/login", JSON, "", 400, "malformed-json"),
    ("POST /auth/login", JSON, "{}", 422, "invalid-content"),
    (
        "POST /auth/login",
        JSON,
        r#"{"email": 7, "password": "x"}"#,
        422,
        "invalid-content",
    ),
    (
        "POST /auth/login",
        JSON,
        r#"{"email": "a@b", "password": ["x"]}"#,
        422,
        "invalid-content",
    ),
    (
        "POST /auth/login",
        JSON,
        r#"{"email": "", "password": "x"}"#,
        422,
        "invalid-content",
    ),
    (
        "POST /auth/login",
        JSON,
        r#"{"email": "a\u0000", "password": "x"}"#,
        422,
        "invalid-content",
    ),
    (
        "POST /auth/login",
        JSON,
        r#"{"email": "a", "username": "b", "password": "x"}"#,
        422,
        "invalid-content",
    ),
    (
        "POST /auth/login",
        "Content-Type: text/xml\r\n",
        "<a/>",
        415,
        "unsupported-media-type",
    ),
    (
        "POST /auth/register",
        JSON,
        r#"{"username": "a"}"#,
        422,
        "invalid-content",
    ),
    ("GET /auth/login", "", "", 405, "method-not-allowed"),
    ("GET /auth/../etc/passwd", "", "", 404, "not-found"),
    (
        "GET /auth/users/7;drop/roles",
        "X-API-Key: auth-key\r\n",
        "",
        404,
        "not-found",
    ),
    ("GET /auth/me", "", "", 401, "credential-missing"),
    ("POST /auth/refresh", "", "", 401, "credential-missing"),
    (
        "POST /auth/refresh",
        "Authorization: Bearer \u{e9}\r\n",
        "",
        401,
        "credential-missing",
    ),
    (
        "POST /auth/refresh",
        "Authorization: Basic YTpi\r\n",
        "",
        401,
        "credential-missing",
    ),
    (
        "POST /auth/refresh",
        "Authorization: Bearer x\r\n",
        "",
        401,
        "token-unknown",
    ),
    (
        "POST /auth/refresh",
        "Authorization: Bearer ' or 1=1 --\r\n",
        "",
        401,
        "token-unknown",
    ),
    (
        "GET /auth/me",
        "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        "",
        400,
        "malformed-request",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_told_so() {
    let scene = Scene::new(&[]).await;
    for (line, headers, body, status, kind) in REFUSED {
        scene
            .send(line, headers, body)
            .await
            .is_problem(*status, kind);
    }
    let large = format!("{{\"email\": \"{}\"}}", "x".repeat(20_000));
    let answer = scene.send("POST /auth/login", JSON, &large).await;
    answer.is_problem(413, "body-too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_there_is_not_registered_again() {
    let scene = Scene::new(&[]).await;
    scene.register("testuser").await;
    let variants: [(&str, &str); 4] = [
        ("testuser", "other@example.com"),
        ("TestUser", "other@example.com"),
        ("other", "testuser@example.com"),
        ("other", "TESTUSER@EXAMPLE.COM"),
    ];
    for (username, email) in variants {
        let body = json!({ "username": username, "email": email, "password": PASSWORD });
        scene
            .post("/auth/register", &body)
            .await
            .is_problem(409, "account-exists");
    }
    let body = json!({ "username": "ﬁsh", "email": "fish@example.com", "password": PASSWORD });
    scene
        .post("/auth/register", &body)
        .await
        .is_problem(422, "invalid-content");

    // Of many at once one is it.
    let body = json!({ "username": "many", "email": "many@example.com", "password": PASSWORD });
    let mut answers = JoinSet::new();
    for _ in 0..6 {
        let (address, body) = (scene.running.address().clone(), body.to_string());
        answers.spawn(async move {
            let headers = "Content-Type: application/json\r\n";
            send(&address, "POST /auth/register", headers, &body)
                .await
                .status
        });
    }
    let mut statuses = answers.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
}
