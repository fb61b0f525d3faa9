//! The interface: its document, and how much the service takes. Beside the real
//! monolith, which knows the parties and plots.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use std::time::{Duration, Instant};

use serde_json::json;
use testbed::http_client::{self, Call, Connection};
use testbed::scene::{Scene, Settings};
use testbed::schemathesis::Trial;
use testbed::{binaries, document};

const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_as_its_openapi_document_says() {
    // Parties and plots with the numbers that the examples have.
    let scene = Scene::set(&Settings::fast(10), &|_| {}).await.unwrap();
    let url = scene.service.url();
    let served = http_client::call(url, &Call::get("/openapi.json"), PATIENCE).await;
    let file = binaries::repository().join("services/contracts/openapi.json");
    document::hold(&served.unwrap().json(), &file).unwrap();
    let trial = Trial {
        document: &file.display().to_string(),
        url,
        headers: &["X-User-Id: 7"],
        without: &[],
    };
    trial.run(scene.directory().path()).await.unwrap();
    // The examples are good ones.
    let list = http_client::call(url, &Call::get("/api/contracts"), PATIENCE).await;
    assert!(list.unwrap().json()["count"].as_u64() > Some(0));
    let log = std::fs::read_to_string(scene.logs().join("contracts.log")).unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}

const LOAD_TIME: Duration = Duration::from_secs(20);
const CLIENTS: u32 = 16;

/// Asks again and again; how often per second.
async fn load(url: &str, call: impl Fn(u32) -> Call + Send + Sync + Clone + 'static) -> f64 {
    let started = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (call, mut connection) = (call.clone(), Connection::new(url).unwrap());
            tokio::spawn(async move {
                let mut answers = 0_u32;
                while started.elapsed() < LOAD_TIME {
                    let answer = connection.send(&call(client), PATIENCE).await.unwrap();
                    assert!(answer.status.is_success(), "{answer:?}");
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    let mut answers = 0;
    for client in clients {
        answers += client.await.unwrap();
    }
    f64::from(answers) / started.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, whose figures are in the README: run it alone, with --no-capture"]
async fn requests_per_second() {
    let scene = Scene::set(&Settings::durable(10), &|_| {}).await.unwrap();
    let url = scene.service.url();
    let new = |client: u32| {
        let contract = json!({
            "reference": format!("load-{client}"), "title": "Field", "seller": 1, "buyer": 2,
            "land_plot": 1, "price": "1.00", "tags": ["farm", "north"],
        });
        Call::post("/api/contracts", &contract)
    };
    let created = load(url, new).await;
    let shown = load(url, |client| {
        Call::get(format!("/api/contracts/{}", client + 1))
    })
    .await;
    let listed = load(url, |_| Call::get("/api/contracts?page_size=20")).await;
    println!("per second: created {created:.0}, shown {shown:.0}, listed {listed:.0}");
}
