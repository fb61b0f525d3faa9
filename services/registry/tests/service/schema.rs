use testbed::binaries;
use testbed::schemathesis::Trial;

use crate::scene::{KEY, Scene};
use crate::upstream::Upstream;

/// `openapi.json` is for people and programs that have no registry at hand.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_what_is_published() {
    let scene = Scene::new().await;
    let served = scene.registry().send("GET /openapi.json", "", "").await;
    let served = serde_json::to_string_pretty(&served.json()).unwrap() + "\n";
    let path = binaries::repository().join("services/registry/openapi.json");
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    if served != published {
        let new = binaries::target().unwrap().join("registry-openapi.json");
        std::fs::write(&new, served).unwrap();
        panic!(
            "{} has changed: copy {} over it",
            path.display(),
            new.display()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_as_its_openapi_document_says() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let upstream = Upstream::start().await;
    registry.external(&upstream.told("michigan")).await;
    let url = registry.url();
    let trial = Trial {
        document: &format!("{url}/openapi.json"),
        url: &url,
        headers: &[&format!("X-API-Key: {KEY}")],
        // An answer without an end.
        without: &["/registry/watch"],
    };
    trial.run(scene.bed.directory.path()).await.unwrap();
    assert!(!scene.log(0).contains("ERROR"));
}
