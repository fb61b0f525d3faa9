//! Registration and discovery against a registry that dies and forgets.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get as at_get, post as at_post, put};
use http::StatusCode;
use kit::registry::Registration;
use kit::server::Running;
use kit::{ApiKey, ClientError, Json, Path, Query, Service};
use parking_lot::Mutex;
use serde_json::{Value, json};
use testbed::deadline::until;

use crate::support::{TIMEOUT, kit, started, url};

/// A registry's memory.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    entries: BTreeMap<String, Registration>,
    registrations: usize,
    heartbeats: usize,
}

async fn register(
    State(Memory(memory)): State<Memory>,
    _: ApiKey,
    Json(entry): Json<Registration>,
) -> (StatusCode, Json<Value>) {
    let mut memory = memory.lock();
    memory.registrations += 1;
    let id = format!("id-{}", memory.registrations);
    memory.entries.insert(id.clone(), entry);
    (StatusCode::CREATED, Json(json!({ "id": id, "more": 1 })))
}

async fn heartbeat(State(Memory(memory)): State<Memory>, Path(id): Path<String>) -> StatusCode {
    let mut memory = memory.lock();
    memory.heartbeats += 1;
    if memory.entries.contains_key(&id) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

async fn forget(State(Memory(memory)): State<Memory>, Path(id): Path<String>) -> StatusCode {
    memory.lock().entries.remove(&id);
    StatusCode::NO_CONTENT
}

async fn find(
    State(Memory(memory)): State<Memory>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Json<Vec<Registration>> {
    let memory = memory.lock();
    let found = memory
        .entries
        .values()
        .filter(|entry| query["name"] == entry.name);
    Json(found.cloned().collect())
}

async fn registry(memory: &Memory, port: u16) -> Running {
    let router = Router::new()
        .route("/registry/services", at_post(register).get(find))
        .route("/registry/services/{id}", delete(forget))
        .route("/registry/services/{id}/heartbeat", put(heartbeat))
        .with_state(memory.clone());
    let port = port.to_string();
    let settings = [
        ("GREETER_SERVICE_API_KEY", "registry-key"),
        ("SERVICE_PORT", &port),
    ];
    started(&settings, Service::new(router)).await
}

fn settings(registry: &str) -> [(&str, &str); 3] {
    [
        ("REGISTRY_URL", registry),
        ("REGISTRY_SERVICE_API_KEY", "registry-key"),
        ("SERVICE_TAGS", "blue, eu"),
    ]
}

async fn known(memory: &Memory, what: &str, count: usize) {
    let condition = async || {
        let entries = memory.0.lock().entries.len();
        Ok((entries == count).then_some(()))
    };
    until(what, TIMEOUT, condition).await.unwrap();
}

#[tokio::test]
async fn a_service_is_in_the_registry_while_it_runs() {
    let memory = Memory::default();
    let registry = registry(&memory, 0).await;
    let registry_url = url(&registry);
    let running = started(&settings(&registry_url), Service::default()).await;
    known(&memory, "it is registered", 1).await;
    let entry = memory.0.lock().entries["id-1"].clone();
    assert_eq!((entry.name.as_str(), entry.url), ("greeter", url(&running)));
    assert_eq!(entry.tags, ["blue", "eu"]);
    assert_eq!(
        (entry.health.as_str(), entry.version.as_str()),
        ("/health/ready", "1.2.3")
    );
    // The registry forgets it: the next heartbeat brings it back.
    memory.0.lock().entries.clear();
    known(&memory, "it is registered anew", 1).await;
    assert_eq!(memory.0.lock().registrations, 2);
    running.stop().await;
    assert!(memory.0.lock().entries.is_empty(), "it said goodbye");
    registry.stop().await;
}

#[tokio::test]
async fn the_registry_may_come_later_and_go() {
    let memory = Memory::default();
    let port = testbed::ports::free().unwrap();
    let registry_url = format!("http://127.0.0.1:{port}");
    let running = started(&settings(&registry_url), Service::default()).await;
    // Nobody there: the service serves all the same.
    assert_eq!(
        crate::support::get(&running, "/health/ready").await.status,
        200
    );
    let first = registry(&memory, port).await;
    known(&memory, "it is registered", 1).await;
    first.stop().await;
    memory.0.lock().entries.clear();
    let second = registry(&memory, port).await;
    known(&memory, "it is registered with the new one", 1).await;
    second.stop().await;
    // And it ends without one, too.
    running.stop().await;
}

#[tokio::test]
async fn others_are_found_and_stay_found() {
    let memory = Memory::default();
    let registry = registry(&memory, 0).await;
    let registry_url = url(&registry);
    let named = |name: &'static str| {
        Service::new(Router::new().route("/name", at_get(move || async move { name })))
    };
    let one = started(&settings(&registry_url), named("one")).await;
    let two = started(&settings(&registry_url), named("two")).await;
    known(&memory, "both are registered", 2).await;
    let client = kit(&settings(&registry_url))
        .client("greeter")
        .build()
        .unwrap();
    let ask = async || client.get("/name").send().await.unwrap().body;
    let mut heard = BTreeMap::new();
    for _ in 0..10 {
        *heard.entry(ask().await).or_insert(0) += 1;
    }
    assert_eq!(
        heard.values().copied().collect::<Vec<_>>(),
        [5, 5],
        "{heard:?}"
    );
    // The registry dies, and then one of them: the other one answers for both.
    registry.stop().await;
    one.stop().await;
    for _ in 0..20 {
        assert_eq!(ask().await, "two");
    }
    two.stop().await;
}

#[tokio::test]
async fn who_is_not_there_is_not_found() {
    let memory = Memory::default();
    let registry = registry(&memory, 0).await;
    let registry_url = url(&registry);
    let client = kit(&settings(&registry_url))
        .client("nobody")
        .build()
        .unwrap();
    let nobody = client.get("/").send().await;
    assert!(
        matches!(nobody, Err(ClientError::NoInstance(_))),
        "{nobody:?}"
    );
    assert!(matches!(
        kit(&[]).client("nobody").build(),
        Err(ClientError::NoInstance(_))
    ));
    registry.stop().await;
}

#[tokio::test]
async fn who_cannot_be_reached_says_so_at_start() {
    let settings = [
        ("REGISTRY_URL", "http://127.0.0.1:1"),
        ("SERVICE_HOST", "0.0.0.0"),
    ];
    let refused = kit::server::start(kit(&settings), Service::default()).await;
    assert!(refused.unwrap_err().to_string().contains("SERVICE_URL"));
}
