use testbed::binaries;
use testbed::schemathesis::Trial;

use crate::scene::{KEY, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_as_its_openapi_document_says() {
    let scene = Scene::new().await;
    let document = binaries::repository().join("services/notification/openapi.json");
    let trial = Trial {
        document: &document.display().to_string(),
        url: &format!("http://127.0.0.1:{}", scene.client.port),
        headers: &[&format!("X-API-Key: {KEY}")],
        // A WebSocket; no client of it may hang.
        without: &["/notifications/stream"],
    };
    trial.run(scene.bed.directory.path()).await.unwrap();
    assert!(!scene.log().contains("ERROR"));
}
