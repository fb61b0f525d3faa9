use testbed::schemathesis::Trial;
use testbed::{binaries, document};

use crate::scene::{PASSWORD, Scene, bearer};

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_as_its_openapi_document_says() {
    // Nothing is refused for coming often: all addresses are to be tried.
    let scene = Scene::new(&[
        ("REQUESTS_PER_ADDRESS", "1000000"),
        ("LOGIN_FAILURES_PER_ADDRESS", "1000000"),
        ("LOGIN_FAILURES_PER_ACCOUNT", "1000000"),
    ])
    .await;
    let served = scene.send("GET /openapi.json", "", "").await.json();
    let file = binaries::repository().join("services/identity/openapi.json");
    document::hold(&served, &file).unwrap();
    scene.register("testuser").await;
    scene.sql("update auth_user set is_superuser = true").await;
    let (access, _) = scene.tokens("testuser").await;
    let token = bearer(&access);
    let url = format!("http://127.0.0.1:{}", scene.port());
    let trial = Trial {
        document: &file.display().to_string(),
        url: &url,
        headers: &["X-API-Key: auth-key", token.trim()],
        // It would end the session that all others are tried with.
        without: &["/auth/logout"],
    };
    trial.run(scene.directory().path()).await.unwrap();
    let last = scene.login("testuser@example.com", PASSWORD).await;
    assert_eq!(last.status, 200, "{last:?}");
}
