use serde_json::{Value, json};
use testbed::deadline;

use crate::scene::{KEY, Scene, TIMEOUT, told};

#[tokio::test(flavor = "multi_thread")]
async fn instances_come_are_found_and_go_whichever_registry_is_asked() {
    let mut scene = Scene::new().await;
    let (one, two) = (scene.registry(), scene.add().await);
    let body = json!({
        "name": "auth", "url": "http://10.0.0.1:8001/", "tags": ["blue", "eu"],
        "health": "/health/ready", "version": "1.2.3", "ttl_seconds": 600,
    });
    let id = one.register(&body).await;
    two.register(&told("auth", "http://10.0.0.2:8001", 600))
        .await;
    one.register(&told("files", "http://10.0.0.3:8005", 600))
        .await;
    let found = two.get("/registry/services?name=auth&tag=eu").await;
    let mut expected = body.clone();
    expected["id"] = json!(id);
    expected["url"] = json!("http://10.0.0.1:8001");
    expected["registered_at"] = found[0]["registered_at"].clone();
    assert_eq!(found, json!([expected]));
    assert_eq!(
        two.urls("auth").await,
        ["http://10.0.0.1:8001", "http://10.0.0.2:8001"]
    );
    assert_eq!(one.urls("nobody").await, [""; 0]);
    assert_eq!(
        one.get("/registry/services?name=&tag=")
            .await
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(two.heartbeat(&id).await, 204);
    let path = format!("/registry/services/{id}");
    assert_eq!(two.call(&format!("DELETE {path}")).await.status, 204);
    assert_eq!(one.urls("auth").await, ["http://10.0.0.2:8001"]);
    one.call(&format!("DELETE {path}"))
        .await
        .is_problem(404, "not-found");
    assert_eq!(one.heartbeat(&id).await, 404);
    scene.stop(0).await;
    scene.stop(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_heard_is_forgotten_and_who_is_stays() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let silent = registry.register(&told("auth", "http://silent:1", 1)).await;
    let heard = registry.register(&told("auth", "http://heard:1", 1)).await;
    let condition = async || {
        assert_eq!(registry.heartbeat(&heard).await, 204);
        Ok((registry.urls("auth").await == ["http://heard:1"]).then_some(()))
    };
    deadline::until("the silent one to be forgotten", TIMEOUT, condition)
        .await
        .unwrap();
    assert_eq!(registry.heartbeat(&silent).await, 404);
    assert_eq!(registry.heartbeat(&heard).await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_room_for_so_many() {
    let scene = Scene::new().await;
    scene
        .sql(
            "insert into instances select gen_random_uuid(), 'many', 'http://m', '{}', '/', '', \
             3600, now(), now() + interval '1 hour' from generate_series(1, 4999)",
        )
        .await;
    let registry = scene.registry();
    registry.register(&told("auth", "http://last:1", 600)).await;
    let body = told("auth", "http://more:1", 600).to_string();
    let refused = registry.tell("POST /registry/services", &body).await;
    refused.is_problem(503, "registry-full");
    // Everything is told nevertheless.
    let all = registry.get("/registry/services").await;
    assert_eq!(all.as_array().unwrap().len(), 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_services_token_speaks_for_that_service_only() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let url = registry.url();
    let kit = crate::kit_client::kit("auth", &[("REGISTRY_URL", &url)]);
    let origin = <kit::settings::Origin as kit::settings::Setting>::parse(&url).unwrap();
    let client = kit.client("registry").at(Some(&origin)).build().unwrap();
    let register = async |name: &str| {
        let body = told(name, "http://a:1", 600);
        let sent = client.post("/registry/services").json(&body).send().await;
        sent.unwrap()
    };
    let own = register("auth").await;
    assert_eq!(own.status, 201);
    let own: Value = own.json().unwrap();
    assert_eq!(register("files").await.status, 403);
    let others = registry.register(&told("files", "http://f:1", 600)).await;
    let heartbeat = async |id: &str| {
        let path = format!("/registry/services/{id}/heartbeat");
        let sent = client.request(http::Method::PUT, path).send().await;
        sent.unwrap().status.as_u16()
    };
    assert_eq!(heartbeat(own["id"].as_str().unwrap()).await, 204);
    assert_eq!(heartbeat(&others).await, 404);
    let remove = client
        .delete(format!("/registry/services/{others}"))
        .send()
        .await;
    assert_eq!(remove.unwrap().status, 404);
    assert_eq!(registry.urls("files").await, ["http://f:1"]);
    assert!(!scene.log(0).contains(KEY));
}
