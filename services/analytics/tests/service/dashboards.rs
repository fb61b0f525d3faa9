use serde_json::{Value, json};

use crate::scene::{Scene, minutes_ago, request, text};

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// Within the histogram's error of what it should be.
#[track_caller]
fn is_about(value: &Value, expected: f64) {
    let told = number(value);
    assert!(
        (told - expected).abs() <= expected * 0.02,
        "{told} for {expected}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_shown_as_they_were() {
    let scene = Scene::with(&[
        ("ANALYTICS_CORE_HOUR_COST", "6"),
        ("ANALYTICS_GIB_HOUR_COST", "3"),
        ("ANALYTICS_CURRENCY", "EUR"),
    ])
    .await;
    // Once: a minute may end meanwhile.
    let now = minutes_ago(0);
    let ago = |minutes| now - time::Duration::minutes(minutes);
    let at = ago(10);
    // 1 to 1000 ms, with 20 errors of which 5 say that nobody was there.
    let mut requests: Vec<_> = (1..=1000_u16)
        .map(|number| {
            let status = match number {
                1..=5 => 503,
                6..=20 => 500,
                21..=50 => 404,
                _ => 200,
            };
            request(at, "/auth/login", status, f64::from(number))
        })
        .collect();
    requests.push(request(ago(9), "/auth/me", 200, 5.0));
    let sample = |minute, instance: &str, cores: f64, gib: i64| {
        json!({ "at": text(ago(minute)), "service": "auth", "instance": instance,
                "cpu_cores": cores, "memory_bytes": gib << 30 })
    };
    // One instance for two minutes, twice in the first; another one for one.
    let samples = [
        sample(10, "a", 0.5, 1),
        sample(10, "a", 1.5, 1),
        sample(9, "a", 2.0, 1),
        sample(9, "b", 1.0, 2),
    ];
    scene.report(&requests, &samples).await;
    scene.until_rolled_up().await;

    let (from, to) = (text(ago(20)), text(ago(0)));
    let over = format!("from={from}&to={to}");
    let overview = scene.read(&format!("/analytics/overview?{over}")).await;
    assert_eq!(overview["over"]["resolution"], "minute");
    assert_eq!(overview["currency"], "EUR");
    let auth = &overview["services"][0];
    assert_eq!(auth["service"], "auth");
    let figures = &auth["requests"];
    assert_eq!(figures["requests"], 1001);
    assert_eq!(
        (&figures["client_errors"], &figures["server_errors"]),
        (&json!(30), &json!(20))
    );
    is_about(&figures["p50_ms"], 500.0);
    is_about(&figures["p95_ms"], 950.0);
    is_about(&figures["p99_ms"], 990.0);
    assert_eq!(figures["max_ms"], 1000.0);
    assert!((number(&figures["mean_ms"]) - 500_505.0 / 1001.0).abs() < 1e-9);
    assert!((number(&figures["availability"]) - 996.0 / 1001.0).abs() < 1e-12);
    assert!((number(&figures["error_rate"]) - 20.0 / 1001.0).abs() < 1e-12);
    assert!((number(&figures["throughput"]) - 1001.0 / 1200.0).abs() < 1e-12);
    let used = &auth["resources"];
    assert_eq!(
        (&used["instances"], &used["cpu_max_cores"]),
        (&json!(2), &json!(2.0))
    );
    // Means of minutes: 1, 2 and 1 cores, 1, 1 and 2 GiB.
    assert!((number(&used["cpu_mean_cores"]) - 4.0 / 3.0).abs() < 1e-9);
    assert!((number(&used["cost"]) - (4.0 * 6.0 + 4.0 * 3.0) / 60.0).abs() < 1e-9);

    let report = scene
        .read(&format!("/analytics/services/auth?{over}&step=600"))
        .await;
    assert_eq!(&report["requests"], figures);
    assert_eq!(&report["resources"], used);
    let series = report["series"].as_array().unwrap();
    assert_eq!(series.len(), 2);
    assert_eq!(series[0]["requests"]["requests"], 0);
    assert_eq!(series[0]["requests"]["p95_ms"], Value::Null);
    assert_eq!(
        (&series[0]["resources"], &series[0]["at"]),
        (&Value::Null, &json!(from))
    );
    assert_eq!(series[1]["requests"]["requests"], 1001);

    let slow = scene
        .read(&format!(
            "/analytics/slow-endpoints?{over}&service=auth&limit=1"
        ))
        .await;
    let slowest = slow["endpoints"].as_array().unwrap();
    assert_eq!(slowest.len(), 1);
    assert_eq!(slowest[0]["endpoint"], "/auth/login");
    assert_eq!(slowest[0]["requests"]["mean_ms"], 500.5);
    let other = scene.read("/analytics/services/nobody").await;
    assert_eq!(
        (&other["requests"]["requests"], &other["resources"]),
        (&json!(0), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_say_what_their_minutes_say() {
    let scene = Scene::new().await;
    // Over three hours.
    let requests: Vec<_> = (0..180_u8)
        .flat_map(|minute| {
            let at = minutes_ago(i64::from(minute));
            [
                request(at, "/a", 200, 1.0 + f64::from(minute) * 7.0),
                request(at, "/b", 500, 3.0 * f64::from(minute)),
            ]
        })
        .collect();
    scene.report(&requests, &[]).await;
    scene.until_rolled_up().await;
    let to = text(minutes_ago(0));
    // The same time, once by minutes and once by hours: begins and ends beyond all.
    let hour = |offset: i64| {
        let now = minutes_ago(0).unix_timestamp().div_euclid(3600) * 3600;
        text(time::OffsetDateTime::from_unix_timestamp(now + offset * 3600).unwrap())
    };
    let (from, end) = (hour(-5), hour(1));
    let minutes = scene
        .read(&format!(
            "/analytics/services/auth?from={from}&to={end}&step=3600"
        ))
        .await;
    let (from, end) = (hour(-6), hour(1));
    let hours = scene
        .read(&format!(
            "/analytics/services/auth?from={from}&to={end}&step=3600"
        ))
        .await;
    assert_eq!(minutes["over"]["resolution"], "minute");
    assert_eq!(hours["over"]["resolution"], "hour");
    let told = |report: &Value, name: &str| report["requests"][name].clone();
    for name in [
        "requests",
        "server_errors",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "max_ms",
    ] {
        assert_eq!(told(&minutes, name), told(&hours, name), "{name}");
    }
    assert_eq!(told(&hours, "requests"), 360);
    let series = |report: &Value| report["series"].as_array().unwrap().clone();
    let (minutes, hours) = (series(&minutes), series(&hours));
    for (by_minute, by_hour) in minutes.iter().rev().skip(1).zip(hours.iter().rev().skip(1)) {
        assert_eq!(by_minute["at"], by_hour["at"]);
        assert_eq!(
            by_minute["requests"]["p95_ms"],
            by_hour["requests"]["p95_ms"]
        );
    }
    let day = scene
        .read(&format!("/analytics/slow-endpoints?from={from}&to={to}"))
        .await;
    assert_eq!(day["endpoints"][0]["endpoint"], "/a");
}
