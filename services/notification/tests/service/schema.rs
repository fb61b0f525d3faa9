use std::time::Duration;

use testbed::binaries;
use testbed::process::{self, Spec};
use testbed::python::Environment;

use crate::scene::{KEY, Scene};

/// Some hundred requests on a machine with other work.
const LIMIT: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_as_its_openapi_document_says() {
    let scene = Scene::new().await;
    let here = binaries::repository().join("services/notification/tests/service/schemathesis");
    let python = Environment::ensure(&here.join("requirements.txt"))
        .await
        .unwrap();
    let url = format!("http://127.0.0.1:{}", scene.client.port);
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                  response_schema_conformance";
    // A WebSocket is none of its business, and no client of it may hang.
    let spec = Spec::new("schemathesis", python.program("schemathesis"))
        .arg("run")
        .arg(binaries::repository().join("services/notification/openapi.json"))
        .args(["--url", &url, "--header", &format!("X-API-Key: {KEY}")])
        .args(["--checks", checks, "--max-examples", "15", "--seed", "7"])
        .args(["--phases", "examples,coverage,fuzzing", "--no-color"])
        .args(["--exclude-path", "/notifications/stream"])
        .args([
            "--request-timeout",
            "20",
            "--generation-database",
            ":memory:",
        ])
        .directory(scene.directory.path());
    let finished = process::run(&spec, LIMIT).await.unwrap();
    finished.successful().unwrap();
    assert!(!scene.log().contains("ERROR"));
}
