use std::collections::BTreeSet;

use serde_json::{Value, json};
use testbed::deadline;

use crate::scene::{Mode, SMTP_PASSWORD, SMTP_USER, Scene, TIMEOUT};

fn welcome(name: &str, address: &str) -> Value {
    json!({
        "user_id": "7",
        "template": "welcome",
        "data": { "name": name },
        "channels": ["email"],
        "email": address,
    })
}

fn header<'a>(mail: &'a Value, name: &str) -> Vec<&'a str> {
    mail["headers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|header| header[0].as_str().unwrap().eq_ignore_ascii_case(name))
        .map(|header| header[1].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_arrives_over_starttls_and_tls_with_a_login() {
    for mode in [Mode::StartTls, Mode::Tls] {
        let scene = Scene::with(mode, &[]).await;
        let placed = scene.notify(welcome("Änn <b>", "ann@example.com")).await;
        let mail = &scene.until_mails(1).await[0];
        assert_eq!(mail["to"], json!(["ann@example.com"]));
        assert_eq!(mail["encrypted"], true);
        assert_eq!(mail["user"], SMTP_USER);
        assert_eq!(header(mail, "subject"), ["Welcome, Änn <b>"]);
        assert_eq!(header(mail, "from"), ["The Shop <shop@example.com>"]);
        let id = placed["deliveries"][0]["id"].as_str().unwrap();
        assert_eq!(header(mail, "message-id"), [format!("<{id}@example.com>")]);
        let parts = &mail["parts"];
        assert!(
            parts["text/plain"]
                .as_str()
                .unwrap()
                .contains("Hello Änn <b>,")
        );
        assert!(
            parts["text/html"]
                .as_str()
                .unwrap()
                .contains("Änn &lt;b&gt;")
        );
        scene.until_state(&placed, "sent").await;
        let log = scene.log();
        for secret in [SMTP_PASSWORD, "ann@example.com", "Änn"] {
            assert!(!log.contains(secret), "the log has {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_a_server_that_cannot_prove_its_name() {
    let none = [("SMTP_CA_FILE", "")];
    let scene = Scene::with(Mode::StartTls, &none).await;
    let placed = scene.notify(welcome("Ann", "ann@example.com")).await;
    let delivery = scene.until_state(&placed, "retrying").await;
    let reason = delivery["reason"].as_str().unwrap();
    assert!(reason.contains("certificate"), "{reason}");
    assert_eq!(scene.mails().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_another_password_loses_no_mail() {
    let wrong = [("SMTP_PASSWORD", "wrong-smtp-password")];
    let scene = Scene::with(Mode::StartTls, &wrong).await;
    let placed = scene.notify(welcome("Ann", "ann@example.com")).await;
    let delivery = scene.until_state(&placed, "retrying").await;
    assert!(
        delivery["reason"].as_str().unwrap().contains("535"),
        "{delivery}"
    );
    assert!(!scene.log().contains("wrong-smtp-password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_a_dead_letter_and_can_be_sent_again() {
    let scene = Scene::new().await;
    let unknown = scene.notify(welcome("Ann", "unknown@example.com")).await;
    let late = scene.notify(welcome("Bob", "late@example.com")).await;
    let busy = scene.notify(welcome("Eve", "busy@example.com")).await;
    let rejected = scene.until_state(&unknown, "rejected").await;
    assert_eq!(rejected["attempts"], 1);
    assert!(
        rejected["reason"].as_str().unwrap().contains("550"),
        "{rejected}"
    );
    scene.until_state(&late, "rejected").await;
    // Told to come again twice, it came a third time.
    let sent = scene.until_state(&busy, "sent").await;
    assert_eq!(sent["attempts"], 3);
    assert_eq!(sent["reason"], Value::Null);

    let letters = scene.get("/notifications/dead-letters").await.json();
    let letters = letters["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 2);
    for letter in letters {
        let path = format!(
            "/notifications/dead-letters/{}/replay",
            letter["id"].as_str().unwrap()
        );
        assert_eq!(scene.post(&path, json!(null)).await.status, 202);
    }
    scene.until_state(&late, "sent").await;
    scene.until_state(&unknown, "rejected").await;
    let id = busy["deliveries"][0]["id"].as_str().unwrap();
    let path = format!("/notifications/dead-letters/{id}/replay");
    scene
        .post(&path, json!(null))
        .await
        .is_problem(409, "not-dead");
    // What servers say about addresses stays out of the log.
    assert!(!scene.log().contains("unknown@example.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_dies_and_comes_back_costs_no_mail() {
    let mut scene = Scene::new().await;
    let mut wanted = BTreeSet::new();
    for number in 0..30 {
        if number == 10 {
            scene.kill_smtp().await;
        }
        let address = format!("user{number}@example.com");
        scene.notify(welcome("Ann", &address)).await;
        wanted.insert(address);
    }
    // They are being tried while nobody is there.
    let last = scene.notify(welcome("Ann", "last@example.com")).await;
    wanted.insert("last@example.com".to_owned());
    let delivery = scene.until_state(&last, "retrying").await;
    assert!(delivery["attempts"].as_i64().unwrap() >= 1);
    scene.start_smtp().await;
    deadline::poll("all mails", TIMEOUT, || {
        let arrived: BTreeSet<String> = scene
            .mails()
            .iter()
            .map(|mail| mail["to"][0].as_str().unwrap().to_owned())
            .collect();
        Ok((arrived == wanted).then_some(()))
    })
    .await
    .unwrap();
    scene.until_state(&last, "sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_sends_what_it_had_promised() {
    let mut scene = Scene::new().await;
    scene.kill_smtp().await;
    let mut placed = Vec::new();
    for number in 0..10 {
        let address = format!("user{number}@example.com");
        placed.push(scene.notify(welcome("Ann", &address)).await);
    }
    scene.kill().await;
    // A lease that the dead one held would end by itself, a minute later.
    let superuser = scene.bed.cluster.superuser("notification").await.unwrap();
    superuser
        .batch_execute(
            "update notification_service.outbox_deliveries set due_at = now() where lease is not null",
        )
        .await
        .unwrap();
    scene.start_smtp().await;
    scene.start().await;
    for one in &placed {
        scene.until_state(one, "sent").await;
    }
    assert_eq!(scene.mails().len(), 10);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_and_comes_back_costs_no_mail() {
    let mut scene = Scene::new().await;
    let before = scene.notify(welcome("Ann", "before@example.com")).await;
    scene.until_state(&before, "sent").await;
    scene.kill_smtp().await;
    let during = scene.notify(welcome("Ann", "during@example.com")).await;
    scene.bed.cluster.kill().await;
    let answer = scene
        .post("/notifications", welcome("Ann", "never@example.com"))
        .await;
    assert_eq!(answer.status, 503, "{answer:?}");
    scene.bed.cluster.start().await.unwrap();
    scene.start_smtp().await;
    deadline::until("the service to be ready", TIMEOUT, async || {
        let ready = scene.get("/health/ready").await;
        Ok((ready.status == 200).then_some(()))
    })
    .await
    .unwrap();
    deadline::until("the mail", TIMEOUT, async || {
        let arrived = scene.mails();
        Ok(arrived
            .iter()
            .any(|mail| mail["to"][0] == "during@example.com")
            .then_some(()))
    })
    .await
    .unwrap();
    scene.until_state(&during, "sent").await;
    let arrived = scene.mails();
    assert!(
        arrived
            .iter()
            .all(|mail| mail["to"][0] != "never@example.com")
    );
}
