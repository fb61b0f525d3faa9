//! A dependency dies and comes back; what is over goes away.

use serde_json::json;
use testbed::cluster::Options;
use testbed::deadline;

use crate::scene::{self, PASSWORD, Scene, TIMEOUT};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_lost_with_the_database() {
    let mut scene = Scene::new(&[]).await;
    scene.register("testuser").await;
    let (access, refresh) = scene.tokens("testuser").await;
    scene.cluster.kill().await;
    let body = json!({ "username": "late", "email": "late@example.com", "password": PASSWORD });
    for refused in [
        scene.login("testuser@example.com", PASSWORD).await,
        scene.get("/auth/me", &access).await,
        scene.refresh(&refresh).await,
        scene.post("/auth/register", &body).await,
    ] {
        refused.is_problem(503, "unavailable");
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(scene.send("GET /health/live", "", "").await.status, 200);
    scene.cluster.restart(&Options::fast()).await.unwrap();
    let ready = async || {
        let answer = scene.send("GET /health/ready", "", "").await;
        Ok((answer.status == 200).then_some(()))
    };
    deadline::until("the service to be ready", TIMEOUT, ready)
        .await
        .unwrap();
    // The refused refresh has used nothing up.
    assert_eq!(scene.get("/auth/me", &access).await.status, 200);
    assert_eq!(scene.refresh(&refresh).await.status, 200);
    scene.tokens("testuser").await;
    assert_eq!(scene.post("/auth/register", &body).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_goes_and_nothing_else() {
    let scene = Scene::new(&[]).await;
    for name in ["one", "two", "three"] {
        scene.register(name).await;
        let (_, refresh) = scene.tokens(name).await;
        assert_eq!(scene.refresh(&refresh).await.status, 200);
        scene
            .login(&format!("{name}@example.com"), "Wrong-Password-1")
            .await;
    }
    scene
        .sql(
            "update session set expires_at = now() - interval '15 days' \
               where user_id = (select id from auth_user where username = 'one'); \
             update refresh_token set used_at = now() - interval '15 days' \
               where used_at is not null and session in (select s.id from session s \
               join auth_user u on u.id = s.user_id where u.username = 'two'); \
             update link set expires_at = now() - interval '1 second' \
               where user_id = (select id from auth_user where username = 'one'); \
             update throttle set ends = now() - interval '1 second' \
               where key = (select key from throttle order by key limit 1)",
        )
        .await;
    let counts = "select concat_ws(' ', (select count(*) from session), \
         (select count(*) from refresh_token), (select count(*) from link), \
         (select count(*) from throttle))";
    assert_eq!(scene.text(counts).await, "3 6 3 3");
    // Another instance sweeps when it starts.
    let second = scene::start(&scene.cluster, &[]).await;
    let swept = async || Ok((scene.text(counts).await == "2 3 2 2").then_some(()));
    deadline::until("what is over to be gone", TIMEOUT, swept)
        .await
        .unwrap();
    second.stop().await;
}
