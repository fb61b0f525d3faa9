//! Every query of the dashboards in `deploy/grafana` is run by a real
//! Prometheus, which scrapes what the queries are about.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use crate::stage::Stage;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use testbed::binaries;
use testbed::directory::PrivateDirectory;
use testbed::http_client::{Call, Connection};
use testbed::set::prometheus::{Pace, Prometheus};
use testbed::set::{GATEWAY_KEY, Ports, Set, Settings};

const TIMEOUT: Duration = Duration::from_mins(1);
const PACE: Pace = Pace {
    interval: "1s",
    hold: None,
};

/// A panel's title and query, with all services chosen.
fn queries(dashboard: &str) -> Vec<(String, String)> {
    let file = binaries::repository()
        .join("deploy/grafana/dashboards")
        .join(dashboard);
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert_eq!(panel["datasource"]["uid"], "prometheus", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap().replace("$service", ".+");
            queries.push((title.to_owned(), query));
        }
    }
    assert!(queries.len() >= 10, "{queries:?}");
    queries
}

/// All are understood; all but these find something. What is in `quiet` is not
/// to be seen here, and is said so by name.
async fn show(prometheus: &Prometheus, dashboard: &str, quiet: &[&str]) -> Result<()> {
    let queries = queries(dashboard);
    for title in quiet {
        let known = queries.iter().any(|(panel, _)| panel == title);
        assert!(known, "there is no panel `{title}`");
    }
    for (title, query) in &queries {
        if quiet.contains(&title.as_str()) {
            prometheus.query(query).await.context(title.clone())?;
        } else {
            prometheus
                .until_found(query, TIMEOUT)
                .await
                .context(title.clone())?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_are_shown() {
    let settings = Settings {
        prometheus: Some(PACE),
        ..Settings::fast().unwrap()
    };
    let mut set = Set::start(&settings, &|_| {}).await.unwrap();
    let gateway = set.ports().url("gateway");
    let mut client = Connection::new(&gateway)
        .unwrap()
        .header("x-api-key", GATEWAY_KEY);
    // It is welcomed by a letter, which one service asks another one for.
    let user = json!({"username": "ann", "email": "ann@example.com",
                      "password": "SecurePassword123!", "first_name": "A", "last_name": "B"});
    let answer = client
        .send(&Call::post("/auth/register", &user), TIMEOUT)
        .await
        .unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    let login = json!({"username": "ann", "password": "SecurePassword123!"});
    let answer = client
        .send(&Call::post("/auth/login", &login), TIMEOUT)
        .await
        .unwrap();
    let token = format!("Bearer {}", answer.json()["access_token"].as_str().unwrap());
    let mut ann = Connection::new(&gateway)
        .unwrap()
        .header("x-api-key", GATEWAY_KEY)
        .header("authorization", token);
    let verify = Call::post("/auth/email/verify/request", &json!({}));
    assert_eq!(ann.send(&verify, TIMEOUT).await.unwrap().status, 202);
    // A failure, for the rate of them.
    set.kill("notification").await.unwrap();
    let lost = Call::get("/notifications/dead-letters");
    let answer = client.send(&lost, TIMEOUT).await.unwrap();
    assert!(answer.status.is_server_error(), "{answer:?}");
    set.revive("notification").await.unwrap();
    let prometheus = set.prometheus().unwrap();
    show(prometheus, "services.json", &[]).await.unwrap();
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_shown() {
    let stage = Stage::following().await.unwrap();
    let serve = stage.serve.as_ref().unwrap();
    let mut client = Connection::new(serve.gateway()).unwrap();
    let contract = json!({"reference": "shown", "title": "Field", "seller": 1, "buyer": 2,
                          "land_plot": 1, "price": "1.00"});
    for call in [
        Call::get("/api/contracts"),
        Call::post("/api/contracts", &contract),
    ] {
        let answer = client.send(&call, TIMEOUT).await.unwrap();
        assert!(answer.status.is_success(), "{answer:?}");
    }
    let (_, port) = serve.control().rsplit_once(':').unwrap();
    let mut ports = Ports::free().unwrap();
    ports.set("control", port.parse().unwrap()).unwrap();
    let home = PrivateDirectory::new().unwrap();
    let prometheus = Prometheus::start(home.path(), &ports, &PACE, stage.scene.logs());
    let prometheus = prometheus.await.unwrap();
    // What needs a failure, or a client that waits.
    let quiet = [
        "Failures by side",
        "Fallbacks",
        "Waits for own writes",
        "Time held, p95",
    ];
    show(&prometheus, "migration.json", &quiet).await.unwrap();
    prometheus.stop().await;
}
