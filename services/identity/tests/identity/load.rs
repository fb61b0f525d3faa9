//! What the service takes of its machine; README.md has the figures.

use std::time::{Duration, Instant};

use http::HeaderValue;
use serde_json::json;
use testbed::http_client::{Call, Connection};

use crate::scene::{PASSWORD, PATIENCE, Scene, bearer};

const PERIOD: Duration = Duration::from_secs(10);

/// So many clients, one after another each; answers a second and the slowest of
/// twenty.
async fn rate(what: &str, clients: usize, url: &str, call: Call) {
    let until = Instant::now() + PERIOD;
    let clients = (0..clients).map(|_| {
        let (url, call) = (url.to_owned(), call.clone());
        tokio::spawn(async move {
            let mut connection = Connection::new(&url).unwrap();
            let mut times = Vec::new();
            while Instant::now() < until {
                let begun = Instant::now();
                let answer = connection.send(&call, PATIENCE).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body_head());
                times.push(begun.elapsed());
            }
            times
        })
    });
    let mut times = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        times.extend(client.await.unwrap());
    }
    times.sort_unstable();
    let p95 = times[times.len() * 95 / 100];
    let (count, seconds) = (times.len(), PERIOD.as_secs());
    println!("{what}: {count} in {seconds} s, p95 {} ms", p95.as_millis());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures for half a minute; run it with --release"]
async fn what_logins_cost() {
    let scene = Scene::new(&[("PASSWORD_ITERATIONS", "1000000")]).await;
    scene.register("testuser").await;
    let (access, _) = scene.tokens("testuser").await;
    let url = format!("http://127.0.0.1:{}", scene.port());
    let token = bearer(&access);
    let token = token.trim().trim_start_matches("Authorization: ");
    let me = Call::get("/auth/me").header("authorization", HeaderValue::try_from(token).unwrap());
    rate("me", 16, &url, me).await;
    let body = json!({ "email": "testuser@example.com", "password": PASSWORD });
    rate("login", 2, &url, Call::post("/auth/login", &body)).await;
}
