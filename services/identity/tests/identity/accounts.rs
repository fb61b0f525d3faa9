//! What is done with other people's accounts, and the log of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::scene::{PASSWORD, Scene, bearer};

const KEY: &str = "X-API-Key: auth-key\r\n";

fn roles_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["roles"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_set_by_those_who_may() {
    let scene = Scene::new(&[]).await;
    let id = scene.register("testuser").await.json()["id"].clone();
    scene.register("root").await;
    scene
        .sql("update auth_user set is_superuser = true, is_staff = true where username = 'root'")
        .await;
    let (access, _) = scene.tokens("testuser").await;
    let (root, _) = scene.tokens("root").await;
    assert_eq!(roles_of(&access), json!([]));
    assert_eq!(roles_of(&root), json!(["staff", "superuser"]));
    let path = format!("/auth/users/{id}/roles");
    let set = async |headers: &str, roles: Value| {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        let body = json!({ "roles": roles }).to_string();
        scene.send(&format!("PUT {path}"), &headers, &body).await
    };
    set("", json!(["a"]))
        .await
        .is_problem(401, "credential-missing");
    set("X-API-Key: wrong\r\n", json!(["a"]))
        .await
        .is_problem(401, "key-unknown");
    set(&bearer(&access), json!(["a"]))
        .await
        .is_problem(403, "forbidden");
    set(KEY, json!(["superuser"]))
        .await
        .is_problem(422, "invalid-content");
    assert_eq!(
        set(KEY, json!(["clerk", "notary", "clerk"])).await.json()["roles"],
        json!(["clerk", "notary"])
    );
    assert_eq!(
        set(&bearer(&root), json!(["notary"])).await.json()["roles"],
        json!(["notary"])
    );
    let read = scene.send(&format!("GET {path}"), KEY, "").await;
    assert_eq!(read.json()["roles"], json!(["notary"]));
    let (access, _) = scene.tokens("testuser").await;
    assert_eq!(roles_of(&access), json!(["notary"]));
    let nobody = scene.send("GET /auth/users/999/roles", KEY, "").await;
    nobody.is_problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_what_happened_and_shows_what_was_done_to_it() {
    let scene = Scene::new(&[]).await;
    let id = scene.register("testuser").await.json()["id"].clone();
    let body = json!({ "email": "testuser@example.com", "password": PASSWORD });
    let answer = scene
        .post_by("/auth/login", "X-Forwarded-For: 192.0.2.1\r\n", &body)
        .await;
    assert_eq!(answer.status, 200);
    scene
        .login("testuser@example.com", "Wrong-Password-1")
        .await;
    scene.login("nobody@example.com", "Wrong-Password-1").await;
    let (_, refresh) = crate::scene::pair(&answer);
    scene.refresh(&refresh).await;
    scene.refresh(&refresh).await;
    let log = scene.send("GET /auth/audit", KEY, "").await;
    let events = log.json()["events"].clone();
    let seen: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["kind"].as_str().unwrap(),
                one["event"][one["kind"].as_str().unwrap()]["user"].clone(),
            )
        })
        .collect();
    let expected = [
        ("Registered", id.clone()),
        ("LoggedIn", id.clone()),
        ("LoginFailed", id.clone()),
        ("LoginFailed", Value::Null),
        ("RefreshReplayed", id),
    ];
    assert_eq!(seen, expected);
    assert_eq!(events[1]["event"]["LoggedIn"]["address"], "192.0.2.1");
    let page = scene.send("GET /auth/audit?after=3&limit=1", KEY, "").await;
    assert_eq!(page.json()["events"][0]["version"], 4);
    scene
        .send("GET /auth/audit?after=x", KEY, "")
        .await
        .is_problem(422, "invalid-content");
    scene
        .send("GET /auth/audit", "", "")
        .await
        .is_problem(401, "credential-missing");
    let verify = async || scene.send("GET /auth/audit/verify", KEY, "").await.json();
    assert_eq!(verify().await["whole"], true);
    scene
        .sql(
            "alter table ledger disable trigger all; \
             update ledger set payload = replace(payload, '192.0.2.1', '192.0.2.2')",
        )
        .await;
    assert_eq!(verify().await["whole"], false);
}
