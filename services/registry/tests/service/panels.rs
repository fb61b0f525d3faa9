use serde_json::{Value, json};

use crate::scene::{Registry, Scene};
use crate::upstream::{Says, Upstream, catalogue};

/// Has its catalogue asked for once more; what came of it.
async fn synced(registry: Registry, path: &str) -> Value {
    let syncs = format!("{path}/panels/syncs");
    let newest = |value: &Value| value[0]["at"].clone();
    let before = newest(&registry.get(&syncs).await);
    let asked = registry.call(&format!("POST {path}/panels/sync")).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let all = registry
        .until(&syncs, "one more sync", |value| newest(value) != before)
        .await;
    all[0].clone()
}

async fn registered(registry: Registry, upstream: &Upstream) -> String {
    let path = registry.external(&upstream.told("michigan")).await;
    let first = |value: &Value| value[0]["outcome"] == "changed";
    registry
        .until(&format!("{path}/panels/syncs"), "the first sync", first)
        .await;
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_versions() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let upstream = Upstream::start().await;
    upstream.panels(Says::Text(catalogue(&[("hrc", 1), ("1000g", 2)])));
    let path = registered(registry, &upstream).await;
    let same = synced(registry, &path).await;
    assert_eq!(
        (&same["outcome"], &same["version"]),
        (&json!("unchanged"), &json!(1))
    );
    upstream.panels(Says::Text(catalogue(&[("hrc", 3), ("topmed", 4)])));
    let changed = synced(registry, &path).await;
    assert_eq!(
        (&changed["outcome"], &changed["version"]),
        (&json!("changed"), &json!(2))
    );
    upstream.panels(Says::Text(catalogue(&[])));
    assert_eq!(synced(registry, &path).await["version"], 3);

    let get = async |rest: &str| registry.get(&format!("{path}/panels{rest}")).await;
    let now = get("").await;
    assert_eq!((&now["version"], &now["panels"]), (&json!(3), &json!([])));
    let second = get("/versions/2").await;
    let ids = |panels: &Value| -> Vec<Value> {
        let panels = panels.as_array().unwrap().iter();
        panels.map(|panel| panel["id"].clone()).collect()
    };
    assert_eq!(ids(&second["panels"]), ["hrc", "topmed"]);
    let difference = &second["difference"];
    assert_eq!(ids(&difference["added"]), ["topmed"]);
    assert_eq!(ids(&difference["removed"]), ["1000g"]);
    let fields = json!([{ "field": "samples", "from": 1, "to": 3 }]);
    assert_eq!(
        difference["changed"],
        json!([{ "id": "hrc", "fields": fields }])
    );
    let between = get("/diff?from=1&to=2").await;
    assert_eq!(between["changed"], difference["changed"]);
    let back = get("/diff?from=3&to=1").await;
    assert_eq!(ids(&back["added"]), ["1000g", "hrc"]);
    assert_eq!(get("/diff?from=2&to=2").await["added"], json!([]));
    let versions = get("/versions").await;
    let counts = |name: &str| -> Vec<i64> {
        let versions = versions.as_array().unwrap().iter();
        versions.map(|one| one[name].as_i64().unwrap()).collect()
    };
    assert_eq!(
        (counts("version"), counts("panels")),
        (vec![3, 2, 1], vec![0, 2, 2])
    );
    assert_eq!(
        (counts("added"), counts("removed")),
        (vec![0, 1, 2], vec![2, 1, 0])
    );
    assert_eq!(registry.get(&path).await["panels_version"], 3);
    for missing in ["/versions/4", "/versions/0", "/diff?from=1&to=9"] {
        let answer = registry.call(&format!("GET {path}/panels{missing}")).await;
        answer.is_problem(404, "not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_catalogue_changes_nothing() {
    let scene = Scene::with(&[("REGISTRY_SYNC_TIMEOUT", "1")]).await;
    let registry = scene.registry();
    let upstream = Upstream::start().await;
    upstream.panels(Says::Text(catalogue(&[("hrc", 1)])));
    let path = registered(registry, &upstream).await;
    let large = format!("{{\"panels\": [], \"x\": \"{}\"}}", "x".repeat(5 << 20));
    for (says, reason) in [
        (Says::Text("<html>".to_owned()), "expected value"),
        (
            Says::Text("{\"panels\": [{\"id\": 7}]}".to_owned()),
            "panels[0].id",
        ),
        (
            Says::Text("{\"panels\": [{\"id\": \"a\", \"name\": \"\\u0000\"}]}".to_owned()),
            "control",
        ),
        (Says::Text(catalogue(&[("a", 1), ("a", 2)])), "twice"),
        (
            Says::Text("{\"panels\": [], \"next\": 2}".to_owned()),
            "unknown field",
        ),
        (Says::Text(large), "larger than 4194304 bytes"),
        (Says::Status(503), "it answered 503"),
        (Says::Status(204), "it answered 204"),
        (
            Says::Elsewhere("http://127.0.0.1:1/".to_owned()),
            "it answered 307",
        ),
        (Says::Nothing, "longer than 1 s"),
    ] {
        upstream.panels(says);
        let failed = synced(registry, &path).await;
        assert_eq!(
            (&failed["outcome"], &failed["version"]),
            (&json!("failed"), &Value::Null)
        );
        let said = failed["reason"].as_str().unwrap();
        assert!(said.contains(reason), "{said}, not {reason}");
    }
    let now = registry.get(&format!("{path}/panels")).await;
    assert_eq!(
        (&now["version"], &now["panels"][0]["id"]),
        (&json!(1), &json!("hrc"))
    );
    let log = scene.log(0);
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_soon_tried_again_and_a_good_one_on_schedule() {
    let scene = Scene::with(&[("REGISTRY_SYNC_RETRY", "0.2")]).await;
    let registry = scene.registry();
    let upstream = Upstream::start().await;
    upstream.panels(Says::Status(500));
    let path = registry.external(&upstream.told("michigan")).await;
    upstream.until_asked_panels(2).await;
    registry
        .call(&format!("GET {path}/panels"))
        .await
        .is_problem(404, "not-found");
    upstream.panels(Says::Text(catalogue(&[("hrc", 1)])));
    registry
        .until(&format!("{path}/panels"), "the catalogue", |_| true)
        .await;
    // It is a week until the next one, unless there is another schedule.
    let mut told = upstream.told("michigan");
    told["sync_interval_seconds"] = json!(1);
    registry
        .tell(&format!("PUT {path}"), &told.to_string())
        .await;
    let asked = upstream.asked_panels();
    upstream.until_asked_panels(asked + 3).await;
}
