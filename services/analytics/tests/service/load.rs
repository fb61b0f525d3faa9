//! How much the service takes: a measurement, whose figures are in the README.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::cluster::Options;

use crate::scene::{Scene, minutes_ago, post, request};

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
