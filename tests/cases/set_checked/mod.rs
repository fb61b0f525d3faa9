//! The calls of seed 000 against the whole set, and its load test, shortened:
//! what `./x up --check` runs.

use std::time::Duration;
use testbed::set::report::{self, Report};
use testbed::set::{Set, Settings, load};

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

    // A service that is away is seen.
    set.kill("auth").await.unwrap();
    let Report { calls, .. } = report::check(&mut set, &load).await.unwrap();
    let registration = calls
        .iter()
        .find(|call| call.command.contains("/auth/register"));
    assert!(registration.unwrap().problem.is_some(), "{calls:?}");
    set.stop().await;
}
