//! The service as a process, on a PostgreSQL of its own.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use std::time::Duration;

use serde_json::{Value, json};
use testbed::deadline;
use testbed::http_client::{Answer, Call, Connection};
use testbed::ports;
use testbed::process::Process;
use testbed::service_bed::ServiceBed;

const TIMEOUT: Duration = Duration::from_mins(1);
const KEY: &str = "test-{{name}}-key";

/// What stands; the service ends first.
struct Scene {
    service: Process,
    port: u16,
    bed: ServiceBed,
}

impl Scene {
    async fn new() -> Self {
        let program = env!("CARGO_BIN_EXE_{{name}}");
        let mut bed = ServiceBed::create("{{name}}", program).await.unwrap();
        bed.set(&[("{{NAME}}_SERVICE_API_KEY", KEY)]);
        let port = ports::free().unwrap();
        let service = bed.start("{{name}}", port).await.unwrap();
        Self { service, port, bed }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn restart(&mut self) {
        self.service.kill().await;
        self.service = self.bed.start("{{name}}", self.port).await.unwrap();
    }

    async fn send(&self, call: Call) -> Answer {
        let client = Connection::new(&self.url()).unwrap();
        let mut client = client.header("x-api-key", KEY);
        client.send(&call, TIMEOUT).await.unwrap()
    }

    async fn keep(&self, note: &Value) -> Answer {
        self.send(Call::post("/{{name}}/notes", note)).await
    }

    async fn show(&self, id: &Value) -> Answer {
        self.send(Call::get(format!("/{{name}}/notes/{id}"))).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_outlives_the_service() {
    let mut scene = Scene::new().await;
    let kept = scene.keep(&json!({"text": "Änn's note"})).await;
    assert_eq!(kept.status, 201, "{kept:?}");
    scene.restart().await;
    let shown = scene.show(&kept.json()["id"]).await;
    assert_eq!((shown.status.as_u16(), shown.json()), (200, kept.json()));
    let exit = scene.service.stop().await;
    assert_eq!(exit.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused() {
    let scene = Scene::new().await;
    let long = "x".repeat(1001);
    for (body, status) in [
        (json!({"text": ""}), 422),
        (json!({"text": long}), 422),
        (json!({"text": "a\0b"}), 422),
        (json!({"text": 7}), 422),
        (json!({}), 422),
        (json!({"text": "a", "more": 1}), 422),
        (json!({"text": "'; drop table notes; --"}), 201),
    ] {
        let answer = scene.keep(&body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    assert_eq!(scene.show(&json!(999)).await.status, 404);
    let mut stranger = Connection::new(&scene.url()).unwrap();
    let answer = stranger.send(&Call::get("/{{name}}/notes/1"), TIMEOUT).await;
    assert_eq!(answer.unwrap().status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_and_comes_back_costs_no_note() {
    let mut scene = Scene::new().await;
    let kept = scene.keep(&json!({"text": "before"})).await.json();
    scene.bed.cluster.kill().await;
    assert_eq!(scene.keep(&json!({"text": "during"})).await.status, 503);
    scene.bed.cluster.start().await.unwrap();
    // Each connection that the dead one had may cost an answer of 503.
    let shown = deadline::until("the note to be shown", TIMEOUT, async || {
        let shown = scene.show(&kept["id"]).await;
        Ok((shown.status != 503).then_some(shown))
    });
    assert_eq!(shown.await.unwrap().json(), kept);
}
