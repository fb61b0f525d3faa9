//! How much the service takes: a measurement, whose figures are in the README.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::cluster::Options;

use crate::scene::{Scene, minutes_ago, post, request, text};

const TIME: Duration = Duration::from_secs(20);
const SENDERS: usize = 4;
const ROWS: u16 = 1000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, whose figures are in the README: run it alone, with --no-capture"]
async fn rows_per_second() {
    let settings = [("ANALYTICS_ROLLUP_INTERVAL", "5"), ("LOG_LEVEL", "warn")];
    let scene = Scene::on(&Options::durable(), &settings).await;
    let at = minutes_ago(0);
    let requests: Vec<_> = (0..ROWS)
        .map(|number| {
            let endpoint = format!("/endpoint/{}", number % 50);
            request(at, &endpoint, 200, f64::from(number) * 0.7)
        })
        .collect();
    let body = json!({ "requests": requests });
    let started = Instant::now();
    let sender = |port: u16, body: Value| async move {
        let mut batches = 0_u32;
        while started.elapsed() < TIME {
            let answer = post(port, "/analytics/metrics", "", &body).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            batches += 1;
        }
        batches
    };
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| tokio::spawn(sender(scene.port, body.clone())))
        .collect();
    let mut batches = 0;
    for sender in senders {
        batches += sender.await.unwrap();
    }
    let taken = started.elapsed().as_secs_f64();
    scene.until_rolled_up().await;
    let rolled = started.elapsed().as_secs_f64() - taken;
    let rows = f64::from(batches) * f64::from(ROWS);
    println!(
        "{:.0} rows/s over {taken:.0} s, rolled up after {rolled:.1} s",
        rows / taken
    );
}

/// Two days of minutes and thirty days of hours, of three services with a hundred
/// endpoints each, with twenty cells filled.
const ROLL_UPS: &str = "insert into requests_by_minute \
    select to_timestamp(minute * 60), 'service-' || service, endpoint, case endpoint when '' then '' else 'GET' end, 20, 0, 1, 0, \
    2000, 200, cells, counts from \
    generate_series(extract(epoch from now())::bigint / 60 - 2880, \
        extract(epoch from now())::bigint / 60) as minutes (minute), \
    generate_series(1, 3) as services (service), \
    (select '' union all select '/' || n from generate_series(1, 100) as n) as endpoints (endpoint), \
    (select array_agg(n::smallint), array_agg(1::bigint) from generate_series(201, 220) as n) \
        as filled (cells, counts); \
    insert into requests_by_hour \
    select to_timestamp(hour * 3600), 'service-' || service, endpoint, case endpoint when '' then '' else 'GET' end, 20, 0, 1, 0, \
    2000, 200, cells, counts from \
    generate_series(extract(epoch from now())::bigint / 3600 - 720, \
        extract(epoch from now())::bigint / 3600) as hours (hour), \
    generate_series(1, 3) as services (service), \
    (select '' union all select '/' || n from generate_series(1, 100) as n) as endpoints (endpoint), \
    (select array_agg(n::smallint), array_agg(1::bigint) from generate_series(201, 220) as n) \
        as filled (cells, counts); \
    analyze";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, whose figures are in the README: run it alone, with --no-capture"]
async fn seconds_per_look() {
    let scene = Scene::new().await;
    scene.sql(ROLL_UPS).await;
    let ago = |minutes: i64| text(minutes_ago(minutes));
    for path in [
        "overview".to_owned(),
        "services/service-1".to_owned(),
        format!("overview?from={}", ago(355)),
        format!("services/service-1?from={}", ago(355)),
        format!("services/service-1?from={}&step=300", ago(2875)),
        format!("slow-endpoints?from={}", ago(355)),
        format!("overview?from={}", ago(2875)),
        format!("overview?from={}", ago(30 * 24 * 60)),
        format!("services/service-1?from={}", ago(30 * 24 * 60)),
        format!("slow-endpoints?from={}", ago(30 * 24 * 60)),
    ] {
        let started = Instant::now();
        let answer = scene.get(&format!("/analytics/{path}")).await;
        println!(
            "{} {:.2} s: {path}",
            answer.status,
            started.elapsed().as_secs_f64()
        );
    }
}
