//! Links by e-mail: from the request over the outbox to their use.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use kit::server::Running;
use kit::settings::{self, Address};
use kit::{ApiKey, Identity, Json, Kit, Service};
use serde_json::{Value, json};
use testbed::deadline;

use crate::scene::{PASSWORD, Scene, TIMEOUT, bearer, pair, registration};

const IDENTITY: Identity = Identity::new("notification", "1", 0);
const NEW_PASSWORD: &str = "Another-Password-1";

/// Stands where the notification service stands: a service of its own, on a
/// socket, that wants its key. What it was told, and how often it fails first.
#[derive(Clone, Default)]
struct Letterbox {
    letters: Arc<Mutex<Vec<Value>>>,
    failures: Arc<Mutex<u32>>,
}

impl Letterbox {
    async fn start(&self) -> Running {
        let letterbox = self.clone();
        let take = move |_: ApiKey, Json(event): Json<Value>| {
            let letterbox = letterbox.clone();
            async move {
                let mut failures = letterbox.failures.lock().unwrap();
                if *failures > 0 {
                    *failures -= 1;
                    return http::StatusCode::SERVICE_UNAVAILABLE;
                }
                letterbox.letters.lock().unwrap().push(event);
                http::StatusCode::ACCEPTED
            }
        };
        let settings = settings::read(&IDENTITY, &|name| {
            (name == "NOTIFICATION_SERVICE_API_KEY").then(|| "letters".to_owned())
        });
        let service = Service::new(Router::new().route("/notifications", post(take)));
        kit::server::start(Kit::new(IDENTITY, settings.unwrap()), service)
            .await
            .unwrap()
    }

    /// The last letter of this kind to this address, once it is there.
    async fn token(&self, template: &str, known: &[String]) -> String {
        let find = async || {
            let letters = self.letters.lock().unwrap();
            let mut links = letters
                .iter()
                .filter(|letter| letter["template"] == template);
            let found = links.find_map(|letter| {
                assert_eq!(letter["email"], "testuser@example.com");
                assert_eq!(letter["data"]["name"], "there");
                assert_eq!(letter["data"]["minutes"], 60);
                let link = letter["data"]["link"].as_str().unwrap();
                let start = format!("https://example.com/{template}?token=");
                let token = link.strip_prefix(&*start).unwrap().to_owned();
                (!known.contains(&token)).then_some(token)
            });
            Ok(found)
        };
        deadline::until("a letter", TIMEOUT, find).await.unwrap()
    }
}

