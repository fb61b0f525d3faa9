use serde_json::json;
use testbed::cluster;

use crate::scene::{Scene, minutes_ago, request, service_token, text, token};

/// As seed 000 has it.
const SLOW: &str = "SELECT endpoint, avg(response_time) FROM metrics
GROUP BY endpoint
ORDER BY avg(response_time) DESC
LIMIT 10;";

#[tokio::test(flavor = "multi_thread")]
async fn the_query_of_the_seed_works_as_it_is_written() {
    let scene = Scene::new().await;
    let now = minutes_ago(0);
    let requests: Vec<_> = (0..12_u8)
        .flat_map(|number| {
            let endpoint = format!("/number/{number}");
            [1.0, 3.0].map(|part| request(now, &endpoint, 200, part * f64::from(number)))
        })
        .collect();
    scene.report(&requests, &[]).await;
    // As whoever is told to look, with the service's own role.
    let url = scene.bed.cluster.url("analytics_app", "analytics").unwrap();
    let client = cluster::connect_url(&url).await.unwrap();
    let rows = client.query(SLOW, &[]).await.unwrap();
    let read: Vec<(String, f64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected: Vec<_> = (2..12_u8)
        .rev()
        .map(|number| (format!("/number/{number}"), 2.0 * f64::from(number)))
        .collect();
    assert_eq!(read, expected);
    // That role cannot take away what was counted but by the days that are over.
    let dropped = client.batch_execute("drop table metrics").await;
    assert!(dropped.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_again_counts_once() {
    let scene = Scene::new().await;
    let now = minutes_ago(1);
    let named = |id: u8| {
        let mut one = request(now, "/named", 200, 1.0);
        one["id"] = json!(format!("00000000-0000-4000-8000-0000000000{id:02}"));
        one
    };
    let receipt = scene.report(&[named(1), named(2)], &[]).await;
    assert_eq!(receipt, json!({ "accepted": 2, "repeated": 0 }));
    // Another batch with some of the same, and one twice.
    let receipt = scene.report(&[named(2), named(3), named(3)], &[]).await;
    assert_eq!(receipt, json!({ "accepted": 1, "repeated": 2 }));
    // Without ids the batch has the name.
    let body = json!({ "requests": [request(now, "/unnamed", 200, 1.0)] });
    let key = "Idempotency-Key: 1f0f8a2c\r\n";
    for replayed in [None, Some("true")] {
        let answer = scene.post("/analytics/metrics", key, &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.json()["accepted"], 1);
        assert_eq!(answer.header("idempotent-replayed"), replayed);
    }
    let other = json!({ "requests": [request(now, "/other", 200, 1.0)] });
    let reused = scene.post("/analytics/metrics", key, &other).await;
    reused.is_problem(422, "idempotency-key-reused");
    // And without either it is another request.
    for _ in 0..2 {
        scene.report(&[request(now, "/again", 200, 1.0)], &[]).await;
    }
    scene.until_rolled_up().await;
    let slow = scene.read("/analytics/slow-endpoints").await;
    let count = |endpoint: &str| {
        let all = slow["endpoints"].as_array().unwrap();
        let found = all.iter().find(|one| one["endpoint"] == endpoint);
        found.map(|one| one["requests"]["requests"].as_u64().unwrap())
    };
    assert_eq!(count("/named"), Some(3));
    assert_eq!(count("/unnamed"), Some(1));
    assert_eq!(count("/again"), Some(2));
    assert_eq!(count("/other"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_the_largest_size_is_taken() {
    let scene = Scene::new().await;
    let now = minutes_ago(0);
    let requests: Vec<_> = (0..5000_u32)
        .map(|number| {
            let mut one = request(now, &format!("/{number}"), 200, f64::from(number));
            one["id"] = json!(format!("00000000-0000-4000-8000-{number:012}"));
            one
        })
        .collect();
    assert_eq!(scene.report(&requests, &[]).await["accepted"], 5000);
    assert_eq!(scene.report(&requests, &[]).await["repeated"], 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_counted() {
    let scene = Scene::new().await;
    let (one, two) = (minutes_ago(3), minutes_ago(2));
    let event = |at, name: &str| {
        json!({ "at": text(at), "service": "contracts", "name": name, "user_id": "7",
                "properties": { "contract": 17, "by": "O'Hara \\ {\"}" } })
    };
    let events = [
        event(one, "signed"),
        event(two, "signed"),
        event(two, "opened"),
    ];
    let body = json!({ "events": events });
    let answer = scene.post("/analytics/events", "", &body).await;
    assert_eq!(answer.json(), json!({ "accepted": 3, "repeated": 0 }));
    scene.until_rolled_up().await;
    let counts = scene.read("/analytics/events?name=signed&step=60").await;
    let expected =
        |at| json!({ "at": text(at), "service": "contracts", "name": "signed", "events": 1 });
    assert_eq!(counts["counts"], json!([expected(two), expected(one)]));
    assert_eq!(counts["truncated"], false);
    let stored: String = scene
        .value("select properties ->> 'by' from events limit 1")
        .await;
    assert_eq!(stored, "O'Hara \\ {\"}");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_report_and_users_with_the_role_read() {
    let scene = Scene::new().await;
    let body = json!({ "requests": [request(minutes_ago(0), "/", 200, 1.0)] }).to_string();
    let post = |headers: String| {
        let scene = &scene;
        let (headers, body) = (
            format!("Content-Type: application/json\r\n{headers}"),
            &body,
        );
        async move { scene.send("POST /analytics/metrics", &headers, body).await }
    };
    post(String::new())
        .await
        .is_problem(401, "credential-missing");
    post("X-API-Key: guess\r\n".to_owned())
        .await
        .is_problem(401, "key-unknown");
    post(token(&["admin"])).await.is_problem(403, "forbidden");
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiI3IiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    post(format!("Authorization: Bearer {none}\r\n"))
        .await
        .is_problem(401, "token-algorithm");
    // Another service, for this very request; for another one it is none.
    let of_service = |path: &str| format!("X-Service-Token: {}\r\n", service_token("POST", path));
    post(of_service("/analytics/events"))
        .await
        .is_problem(401, "token-request");
    assert_eq!(post(of_service("/analytics/metrics")).await.status, 202);
    for path in ["overview", "services/auth", "slow-endpoints", "events"] {
        let line = format!("GET /analytics/{path}");
        let read = async |headers: &str| scene.send(&line, headers, "").await;
        read("").await.is_problem(401, "credential-missing");
        read(&token(&[])).await.is_problem(403, "forbidden");
        read(&token(&["Admin", "analyst"]))
            .await
            .is_problem(403, "forbidden");
        assert_eq!(read(&token(&["admin"])).await.status, 200, "{path}");
    }
}
