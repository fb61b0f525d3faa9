use testbed::deadline;

use crate::scene::{KEY, Scene, TIMEOUT, told};
use crate::watcher::Watcher;

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_is_told_all_in_order_and_goes_on_at_another_registry() {
    let mut scene = Scene::new().await;
    let (one, two) = (scene.registry(), scene.add().await);
    one.register(&told("auth", "http://a:1", 600)).await;
    let mut all = Watcher::open(one, "", None).await;
    let mut files = Watcher::open(two, "name=files", None).await;
    assert_eq!(all.snapshot().await, ["http://a:1"]);
    assert_eq!(files.snapshot().await, [""; 0]);
    // What happens at one is told at the other.
    let b = two.register(&told("auth", "http://b:1", 600)).await;
    one.register(&told("files", "http://f:1", 600)).await;
    all.expect("added", "http://b:1").await;
    all.expect("added", "http://f:1").await;
    files.expect("added", "http://f:1").await;
    let last = all.last_id.clone();
    drop(all);
    two.call(&format!("DELETE /registry/services/{b}")).await;
    one.register(&told("auth", "http://c:1", 1)).await;
    // Whether or not the other registry has heard of that already.
    let mut resumed = Watcher::open(two, "name=auth", Some(&last)).await;
    resumed.expect("removed", "http://b:1").await;
    resumed.expect("added", "http://c:1").await;
    // And its time to live ends.
    resumed.expect("removed", "http://c:1").await;
    scene.stop(1).await;
    assert_eq!(
        resumed.next().await,
        None,
        "the stream ends with the registry"
    );
    scene.stop(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_too_long_is_told_everything() {
    let mut scene = Scene::new().await;
    let registry = scene.registry();
    registry.register(&told("auth", "http://a:1", 600)).await;
    for wrong in ["-1", "x", "999999999"] {
        let mut watcher = Watcher::open(registry, "", Some(wrong)).await;
        assert_eq!(watcher.snapshot().await, ["http://a:1"], "{wrong}");
    }
    scene
        .sql(
            "insert into instances select gen_random_uuid(), 'many', 'http://m', '{}', '/', '', \
             3600, now(), now() + interval '1 hour' from generate_series(1, 4100); \
             delete from instances where name = 'many'; \
             delete from changes where number <= (select number from last_change) - 4096",
        )
        .await;
    scene.kill(0).await;
    scene.start(0).await;
    let mut late = Watcher::open(registry, "", Some("1")).await;
    assert_eq!(late.snapshot().await, ["http://a:1"]);
    let b = registry.register(&told("auth", "http://b:1", 600)).await;
    late.expect("added", "http://b:1").await;
    registry
        .call(&format!("DELETE /registry/services/{b}"))
        .await;
    late.expect("removed", "http://b:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_a_database_that_became_an_older_one_is_told_everything() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let mut watcher = Watcher::open(registry, "", None).await;
    assert_eq!(watcher.snapshot().await, [""; 0]);
    for number in 1..=5 {
        let url = format!("http://a:{number}");
        registry.register(&told("auth", &url, 600)).await;
        watcher.expect("added", &url).await;
    }
    // As a backup would have it that was taken after the second one.
    scene
        .sql(
            "set session_replication_role = replica; \
             delete from instances where url not in ('http://a:1', 'http://a:2'); \
             delete from changes where number > 2; update last_change set number = 2; \
             notify registry_registry_service, 'changed'",
        )
        .await;
    assert_eq!(watcher.snapshot().await, ["http://a:1", "http://a:2"]);
    registry.register(&told("auth", "http://new:1", 600)).await;
    watcher.expect("added", "http://new:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_happens_there_is_a_comment() {
    let scene = Scene::new().await;
    let mut watcher = Watcher::open(scene.registry(), "", None).await;
    assert_eq!(watcher.snapshot().await, [""; 0]);
    watcher.comment().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_are_counted_while_they_are_there() {
    let scene = Scene::new().await;
    let registry = scene.registry();
    let watchers = async |count: usize| {
        let line = format!("registry_watchers {count}\n");
        let condition = async || {
            let metrics = registry.call("GET /metrics").await;
            Ok(metrics.body.contains(&line).then_some(()))
        };
        deadline::until(&line, TIMEOUT, condition).await.unwrap();
    };
    let mut one = Watcher::open(registry, "", None).await;
    one.snapshot().await;
    watchers(1).await;
    drop(one);
    // It shows when something is to be told, or at the next comment.
    registry.register(&told("auth", "http://a:1", 600)).await;
    watchers(0).await;
    let refused = registry.send("GET /registry/watch", "", "").await;
    refused.is_problem(401, "credential-missing");
    assert!(!scene.log(0).contains(KEY));
}
