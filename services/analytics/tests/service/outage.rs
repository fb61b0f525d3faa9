use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use testbed::cluster::Options;
use testbed::deadline;
use time::OffsetDateTime;
use tokio::sync::{Mutex, Notify};

use crate::scene::{Scene, TIMEOUT, minutes_ago, post, request};

const PATH: &str = "/analytics/metrics";
const SENDERS: u32 = 4;

/// A batch of three with ids of its own.
fn batch(number: u32, at: OffsetDateTime) -> Value {
    let requests: Vec<_> = (0..3)
        .map(|item| {
            let mut one = request(at, "/during", 200, 1.0);
            one["id"] = json!(format!("{number:08}-0000-4000-8000-{item:012}"));
            one
        })
        .collect();
    json!({ "requests": requests })
}

/// What was answered to which batch.
type Answers = Arc<Mutex<BTreeMap<u32, String>>>;

/// Sends batch after batch, whatever is answered, until it is told to stop.
async fn send(port: u16, first: u32, at: OffsetDateTime, answers: Answers, stop: Arc<Notify>) {
    for number in (first..).step_by(SENDERS as usize) {
        let body = batch(number, at);
        let answer = tokio::select! {
            () = stop.notified() => return,
            answer = post(port, PATH, "", &body) => answer,
        };
        let outcome = match answer.status {
            202 => "accepted".to_owned(),
            503 => answer.json()["type"].as_str().unwrap().to_owned(),
            _ => panic!("{answer:?}"),
        };
        answers.lock().await.insert(number, outcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_outlives_the_database() {
    let mut scene = Scene::new().await;
    let at = minutes_ago(2);
    let (answers, stop) = (Answers::default(), Arc::new(Notify::new()));
    let senders: Vec<_> = (0..SENDERS)
        .map(|first| send(scene.port, first, at, answers.clone(), stop.clone()))
        .map(tokio::spawn)
        .collect();
    let until = async |what: &str, least: usize, is_accepted: bool| {
        let enough = async || {
            let answers = answers.lock().await;
            let count = answers
                .values()
                .filter(|one| (*one == "accepted") == is_accepted);
            Ok((count.count() >= least).then_some(()))
        };
        deadline::until(what, TIMEOUT, enough).await.unwrap();
    };
    until("accepted batches", 50, true).await;
    // In the middle of whatever it does.
    scene.bed.cluster.kill().await;
    until("refused batches", 8, false).await;
    scene
        .get("/analytics/overview")
        .await
        .is_problem(503, "unavailable");
    assert_eq!(scene.get("/health/live").await.status, 200);
    scene.bed.cluster.restart(&Options::fast()).await.unwrap();
    let before = answers.lock().await.len();
    until("accepted batches", before + 50, true).await;
    for _ in &senders {
        stop.notify_one();
    }
    for sender in senders {
        sender.await.unwrap();
    }
    // What was accepted is there; what was refused is not, until it comes again.
    let answers = std::mem::take(&mut *answers.lock().await);
    for (number, outcome) in &answers {
        let answer = scene.post(PATH, "", &batch(*number, at)).await.json();
        match outcome.as_str() {
            "accepted" => assert_eq!(answer["repeated"], 3, "{number}: {answer}"),
            "urn:banyan:problem:unavailable" => assert_eq!(answer["accepted"], 3, "{number}"),
            "urn:banyan:problem:outcome-unknown" => {}
            other => panic!("{other}"),
        }
    }
    // Of each sender one more may have been under way.
    scene.until_rolled_up().await;
    let overview = scene.read("/analytics/overview").await;
    let counted = overview["services"][0]["requests"]["requests"]
        .as_u64()
        .unwrap();
    let rows: i64 = scene.value("select count(distinct id) from metrics").await;
    assert_eq!(counted, rows.unsigned_abs());
    assert!(counted >= 3 * answers.len() as u64);
}