async fn scene_with(letterbox: &Letterbox) -> (Scene, Running) {
    let notification = letterbox.start().await;
    let Address::Tcp { host, port } = notification.address() else {
        panic!("not on TCP")
    };
    let url = format!("http://{host}:{port}");
    let variables = [
        ("LINK_URL", "https://example.com/"),
        ("NOTIFICATION_URL", &*url),
        ("NOTIFICATION_SERVICE_API_KEY", "letters"),
    ];
    (Scene::new(&variables).await, notification)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_replaced_once() {
    let letterbox = Letterbox::default();
    // The notification service is away at first: nothing is lost.
    *letterbox.failures.lock().unwrap() = 2;
    let (scene, _notification) = scene_with(&letterbox).await;
    scene.register("testuser").await;
    let (access, _) = scene.tokens("testuser").await;
    let ask = json!({ "email": "TESTUSER@example.com" });
    assert_eq!(scene.post("/auth/password/reset", &ask).await.status, 202);
    let nobody = json!({ "email": "nobody@example.com" });
    assert_eq!(
        scene.post("/auth/password/reset", &nobody).await.status,
        202
    );
    let token = letterbox.token("reset-password", &[]).await;
    let kept = scene
        .text("select string_agg(l::text, ' ') from link l")
        .await;
    assert!(!kept.contains(&token));

    let confirm = async |token: &str, password: &str| {
        let body = json!({ "token": token, "new_password": password });
        scene.post("/auth/password/reset/confirm", &body).await
    };
    confirm(&token, "short")
        .await
        .is_problem(422, "invalid-content");
    confirm(&token.to_lowercase(), NEW_PASSWORD)
        .await
        .is_problem(400, "link-invalid");
    let verify = json!({ "token": token });
    scene
        .post("/auth/email/verify", &verify)
        .await
        .is_problem(400, "link-invalid");
    assert_eq!(confirm(&token, NEW_PASSWORD).await.status, 204);
    confirm(&token, "A-Third-Password-1")
        .await
        .is_problem(400, "link-invalid");

    scene
        .get("/auth/me", &access)
        .await
        .is_problem(401, "session-ended");
    scene
        .login("testuser@example.com", PASSWORD)
        .await
        .is_problem(401, "credentials-invalid");
    assert_eq!(
        scene
            .login("testuser@example.com", NEW_PASSWORD)
            .await
            .status,
        200
    );
    // Nobody was written to who is not there.
    let letters = letterbox.letters.lock().unwrap();
    assert!(
        letters
            .iter()
            .all(|letter| letter["email"] == "testuser@example.com")
    );
}

/// Whoever registers may have given the address of somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn no_letter_has_a_text_of_whoever_registered() {
    let letterbox = Letterbox::default();
    let (scene, _notification) = scene_with(&letterbox).await;
    let mut body = registration("testuser");
    body["first_name"] = json!("You won: https://evil.example/x");
    body["last_name"] = json!("See https://evil.example/y");
    assert_eq!(scene.post("/auth/register", &body).await.status, 201);
    letterbox.token("verify-email", &[]).await;
    let ask = json!({ "email": "testuser@example.com" });
    assert_eq!(scene.post("/auth/password/reset", &ask).await.status, 202);
    letterbox.token("reset-password", &[]).await;
    let letters = letterbox.letters.lock().unwrap();
    assert!(
        letters
            .iter()
            .all(|letter| !letter.to_string().contains("evil")),
        "{letters:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_void_when_it_is_late_or_the_password_is_another() {
    let letterbox = Letterbox::default();
    let (scene, _notification) = scene_with(&letterbox).await;
    scene.register("testuser").await;
    let ask = json!({ "email": "testuser@example.com" });
    let mut known = Vec::new();
    for change in [
        "update link set expires_at = now() where purpose = 'password-reset'",
        "update auth_user set password = 'pbkdf2_sha256$1$salt$aGFzaGhhc2g='",
    ] {
        assert_eq!(scene.post("/auth/password/reset", &ask).await.status, 202);
        let token = letterbox.token("reset-password", &known).await;
        scene.sql(change).await;
        let body = json!({ "token": token, "new_password": NEW_PASSWORD });
        scene
            .post("/auth/password/reset/confirm", &body)
            .await
            .is_problem(400, "link-invalid");
        known.push(token);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_asked_for_so_often_and_no_more() {
    let scene = Scene::new(&[
        ("LOGIN_FAILURES_PER_ACCOUNT", "2"),
        ("REQUESTS_PER_ADDRESS", "4"),
    ])
    .await;
    scene.register("testuser").await;
    let ask = async |name: &str| {
        let body = json!({ "email": format!("{name}@example.com") });
        scene
            .post_by(
                "/auth/password/reset",
                "X-Forwarded-For: 192.0.2.1\r\n",
                &body,
            )
            .await
    };
    for name in ["testuser", "nobody"] {
        assert_eq!(ask(name).await.status, 202);
        assert_eq!(ask(&name.to_uppercase()).await.status, 202);
        ask(name).await.is_problem(429, "throttled");
    }
    ask("another").await.is_problem(429, "throttled");
    let links = "select count(*)::text from link where purpose = 'password-reset'";
    assert_eq!(scene.text(links).await, "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_verified_as_long_as_it_is_the_users() {
    let letterbox = Letterbox::default();
    let (scene, _notification) = scene_with(&letterbox).await;
    scene.register("testuser").await;
    let (access, _) = scene.tokens("testuser").await;
    let first = letterbox.token("verify-email", &[]).await;
    let asked = scene
        .post_by("/auth/email/verify/request", &bearer(&access), &Value::Null)
        .await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let second = letterbox
        .token("verify-email", std::slice::from_ref(&first))
        .await;
    let verify = async |token: &str| {
        scene
            .post("/auth/email/verify", &json!({ "token": token }))
            .await
    };
    assert_eq!(verify(&first).await.status, 204);
    verify(&first).await.is_problem(400, "link-invalid");
    let verified = async || scene.get("/auth/me", &access).await.json()["email_verified"].clone();
    assert_eq!(verified().await, true);
    scene
        .sql("update auth_user set email = 'other@example.com'")
        .await;
    assert_eq!(verified().await, false);
    verify(&second).await.is_problem(400, "link-invalid");
    assert_eq!(verified().await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_their_password_stays_and_others_go() {
    let scene = Scene::new(&[("LOGIN_FAILURES_PER_ACCOUNT", "2")]).await;
    scene.register("testuser").await;
    let (access, refresh) = scene.tokens("testuser").await;
    let (other_access, other_refresh) = scene.tokens("testuser").await;
    let change = async |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        scene
            .post_by("/auth/password/change", &bearer(&access), &body)
            .await
    };
    change(PASSWORD, "12345678901")
        .await
        .is_problem(422, "invalid-content");
    change("Wrong-Password-1", NEW_PASSWORD)
        .await
        .is_problem(422, "invalid-content");
    assert_eq!(change(PASSWORD, NEW_PASSWORD).await.status, 204);
    assert_eq!(scene.get("/auth/me", &access).await.status, 200);
    assert_eq!(scene.refresh(&refresh).await.status, 200);
    scene
        .get("/auth/me", &other_access)
        .await
        .is_problem(401, "session-ended");
    scene
        .refresh(&other_refresh)
        .await
        .is_problem(401, "session-ended");
    let answer = scene.login("testuser@example.com", NEW_PASSWORD).await;
    pair(&answer);
    // Who has found an open session does not find the password by it.
    for _ in 0..2 {
        change("Wrong-Password-1", PASSWORD)
            .await
            .is_problem(422, "invalid-content");
    }
    change(NEW_PASSWORD, PASSWORD)
        .await
        .is_problem(429, "throttled");
}

/// The newest session is there again only when somebody puts it back.
const TAKEN_OUT: &str = "create table late as \
     select * from session order by created_at desc limit 1; \
     delete from session where id in (select id from late)";
/// Whoever writes a user's sessions waits for this one.
const HELD: &str = "set search_path = identity_service; begin; \
     select from session order by created_at desc limit 1 for update";
const WAITING: &str = "select count(*)::text from pg_stat_activity \
     where wait_event_type = 'Lock' and query like 'update session %'";

/// A login that was let in by the old password may write its session while the
/// password is changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_comes_during_a_change_goes_like_the_others() {
    let scene = Scene::new(&[]).await;
    scene.register("testuser").await;
    let (access, _) = scene.tokens("testuser").await;
    scene.tokens("testuser").await;
    let (late_access, _) = scene.tokens("testuser").await;
    scene.sql(TAKEN_OUT).await;
    let login = scene.cluster.superuser("identity").await.unwrap();
    login.batch_execute(HELD).await.unwrap();
    let headers = bearer(&access);
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    let change = scene.post_by("/auth/password/change", &headers, &body);
    let come = async {
        let waits = async || Ok((scene.text(WAITING).await != "0").then_some(()));
        deadline::until("the change to be under way", TIMEOUT, waits)
            .await
            .unwrap();
        let comes = "insert into session select * from late; commit";
        login.batch_execute(comes).await.unwrap();
    };
    let (changed, ()) = tokio::join!(change, come);
    assert_eq!(changed.status, 204, "{changed:?}");
    assert_eq!(scene.get("/auth/me", &access).await.status, 200);
    scene
        .get("/auth/me", &late_access)
        .await
        .is_problem(401, "session-ended");
    let going_on = "select count(*)::text from session where ended_at is null";
    assert_eq!(scene.text(going_on).await, "1");
}
