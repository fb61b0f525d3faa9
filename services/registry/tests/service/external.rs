use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testbed::deadline;
use tokio::sync::Notify;

use crate::scene::{Registry, Scene, TIMEOUT};
use crate::upstream::{Says, Upstream, catalogue};

/// Has it checked once more; its health after that.
async fn checked(registry: Registry, path: &str) -> Value {
    let health = format!("{path}/health");
    let newest = |value: &Value| value["checks"][0]["at"].clone();
    let before = newest(&registry.get(&health).await);
    assert_eq!(
        registry.call(&format!("POST {path}/check")).await.status,
        202
    );
    registry
        .until(&health, "one more check", |value| newest(value) != before)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn its_state_follows_its_checks() {
    let mut scene = Scene::with(&[("REGISTRY_CHECK_TIMEOUT", "1")]).await;
    let (one, two) = (scene.registry(), scene.add().await);
    let upstream = Upstream::start().await;
    let mut told = upstream.told("michigan");
    told["slow_milliseconds"] = json!(300);
    let path = one.external(&told).await;
    let health = format!("{path}/health");
    let is = |state: &'static str| move |value: &Value| value["state"] == state;
    one.until(&health, "the first check", is("healthy")).await;
    upstream.health(Says::Slowly(Duration::from_millis(400)));
    assert_eq!(checked(two, &path).await["state"], "degraded");
    upstream.health(Says::Status(500));
    let failed = checked(one, &path).await;
    assert_eq!(failed["checks"][0]["reason"], "it answered 500");
    upstream.health(Says::Elsewhere(format!("{}/health", upstream.url)));
    let failed = checked(two, &path).await;
    assert_eq!(failed["state"], "degraded");
    let reason = failed["checks"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("redirections are not followed"), "{reason}");
    upstream.health(Says::Nothing);
    let failed = checked(one, &path).await;
    assert_eq!(
        (&failed["state"], &failed["failures"]),
        (&json!("unhealthy"), &json!(3))
    );
    assert_eq!(failed["checks"][0]["reason"], "it took longer than 1 s");
    upstream.health(Says::Status(204));
    assert_eq!(checked(one, &path).await["state"], "unhealthy");
    let back = checked(two, &path).await;
    assert_eq!(
        (&back["state"], &back["passes"]),
        (&json!("healthy"), &json!(2))
    );
    let states = |field: &str| -> Vec<Value> {
        let all = back["transitions"].as_array().unwrap().iter();
        all.map(|one| one[field].clone()).collect()
    };
    assert_eq!(
        states("to_state"),
        ["healthy", "unhealthy", "degraded", "healthy"]
    );
    assert_eq!(
        states("from_state"),
        ["unhealthy", "degraded", "healthy", "unknown"]
    );
    // Each check was one request, although there are two who check.
    let checks = back["checks"].as_array().unwrap().len();
    assert_eq!((checks, upstream.asked_health()), (7, 7));
    let unhealthy = one.get("/registry/external?state=unhealthy").await;
    assert_eq!(unhealthy, json!([]));
    let counted = async || {
        let metrics = one.call("GET /metrics").await.body;
        let is_counted = metrics.contains("external_services{state=\"healthy\"} 1\n")
            && metrics.contains("registry_instances 0\n");
        Ok(is_counted.then_some(()))
    };
    deadline::until("the healthy one to be counted", TIMEOUT, counted)
        .await
        .unwrap();
    let healthy = two
        .get("/registry/external?state=healthy&kind=imputation")
        .await;
    assert_eq!(healthy[0]["name"], "michigan");
    let metrics = one.call("GET /metrics").await.body + &two.call("GET /metrics").await.body;
    assert!(
        metrics.contains("external_checks_total{outcome=\"failed\"}"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_come_on_schedule_and_their_history_is_bounded() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let upstream = Upstream::start().await;
    let mut told = upstream.told("michigan");
    told["check_interval_seconds"] = json!(1);
    let path = registry.external(&told).await;
    scene
        .sql(
            "insert into checks (service, outcome, milliseconds) select id, 'passed', 1 \
             from external_services, generate_series(1, 250)",
        )
        .await;
    let asked = upstream.asked_health();
    let more = |_: &Value| upstream.asked_health() > asked + 2;
    let health = registry
        .until(&format!("{path}/health"), "checks on schedule", more)
        .await;
    assert_eq!(health["checks"].as_array().unwrap().len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_listed_replaced_and_removed() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let upstream = Upstream::start().await;
    let path = registry.external(&upstream.told("michigan")).await;
    let again = upstream.told("michigan").to_string();
    let refused = registry.tell("POST /registry/external", &again).await;
    refused.is_problem(409, "name-taken");
    let other = registry.external(&upstream.told("topmed")).await;
    let refused = registry.tell(&format!("PUT {other}"), &again).await;
    refused.is_problem(409, "name-taken");
    registry
        .until(&format!("{path}/panels"), "the catalogue", |_| true)
        .await;
    // Without panels from now on; what was found stays.
    let mut told = upstream.told("michigan-2");
    told["sync_interval_seconds"] = Value::Null;
    told["kind"] = json!("mirror");
    let replaced = registry
        .tell(&format!("PUT {path}"), &told.to_string())
        .await;
    assert_eq!(replaced.status, 200, "{replaced:?}");
    assert_eq!(replaced.json()["name"], "michigan-2");
    let refused = registry.call(&format!("POST {path}/panels/sync")).await;
    refused.is_problem(409, "no-reference-panels");
    assert_eq!(registry.get(&format!("{path}/panels")).await["version"], 1);
    let mirrors = registry.get("/registry/external?kind=mirror").await;
    assert_eq!(mirrors[0]["id"], replaced.json()["id"]);
    assert_eq!(registry.call(&format!("DELETE {path}")).await.status, 204);
    for line in ["GET", "DELETE"].map(|method| format!("{method} {path}")) {
        registry.call(&line).await.is_problem(404, "not-found");
    }
    for part in ["health", "panels", "panels/versions", "panels/syncs"] {
        let gone = registry.call(&format!("GET {path}/{part}")).await;
        gone.is_problem(404, "not-found");
    }
    let refused = registry.tell(&format!("PUT {path}"), &again).await;
    refused.is_problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_former_address_answers_late_is_not_stored() {
    let patient = [
        ("REGISTRY_CHECK_TIMEOUT", "120"),
        ("REGISTRY_SYNC_TIMEOUT", "120"),
    ];
    let scene = Scene::with(&patient).await;
    let registry = scene.registry();
    let (former, next) = (Upstream::start().await, Upstream::start().await);
    let (health_go, panels_go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    former.health(Says::Held(Arc::clone(&health_go), String::new()));
    let old = catalogue(&[("old", 1)]);
    former.panels(Says::Held(Arc::clone(&panels_go), old));
    next.health(Says::Status(500));
    next.panels(Says::Text(catalogue(&[("new", 1)])));
    let path = registry.external(&former.told("michigan")).await;
    former.until_asked_panels(1).await;
    let asked = || Ok((former.asked_health() == 1).then_some(()));
    deadline::poll("the first check", TIMEOUT, asked)
        .await
        .unwrap();
    let told = next.told("michigan").to_string();
    let replaced = registry.tell(&format!("PUT {path}"), &told).await;
    assert_eq!(replaced.status, 200, "{replaced:?}");

    // The next one is asked at once, although the former one has not answered.
    let (health, syncs) = (format!("{path}/health"), format!("{path}/panels/syncs"));
    let is_checked = |value: &Value| value["checks"] != json!([]);
    registry.until(&health, "a check", is_checked).await;
    let is_synced = |value: &Value| *value != json!([]);
    registry.until(&syncs, "a sync", is_synced).await;
    health_go.notify_one();
    panels_go.notify_one();
    let lost = async || {
        let metrics = registry.call("GET /metrics").await.body;
        let is_lost = ["external_checks_total", "panel_syncs_total"]
            .iter()
            .all(|name| metrics.contains(&format!("{name}{{outcome=\"lost\"}} 1\n")));
        Ok(is_lost.then_some(()))
    };
    deadline::until("the former one's answers to be lost", TIMEOUT, lost)
        .await
        .unwrap();

    let checks = registry.get(&health).await["checks"].clone();
    assert_eq!(checks.as_array().unwrap().len(), 1, "{checks}");
    assert_eq!(checks[0]["reason"], "it answered 500");
    let syncs = registry.get(&syncs).await;
    assert_eq!(syncs.as_array().unwrap().len(), 1, "{syncs}");
    let panels = registry.get(&format!("{path}/panels")).await;
    assert_eq!(
        (&panels["version"], &panels["panels"][0]["id"]),
        (&json!(1), &json!("new"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_no_external_service_is_inside() {
    let scene = Scene::with(&[("REGISTRY_EXTERNAL", "public")]).await;
    let registry = scene.registry();
    let upstream = Upstream::start().await;
    let port = upstream.url.rsplit(':').next().unwrap();
    for url in [
        upstream.url.as_str(),
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "http://example.com/",
    ] {
        let body = json!({ "name": "x", "url": url, "kind": "imputation" }).to_string();
        let refused = registry.tell("POST /registry/external", &body).await;
        refused.is_problem(422, "invalid-content");
    }
    // A name that leads inside is found out when it is asked.
    let told = json!({
        "name": "inside", "url": format!("https://localhost:{port}"), "kind": "imputation",
    });
    let path = registry.external(&told).await;
    let failed = |value: &Value| value["checks"][0]["outcome"] == "failed";
    let health = registry
        .until(&format!("{path}/health"), "a failed check", failed)
        .await;
    assert_eq!(
        health["checks"][0]["reason"],
        "the host has no public address"
    );
    assert_eq!(upstream.asked_health(), 0);
}
