use serde_json::{Value, json};
use testbed::deadline;
use testbed::process::Process;

use crate::scene::{Scene, TIMEOUT, minutes_ago, request};

/// Whether what is rolled up, by minute and by hour, is what is there, row by
/// row and of the whole service: requests, errors, times, and the cells of the histograms.
const DIFFERENCES: &str = "with rows as ( \
    select unit, date_trunc(unit, at) as begins, service, coalesce(endpoint, ''), \
    coalesce(method, ''), count(*) as n, \
    count(*) filter (where status >= 500) as errors, round(sum(response_time)::numeric, 6) as time \
    from metrics, (values ('minute'), ('hour')) as units (unit) \
    group by grouping sets ((1, 2, service, endpoint, method), (1, 2, service))), \
    rolled as ( \
    select 'minute' as unit, * from requests_by_minute union all \
    select 'hour', * from requests_by_hour), \
    sums as (select unit, begins, service, endpoint, method, requests, server_errors, \
    round(time_sum::numeric, 6) as time from rolled), \
    cells as (select unit, date_trunc(unit, at) as begins, coalesce(endpoint, ''), cell, \
    count(*) as n from metrics, (values ('minute'), ('hour')) as units (unit) \
    group by grouping sets ((1, 2, endpoint, cell), (1, 2, cell))), \
    filled as (select unit, begins, endpoint, cell, n::bigint \
    from rolled, unnest(cells, counts) as filled (cell, n)) \
    select (select count(*) from (table rows except table sums) as missing) \
    + (select count(*) from (table sums except table rows) as surplus) \
    + (select count(*) from (table cells except table filled) as missing) \
    + (select count(*) from (table filled except table cells) as surplus)";

async fn is_rolled_up_exactly(scene: &Scene, requests: i64) {
    scene.until_rolled_up().await;
    let differences: i64 = scene.value(DIFFERENCES).await;
    assert_eq!(differences, 0);
    let counted: i64 = scene
        .value("select sum(requests)::bigint from requests_by_hour where endpoint = ''")
        .await;
    assert_eq!(counted, requests);
}

/// Requests that differ, over some minutes and endpoints.
fn some(minutes: std::ops::Range<i64>) -> Vec<Value> {
    minutes
        .flat_map(|minute| {
            (0..10_u8).map(move |number| {
                let endpoint = format!("/{}", number % 3);
                let status = if number == 9 { 500 } else { 200 };
                let time = f64::from(number) * 13.0 + f64::from(u8::try_from(minute).unwrap());
                request(minutes_ago(minute), &endpoint, status, time)
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_counts_once_too() {
    let scene = Scene::new().await;
    scene.report(&some(0..20), &[]).await;
    is_rolled_up_exactly(&scene, 200).await;
    // Into minutes and hours that were rolled up, and into older ones.
    scene.report(&some(5..7), &[]).await;
    is_rolled_up_exactly(&scene, 220).await;
    let late = minutes_ago(3 * 24 * 60);
    scene.report(&[request(late, "/late", 200, 7.0)], &[]).await;
    is_rolled_up_exactly(&scene, 221).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_commits_during_a_round_is_not_missed() {
    let scene = Scene::with(&[("ANALYTICS_ROLLUP_INTERVAL", "0")]).await;
    // Small batches into the same minutes, from several sides, while rounds go on.
    let report = async |part: i64| {
        for _ in 0..25 {
            scene.report(&some(part..part + 2), &[]).await;
        }
    };
    tokio::join!(report(0), report(1), report(0), report(1));
    is_rolled_up_exactly(&scene, 4 * 25 * 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_do_not_meet() {
    let scene = Scene::with(&[("ANALYTICS_ROLLUP_INTERVAL", "0")]).await;
    let logs = scene.bed.directory.path().join("other");
    let port = testbed::ports::free().unwrap().to_string();
    let spec = scene.spec("other").env("SERVICE_PORT", &port);
    let mut other = Process::start(&spec, &logs).unwrap();
    for _ in 0..20 {
        scene.report(&some(0..3), &[]).await;
    }
    other.ensure_running().unwrap();
    is_rolled_up_exactly(&scene, 600).await;
    let log = std::fs::read_to_string(other.log()).unwrap() + &scene.log();
    assert!(!log.contains("cannot") && !log.contains("ERROR"), "{log}");
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_is_killed_leaves_nothing_out_and_nothing_twice() {
    let mut scene = Scene::new().await;
    scene.report(&some(0..5), &[]).await;
    is_rolled_up_exactly(&scene, 50).await;
    // The round has taken its notes and stands before the table of the hours.
    for table in ["requests_by_minute", "requests_by_hour"] {
        let holder = scene.bed.cluster.superuser("analytics").await.unwrap();
        holder
            .batch_execute(&format!(
                "begin; lock table analytics_service.{table} in share mode"
            ))
            .await
            .unwrap();
        scene.report(&some(0..5), &[]).await;
        deadline::until("the round to wait", TIMEOUT, async || {
            let waiting: i64 = scene
                .value(
                    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                        and query like 'insert into requests_by%' or query like 'with minutes%' \
                        and wait_event_type = 'Lock'",
                )
                .await;
            Ok((waiting > 0).then_some(()))
        })
        .await
        .unwrap();
        scene.kill().await;
        holder.batch_execute("rollback").await.unwrap();
        scene.start().await;
    }
    is_rolled_up_exactly(&scene, 150).await;
    let overview = scene.read("/analytics/overview").await;
    assert_eq!(overview["services"][0]["requests"]["requests"], json!(150));
}
