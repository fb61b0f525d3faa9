use serde_json::json;

use crate::scene::{Scene, minutes_ago, request};

/// The days that a table has partitions for, counted from today.
async fn days(scene: &Scene, table: &str) -> String {
    let query = format!(
        "select string_agg((to_date(right(relname, 8), 'YYYYMMDD') - current_date)::text, ' ' \
         order by relname) from pg_inherits join pg_class on pg_class.oid = inhrelid \
         where inhparent = 'analytics_service.{table}'::regclass"
    );
    scene.value(&query).await
}

#[tokio::test(flavor = "multi_thread")]
async fn days_come_and_go() {
    let settings = [
        ("ANALYTICS_RAW_DAYS", "2"),
        ("ANALYTICS_MINUTE_DAYS", "4"),
        ("ANALYTICS_HOUR_DAYS", "6"),
    ];
    let mut scene = Scene::with(&settings).await;
    for table in ["metrics", "resources", "events", "requests_by_minute"] {
        assert_eq!(days(&scene, table).await, "-2 -1 0 1 2 3", "{table}");
    }
    scene
        .report(&[request(minutes_ago(0), "/now", 200, 1.0)], &[])
        .await;
    scene.until_rolled_up().await;
    scene.stop().await;
    // What was there after some days' rest: rows of which some are not rolled
    // up, older minutes, older hours.
    scene
        .sql(
            "set timezone = 'UTC'; \
             insert into arrivals values (current_date - 6 + interval '1 hour', 'request'); \
             select keep_partitions(2, 4, 3); \
             insert into metrics select current_date - day + interval '1 hour', null, 'auth', \
             '/old', 'GET', 200, 1, 116 from generate_series(3, 6) as days (day); \
             insert into requests_by_minute select current_date - day, 'auth', '/older', 'GET', \
             1, 0, 0, 0, 1, 1, '{116}', '{1}' from generate_series(3, 6) as days (day); \
             insert into requests_by_hour select current_date - day, 'auth', '/oldest', 'GET', \
             1, 0, 0, 0, 1, 1, '{116}', '{1}' from generate_series(3, 9) as days (day);",
        )
        .await;
    assert_eq!(days(&scene, "metrics").await, "-6 -5 -4 -3 -2 -1 0 1 2 3");
    // The day that is not rolled up stays, and all after it, until it is.
    scene.start().await;
    scene.until_rolled_up().await;
    let kept: i64 = scene
        .value("select count(*) from requests_by_hour where endpoint = '/old'")
        .await;
    assert_eq!(kept, 1);
    let oldest: i32 = scene
        .value("select current_date - min(begins)::date from requests_by_hour")
        .await;
    assert_eq!(oldest, 6);
    scene.stop().await;
    scene.start().await;
    assert_eq!(days(&scene, "metrics").await, "-2 -1 0 1 2 3");
    assert_eq!(
        days(&scene, "requests_by_minute").await,
        "-4 -3 -2 -1 0 1 2 3"
    );
    let left: i64 = scene
        .value("select count(*) from metrics where endpoint = '/now'")
        .await;
    assert_eq!(left, 1);
    // Too late is told, and leaves nothing of its batch.
    let body = json!({ "requests": [
        request(minutes_ago(0), "/with-it", 200, 1.0),
        request(minutes_ago(2 * 24 * 60), "/too-late", 200, 1.0),
    ] });
    let answer = scene.post("/analytics/metrics", "", &body).await;
    answer.is_problem(422, "invalid-content");
    assert_eq!(answer.json()["errors"][0]["pointer"], "/requests/1/at");
    let left: i64 = scene.value("select count(*) from metrics").await;
    assert_eq!(left, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_a_partition_is_told_and_made_at_the_next_start() {
    let mut scene = Scene::new().await;
    scene
        .sql("do $$ begin execute 'drop table metrics_' || to_char(now() at time zone 'UTC', 'YYYYMMDD'); end $$")
        .await;
    let body = json!({ "requests": [request(minutes_ago(0), "/", 200, 1.0)] });
    let refused = scene.post("/analytics/metrics", "", &body).await;
    refused.is_problem(503, "unavailable");
    assert!(!scene.log().contains("ERROR"));
    scene.stop().await;
    scene.start().await;
    let taken = scene.post("/analytics/metrics", "", &body).await;
    assert_eq!(taken.json(), json!({ "accepted": 1, "repeated": 0 }));
}
