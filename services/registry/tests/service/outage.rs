//! Dependencies die and come back, and so does the registry.

use std::sync::Arc;

use serde_json::{Value, json};
use testbed::deadline;
use testbed::process::Signal;
use tokio::sync::Notify;

use crate::scene::{Scene, TIMEOUT, told};
use crate::upstream::{Says, Upstream, catalogue};
use crate::watcher::Watcher;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_forgotten_while_the_database_is_away() {
    let mut scene = Scene::new().await;
    let registry = scene.registry();
    let upstream = Upstream::start().await;
    upstream.panels(Says::Text(catalogue(&[("hrc", 1)])));
    let path = registry.external(&upstream.told("michigan")).await;
    registry
        .until(&format!("{path}/panels"), "the catalogue", |_| true)
        .await;
    // Its time to live is not longer than the outage will be.
    let id = registry.register(&told("auth", "http://a:1", 10)).await;
    let mut watcher = Watcher::open(registry, "", None).await;
    assert_eq!(watcher.snapshot().await, ["http://a:1"]);

    scene.bed.cluster.kill().await;
    let body = told("auth", "http://late:1", 600).to_string();
    for answer in [
        registry.tell("POST /registry/services", &body).await,
        registry.call("GET /registry/services").await,
        registry
            .call(&format!("PUT /registry/services/{id}/heartbeat"))
            .await,
        registry.call(&format!("POST {path}/panels/sync")).await,
        registry.call("GET /registry/watch").await,
    ] {
        answer.is_problem(503, "unavailable");
    }
    assert_eq!(registry.call("GET /health/live").await.status, 200);
    // Readiness asks the database at most twice a second.
    deadline::until("not to be ready", TIMEOUT, async || {
        let answer = registry.call("GET /health/ready").await;
        Ok((answer.status == 503).then_some(()))
    })
    .await
    .unwrap();
    // The stream goes on, for more than ten seconds.
    watcher.comment().await;
    watcher.comment().await;
    upstream.panels(Says::Text(catalogue(&[("hrc", 2)])));
    scene.revive_database().await;

    // It was not heard for longer than its time to live, and is there, although
    // others are forgotten already.
    registry.register(&told("canary", "http://c:1", 1)).await;
    watcher.expect("added", "http://c:1").await;
    watcher.expect("removed", "http://c:1").await;
    assert_eq!(registry.urls("auth").await, ["http://a:1"]);
    assert_eq!(registry.heartbeat(&id).await, 204);
    registry.call(&format!("POST {path}/panels/sync")).await;
    let second = |value: &Value| value["version"] == 2;
    registry
        .until(&format!("{path}/panels"), "the second version", second)
        .await;
    // And who is silent now is forgotten as ever.
    watcher.expect("removed", "http://a:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_forgotten_while_the_registry_is_away() {
    let mut scene = Scene::new().await;
    let registry = scene.registry();
    let id = registry.register(&told("auth", "http://a:1", 8)).await;
    let mut watcher = Watcher::open(registry, "", None).await;
    assert_eq!(watcher.snapshot().await, ["http://a:1"]);
    scene.kill(0).await;
    assert_eq!(watcher.next().await, None);
    // As if it had been away for an hour.
    scene
        .sql(
            "update last_sweep set at = at - interval '1 hour'; \
             update instances set expires_at = expires_at - interval '1 hour'",
        )
        .await;
    scene.start(0).await;
    assert_eq!(registry.heartbeat(&id).await, 204);
    let mut watcher = Watcher::open(registry, "", Some(&watcher.last_id)).await;
    registry.register(&told("auth", "http://b:1", 600)).await;
    watcher.expect("added", "http://b:1").await;
    watcher.expect("removed", "http://a:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_registry_was_doing_another_one_does() {
    let mut scene = Scene::with(&[("REGISTRY_SYNC_TIMEOUT", "3")]).await;
    let upstream = Upstream::start().await;
    upstream.panels(Says::Nothing);
    let path = scene.registry().external(&upstream.told("michigan")).await;
    upstream.until_asked_panels(1).await;
    // In the middle of it.
    scene.kill(0).await;
    upstream.panels(Says::Text(catalogue(&[("hrc", 1)])));
    let other = scene.add().await;
    let found = other
        .until(&format!("{path}/panels"), "the catalogue", |_| true)
        .await;
    assert_eq!(found["panels"][0]["id"], "hrc");
    let syncs = other.get(&format!("{path}/panels/syncs")).await;
    assert_eq!(syncs.as_array().unwrap().len(), 1, "{syncs}");
    assert_eq!(upstream.asked_panels(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_registry_was_doing_is_handed_back() {
    // The lease alone would be longer than this test's patience.
    let mut scene = Scene::with(&[("REGISTRY_SYNC_TIMEOUT", "600")]).await;
    let upstream = Upstream::start().await;
    upstream.panels(Says::Nothing);
    let path = scene.registry().external(&upstream.told("michigan")).await;
    upstream.until_asked_panels(1).await;
    let other = scene.add().await;
    scene.stop(0).await;
    upstream.until_asked_panels(2).await;
    // The one who took it over is still at it: nobody else asks.
    assert_eq!(other.get(&format!("{path}/panels/syncs")).await, json!([]));
    assert_eq!(upstream.asked_panels(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wakes_up_after_its_lease_has_ended_stores_nothing() {
    let mut scene = Scene::with(&[("REGISTRY_SYNC_TIMEOUT", "2")]).await;
    let sleeper = scene.registry();
    let upstream = Upstream::start().await;
    let go = Arc::new(Notify::new());
    upstream.panels(Says::Held(Arc::clone(&go), catalogue(&[("old", 1)])));
    let path = sleeper.external(&upstream.told("michigan")).await;
    upstream.until_asked_panels(1).await;
    let checked = |value: &Value| value["state"] == "healthy";
    sleeper.until(&path, "the first check", checked).await;
    scene.signal(0, Signal::Pause);
    go.notify_one();
    upstream.panels(Says::Text(catalogue(&[("new", 1)])));
    let other = scene.add().await;
    let panels = format!("{path}/panels");
    other.until(&panels, "the catalogue", |_| true).await;
    scene.signal(0, Signal::Resume);
    let lost = async || {
        let metrics = sleeper.call("GET /metrics").await.body;
        let is_lost = metrics.contains("panel_syncs_total{outcome=\"lost\"} 1");
        // PostgreSQL ends a session that sleeps within a transaction.
        let is_cut = scene.log(0).contains("an outcome was not stored");
        Ok((is_lost || is_cut).then_some(()))
    };
    deadline::until("the sleeper to notice", TIMEOUT, lost)
        .await
        .unwrap();
    let now = sleeper.get(&panels).await;
    assert_eq!(
        (&now["version"], &now["panels"][0]["id"]),
        (&json!(1), &json!("new"))
    );
    let syncs = sleeper.get(&format!("{panels}/syncs")).await;
    assert_eq!(syncs.as_array().unwrap().len(), 1, "{syncs}");
}
