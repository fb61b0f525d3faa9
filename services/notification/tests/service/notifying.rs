use axum::http::Method;
use serde_json::{Value, json};

use crate::scene::{Mode, Scene};

fn message(text: &str) -> Value {
    json!({
        "user_id": "7",
        "template": "message",
        "data": { "subject": "News", "text": text },
        "channels": ["email"],
        "email": "ann@example.com",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_one_notification_of_many_requests() {
    let scene = Scene::new().await;
    let send = async |key: &str, body: &Value| {
        let call = scene.client.post("/notifications").key();
        let call = call.header("idempotency-key", key).json(body);
        call.send().await.unwrap()
    };
    let first = send("k-1", &message("a")).await;
    assert_eq!(first.status, 202, "{first:?}");
    for _ in 0..3 {
        let again = send("\"k-1\"", &message("a")).await;
        assert_eq!((again.status, &again.body), (202, &first.body));
        assert_eq!(again.headers["idempotent-replayed"], "true");
    }
    send("k-1", &message("b"))
        .await
        .is_problem(422, "idempotency-key-reused");
    send("", &message("b"))
        .await
        .is_problem(400, "idempotency-key");
    // What was refused has used no key.
    let unknown = json!({ "user_id": "7", "template": "nothing" });
    send("k-2", &unknown)
        .await
        .is_problem(422, "invalid-content");
    assert_eq!(send("k-2", &message("c")).await.status, 202);
    let list = scene.get("/notifications?user_id=7").await.json();
    assert_eq!(list["notifications"].as_array().unwrap().len(), 2);
    scene.until_mails(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_limited_per_user_and_channel_and_leaves_nothing() {
    let few = [("NOTIFICATION_BURST", "3"), ("NOTIFICATION_REFILL", "3600")];
    let scene = Scene::with(Mode::Plain, &few).await;
    let many = (0..10).map(|_| scene.post("/notifications", message("a")));
    let answers = futures_util::future::join_all(many).await;
    let taken = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(taken, 3);
    let refused = answers.iter().find(|answer| answer.status != 202).unwrap();
    refused.is_problem(429, "burst-limit");
    let wait: u32 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((3000..=3601).contains(&wait), "{wait}");
    let list = scene.get("/notifications?user_id=7").await.json();
    assert_eq!(list["notifications"].as_array().unwrap().len(), 3);
    // Others, and other channels, have their own.
    let mut other = message("a");
    other["user_id"] = json!("8");
    scene.notify(other).await;
    let mut push = message("a");
    push["channels"] = json!(["push"]);
    scene.notify(push).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_decide_and_belong_to_their_user() {
    let scene = Scene::new().await;
    let path = "/notifications/preferences/7";
    let wanted = json!({ "email": "own@example.com", "off": ["push"], "muted": ["news"] });
    let put = |user: &str| {
        scene
            .client
            .call(Method::PUT, path)
            .user(user)
            .json(&wanted)
    };
    put("8").send().await.unwrap().is_problem(403, "forbidden");
    assert_eq!(put("7").send().await.unwrap().status, 200);
    assert_eq!(scene.get(path).await.json(), wanted);

    let ask = |category: &str| {
        json!({
            "user_id": "7", "template": "message", "category": category,
            "data": { "subject": "s", "text": "t" },
        })
    };
    let states = |placed: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        placed["deliveries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(&one["channel"]), text(&one["state"])))
            .collect()
    };
    let pairs = |pairs: [(&str, &str); 3]| pairs.map(|(a, b)| (a.to_owned(), b.to_owned()));
    let general = scene.notify(ask("general")).await;
    let expected = pairs([
        ("email", "queued"),
        ("push", "suppressed"),
        ("webhook", "suppressed"),
    ]);
    assert_eq!(states(&general), expected);
    let news = scene.notify(ask("news")).await;
    let expected = pairs([
        ("email", "suppressed"),
        ("push", "suppressed"),
        ("webhook", "suppressed"),
    ]);
    assert_eq!(states(&news), expected);
    let security = scene.notify(ask("security")).await;
    let expected = pairs([
        ("email", "queued"),
        ("push", "sent"),
        ("webhook", "suppressed"),
    ]);
    assert_eq!(states(&security), expected);
    let mails = scene.until_mails(2).await;
    assert!(mails.iter().all(|mail| mail["to"][0] == "own@example.com"));

    // A user reads what is theirs, and asks for nothing.
    let own = |user: &str| scene.client.get("/notifications").user(user).send();
    assert_eq!(
        own("7").await.unwrap().json()["notifications"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        own("8").await.unwrap().json()["notifications"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let one = format!("/notifications/{}", general["id"].as_str().unwrap());
    assert_eq!(
        scene
            .client
            .get(&one)
            .user("7")
            .send()
            .await
            .unwrap()
            .status,
        200
    );
    let others = scene.client.get(&one).user("8").send().await.unwrap();
    others.is_problem(404, "not-found");
    let asks = scene
        .client
        .post("/notifications")
        .user("7")
        .json(&ask("general"));
    asks.send().await.unwrap().is_problem(403, "forbidden");
}
