//! A real Prometheus watches the set by the files of `deploy/prometheus`.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use serde_json::Value;
use std::time::Duration;
use testbed::deadline;
use testbed::set::members;
use testbed::set::prometheus::{Pace, Prometheus};
use testbed::set::{Set, Settings};

const TIMEOUT: Duration = Duration::from_mins(1);

/// Scrapes each second, and lets alerts fire after five.
async fn watched() -> Set {
    let settings = Settings {
        prometheus: Some(Pace {
            interval: "1s",
            hold: Some("5s"),
        }),
        ..Settings::fast().unwrap()
    };
    Set::start(&settings, &|_| {}).await.unwrap()
}

async fn all_are_seen(prometheus: &Prometheus) {
    for member in members::present() {
        let up = format!("up{{service=\"{}\"}} == 1", member.name);
        prometheus.until_found(&up, TIMEOUT).await.unwrap();
    }
    let up = "up{service=\"gateway\"} == 1";
    prometheus.until_found(up, TIMEOUT).await.unwrap();
}

/// Waits until the alert about a service fires, or no longer does.
async fn until_down(prometheus: &Prometheus, service: &str, down: bool) {
    let what = format!("ServiceDown of {service} to be {down}");
    deadline::until(&what, TIMEOUT, async || {
        let fires = is_down(&prometheus.firing().await?, service);
        Ok((fires == down).then_some(()))
    })
    .await
    .unwrap();
}

fn is_down(firing: &[Value], service: &str) -> bool {
    firing.iter().any(|alert| {
        let labels = &alert["labels"];
        labels["alertname"] == "ServiceDown" && labels["service"] == service
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_is_told_of_until_it_is_back() {
    let mut set = watched().await;
    all_are_seen(set.prometheus().unwrap()).await;
    let firing = set.prometheus().unwrap().firing().await.unwrap();
    assert!(members::present().all(|member| !is_down(&firing, member.name)));
    set.kill("auth").await.unwrap();
    until_down(set.prometheus().unwrap(), "auth", true).await;
    let firing = set.prometheus().unwrap().firing().await.unwrap();
    assert!(!is_down(&firing, "notification"), "{firing:?}");
    set.revive("auth").await.unwrap();
    until_down(set.prometheus().unwrap(), "auth", false).await;
    set.stop().await;
}
