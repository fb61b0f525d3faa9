use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testbed::deadline;

use crate::scene::{Mode, Scene, TIMEOUT};

/// Remembers what it gets; answers what it is told to, the last answer for ever.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<Vec<u16>>>,
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.got.lock().unwrap().push((headers, body));
    let mut answers = receiver.answers.lock().unwrap();
    let answer = if answers.len() > 1 {
        answers.remove(0)
    } else {
        answers[0]
    };
    StatusCode::from_u16(answer).unwrap()
}

impl Receiver {
    async fn start(answers: &[u16]) -> (Self, String) {
        let receiver = Self::default();
        receiver.answers.lock().unwrap().extend(answers);
        let router = Router::new().route("/hook", post(take));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?a=1", listener.local_addr().unwrap());
        let router = router.with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    async fn until(&self, count: usize) -> Vec<(HeaderMap, Bytes)> {
        deadline::poll(&format!("{count} calls"), TIMEOUT, || {
            let got = self.got.lock().unwrap().clone();
            Ok((got.len() >= count).then_some(got))
        })
        .await
        .unwrap()
    }
}

async fn add(scene: &Scene, url: &str) -> Value {
    let call = scene.client.post("/notifications/webhooks").user("7");
    let answer = call.json(&json!({ "url": url })).send().await.unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

async fn notify(scene: &Scene, text: &str) -> Value {
    scene
        .notify(json!({
            "user_id": "7", "template": "message", "channels": ["webhook"],
            "data": { "subject": "s", "text": text },
        }))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_signed_tried_again_and_in_order() {
    let scene = Scene::new().await;
    let (receiver, url) = Receiver::start(&[503, 503, 200]).await;
    let hook = add(&scene, &url).await;
    let first = notify(&scene, "first").await;
    notify(&scene, "second").await;
    let got = receiver.until(4).await;
    let texts: Vec<Value> = got
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["data"]["text"].clone())
        .collect();
    assert_eq!(texts, ["first", "first", "first", "second"]);
    let sent = scene.until_state(&first, "sent").await;
    assert_eq!(sent["attempts"], 3);

    let secret = hook["secret"]
        .as_str()
        .unwrap()
        .strip_prefix("whsec_")
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(secret).unwrap());
    for (headers, body) in &got {
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let mut signed =
            format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(body);
        let signature = text("webhook-signature");
        let tag = STANDARD
            .decode(signature.strip_prefix("v1,").unwrap())
            .unwrap();
        hmac::verify(&key, &signed, &tag).unwrap();
    }
    // A repeat has the id of the first try.
    assert_eq!(got[0].0["webhook-id"], got[2].0["webhook-id"]);
    assert_ne!(got[2].0["webhook-id"], got[3].0["webhook-id"]);
    let list = scene
        .client
        .get("/notifications/webhooks")
        .user("7")
        .send()
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&list.body).contains(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_or_removed_is_called_no_more() {
    let scene = Scene::new().await;
    let (receiver, url) = Receiver::start(&[410]).await;
    add(&scene, &url).await;
    let first = notify(&scene, "first").await;
    scene.until_state(&first, "rejected").await;
    let second = notify(&scene, "second").await;
    assert_eq!(second["deliveries"][0]["state"], "suppressed");
    assert_eq!(receiver.got.lock().unwrap().len(), 1);

    let (other, url) = Receiver::start(&[302]).await;
    let hook = add(&scene, &url).await;
    let third = notify(&scene, "third").await;
    scene.until_state(&third, "rejected").await;
    assert_eq!(other.got.lock().unwrap().len(), 1);
    let path = format!("/notifications/webhooks/{}", hook["id"].as_str().unwrap());
    let remove = |user: &str| scene.client.call(Method::DELETE, &path).user(user).send();
    remove("8").await.unwrap().is_problem(404, "not-found");
    assert_eq!(remove("7").await.unwrap().status, 204);
    let fourth = notify(&scene, "fourth").await;
    assert_eq!(fourth["deliveries"][0]["state"], "suppressed");
}

const WAITING: &str = "select count(*) from pg_stat_activity \
     where wait_event_type = 'Lock' and datname = current_database()";

#[tokio::test(flavor = "multi_thread")]
async fn a_web_hook_that_is_just_being_removed_costs_no_notification() {
    let scene = Scene::new().await;
    add(&scene, "http://127.0.0.1:1/hook").await;
    let client = || scene.bed.cluster.superuser("notification");
    let (removing, looking) = (client().await.unwrap(), client().await.unwrap());
    let remove = "begin; delete from notification_service.webhooks";
    removing.batch_execute(remove).await.unwrap();
    let end = async {
        let waits = async || {
            let count: i64 = looking.query_one(WAITING, &[]).await.unwrap().get(0);
            Ok((count > 0).then_some(()))
        };
        deadline::until("the notification to wait", TIMEOUT, waits)
            .await
            .unwrap();
        removing.batch_execute("commit").await.unwrap();
    };
    let (placed, ()) = tokio::join!(notify(&scene, "x"), end);
    assert_eq!(placed["deliveries"][0]["state"], "suppressed");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_a_web_hook_does_not_lead_inside() {
    let scene = Scene::with(Mode::Plain, &[("NOTIFICATION_WEBHOOKS", "public")]).await;
    for url in [
        "http://example.com/",
        "https://127.0.0.1:8001/",
        "https://[::1]/",
    ] {
        let call = scene.client.post("/notifications/webhooks").user("7");
        let answer = call.json(&json!({ "url": url })).send().await.unwrap();
        answer.is_problem(422, "invalid-content");
    }
    // A name that leads inside is found out when it is called.
    add(&scene, "https://localhost:1/hook").await;
    let placed = notify(&scene, "x").await;
    let delivery = scene.until_state(&placed, "retrying").await;
    assert_eq!(delivery["reason"], "the host has no public address");
    for number in 0..4 {
        add(&scene, &format!("https://example.com/{number}")).await;
    }
    let call = scene.client.post("/notifications/webhooks").user("7");
    let answer = call
        .json(&json!({ "url": "https://example.com/" }))
        .send()
        .await;
    answer.unwrap().is_problem(409, "too-many-webhooks");
}
