//! The interface as its document has it, beside the real monolith, which knows
//! the parties and plots.

use std::time::Duration;

use testbed::http_client::{self, Call};
use testbed::scene::{Scene, Settings};
use testbed::schemathesis::Trial;
use testbed::{binaries, document};

const TIMEOUT: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_as_its_openapi_document_says() {
    // Parties and plots with the numbers that the examples have.
    let scene = Scene::set(&Settings::fast(10), &|_| {}).await.unwrap();
    let url = scene.service.url();
    let served = http_client::call(url, &Call::get("/openapi.json"), TIMEOUT).await;
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
    let list = http_client::call(url, &Call::get("/api/contracts"), TIMEOUT).await;
    assert!(list.unwrap().json()["count"].as_u64() > Some(0));
    let log = std::fs::read_to_string(scene.logs().join("contracts.log")).unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}
