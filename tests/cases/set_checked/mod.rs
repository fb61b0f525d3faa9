//! The calls of seed 000 against the whole set, and its load test, shortened:
//! what `./x up --check` runs.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::fs;
use std::time::Duration;
use testbed::deadline;
use testbed::http_client::{Call, Connection};
use testbed::set::report::{self, Report};
use testbed::set::{GATEWAY_KEY, Set, Settings, load};

const TIMEOUT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_the_seed_work_as_they_are_written() {
    let mut set = Set::start(&Settings::fast().unwrap(), &|_| {})
        .await
        .unwrap();
    let load = load::Settings {
        rest: Duration::from_millis(100),
        ..load::Settings::seed(Duration::from_secs(2))
    };
    let report = report::check(&mut set, &load).await.unwrap();
    assert!(report.is_good(), "{}", report.tables());
    assert!(report.load.requests > 100, "{}", report.tables());

    // The parts know each other: the user of the seed gets a letter.
    letter(&set).await.unwrap();

    // A service that is away is seen.
    set.kill("auth").await.unwrap();
    let Report { calls, .. } = report::check(&mut set, &load).await.unwrap();
    let registration = calls
        .iter()
        .find(|call| call.command.contains("/auth/register"));
    assert!(registration.unwrap().problem.is_some(), "{calls:?}");
    set.stop().await;
}

/// Asks for one, from the gateway over two services to the mail server.
async fn letter(set: &Set) -> Result<()> {
    let client = || Connection::new(&set.ports().url("gateway"));
    let login = json!({"email": "test@example.com", "password": "SecurePassword123!"});
    let call = Call::post("/auth/login", &login);
    let answer = client()?
        .header("x-api-key", GATEWAY_KEY)
        .send(&call, TIMEOUT)
        .await?;
    let tokens = answer.json();
    let token = tokens["access_token"].as_str().context("no token")?;
    let call = Call::post("/auth/email/verify/request", &json!({}));
    let mut user = client()?
        .header("x-api-key", GATEWAY_KEY)
        .header("authorization", format!("Bearer {token}"));
    let answer = user.send(&call, TIMEOUT).await?;
    ensure!(answer.status == 202, "{answer:?}");
    deadline::poll("the letter", TIMEOUT, || {
        let mails = fs::read_to_string(set.mails()).unwrap_or_default();
        Ok(mails.contains("\"test@example.com\"").then_some(()))
    })
    .await
}
