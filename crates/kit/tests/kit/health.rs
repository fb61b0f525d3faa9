//! Readiness and its checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use kit::{Need, Service};

use crate::support::{get, started, until};

fn switch(on: &Arc<AtomicBool>) -> impl Fn() -> std::future::Ready<Result<(), String>> + use<> {
    let on = Arc::clone(on);
    move || {
        let failed = "password authentication failed for user hunter2".to_owned();
        let state = on.load(Ordering::Relaxed);
        std::future::ready(if state { Ok(()) } else { Err(failed) })
    }
}

#[tokio::test]
async fn ready_follows_what_is_required() {
    let (database, cache) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(true)),
    );
    let service = Service::new(Router::new())
        .check("database", Need::Required, switch(&database))
        .check("cache", Need::Optional, switch(&cache));
    let running = started(&[], service).await;
    let answer = get(&running, "/health").await;
    assert_eq!(answer.status, 200);
    let report = answer.json();
    assert_eq!(report["status"], "healthy");
    assert_eq!(
        (&report["service"], &report["version"]),
        (&"greeter".into(), &"1.2.3".into())
    );

    cache.store(false, Ordering::Relaxed);
    let degraded = until(&running, "/health/ready", |answer| {
        answer.json()["status"] == "degraded"
    });
    assert_eq!(degraded.await.status, 200);

    database.store(false, Ordering::Relaxed);
    let down = until(&running, "/health/ready", |answer| answer.status == 503).await;
    assert_eq!(down.json()["status"], "unhealthy");
    assert_eq!(down.json()["checks"][0]["status"], "down");
    assert!(
        !down.body.contains("hunter2"),
        "why stays in the log: {}",
        down.body
    );
    // Alive all the same: starting it again would not help.
    assert_eq!(get(&running, "/health/live").await.status, 200);

    database.store(true, Ordering::Relaxed);
    until(&running, "/health/ready", |answer| answer.status == 200).await;
    running.stop().await;
}

#[tokio::test]
async fn checks_are_bounded_and_not_asked_by_everybody() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let service = Service::new(Router::new()).check("hanging", Need::Required, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<(), String>>()
    });
    let running = started(&[], service).await;
    let all = futures_util::future::join_all((0..20).map(|_| get(&running, "/health/ready")));
    assert!(all.await.iter().all(|answer| answer.status == 503));
    // Nobody had to wait for a second one: they all came within the first.
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    running.stop().await;
}

#[tokio::test]
async fn who_stops_is_not_ready_first() {
    let service = Service::new(Router::new());
    let running = started(&[("SERVICE_STOP_DELAY", "600")], service).await;
    let address = running.address().clone();
    let stopping = tokio::spawn(running.stop());
    let kit::settings::Address::Tcp { host, port } = address else {
        panic!("it listens on TCP");
    };
    let url = format!("http://{host}:{port}");
    let call = testbed::http_client::Call::get("/health/ready");
    testbed::deadline::until("it is not ready", crate::support::TIMEOUT, async || {
        let answer = testbed::http_client::call(&url, &call, crate::support::TIMEOUT).await?;
        Ok((answer.status == 503).then_some(()))
    })
    .await
    .unwrap();
    // It still takes requests: whoever balances has not noticed yet.
    let call = testbed::http_client::Call::get("/health/live");
    let answer = testbed::http_client::call(&url, &call, crate::support::TIMEOUT).await;
    assert_eq!(answer.unwrap().status, 200);
    stopping.abort();
}
