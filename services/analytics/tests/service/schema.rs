use testbed::schemathesis::Trial;
use testbed::{binaries, document};

use crate::scene::{KEY, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_as_its_openapi_document_says() {
    let scene = Scene::new().await;
    let served = scene.send("GET /openapi.json", "", "").await.json();
    let file = binaries::repository().join("services/analytics/openapi.json");
    document::hold(&served, &file).unwrap();
    let url = format!("http://127.0.0.1:{}", scene.port);
    let trial = Trial {
        document: &file.display().to_string(),
        url: &url,
        headers: &[&format!("X-API-Key: {KEY}")],
        without: &[],
    };
    trial.run(scene.bed.directory.path()).await.unwrap();
    assert!(!scene.log().contains("ERROR"));
}
