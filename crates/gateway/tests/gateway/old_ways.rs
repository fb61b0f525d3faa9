//! What still comes for an old side: counted by who comes, and refused for a while.

use crate::support::*;
use gateway::Removal;
use protocol::Side;
use std::time::Duration;

/// A bed with an old way, and testers who may choose a side.
async fn bed() -> Bed {
    let routes = "workers: 1\n  routes: { \
        old: { to: monolith, path: '/old/*', retires-with: contracts }, \
        other: { to: monolith, path: '/other/*' } }";
    let extraction = "routes: [{ path: '/api/contracts/*' }]\n    rollout: \
        { key: { header: x-user-id }, force: { header: x-side, key: 0123456789abcdef } }";
    Bed::planned(|monolith, service| extracting(monolith, service, routes, extraction)).await
}

const REMOVAL: Removal = Removal {
    deprecated: 1_700_000_000,
    sunset: 1_800_000_000,
};

async fn call(bed: &Bed, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = build(method, path, Some("1"), "");
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    bed.client().await.request(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_ways_are_refused_where_the_service_owns_and_nowhere_else() {
    let bed = bed().await;
    let gateway = &bed.gateway;
    let begin = |left| gateway.brown_out(&contracts(), Some((REMOVAL, left)));
    let status = async |method: &str, path: &str| call(&bed, method, path, &[]).await.status;

    // The monolith owns: nothing is an old way yet.
    bed.publish(1, TO_MONOLITH, 100);
    begin(DEADLINE * 10);
    assert_eq!(status("GET", "/old/7").await, 200);
    bed.publish(2, TO_SERVICE, 50);
    assert_eq!(status("GET", "/old/7").await, 200, "half may read there");
    for client in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        let read = build("GET", "/api/contracts/7", Some(client), "");
        let answer = bed.client().await.request(read).await.unwrap();
        assert_eq!(answer.status, 200, "and is counted nowhere");
    }

    bed.publish(3, TO_SERVICE, 100);
    let curl = [("user-agent", "curl/8.5")];
    let answer = call(&bed, "POST", "/old/7", &curl).await;
    assert_eq!(answer.status, 410, "{answer:?}");
    assert_eq!(answer.header("deprecation"), Some("@1700000000"));
    assert_eq!(
        answer.header("sunset"),
        Some("Fri, 15 Jan 2027 08:00:00 GMT")
    );
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/problem+json"));
    assert!(
        answer.body.contains("\"reason\":\"brown-out\""),
        "{answer:?}"
    );
    assert_eq!(answer.side(), None, "it was sent nowhere");
    let (parts, ()) = http::Request::get("/old/7")
        .header("host", "a")
        .body(())
        .unwrap()
        .into_parts();
    let asked = http::Request::from_parts(parts, bytes::Bytes::new());
    let told = gateway.explain(asked, [127, 0, 0, 1].into()).unwrap();
    assert!(
        told.to.is_none() && told.why.starts_with("410"),
        "{}",
        told.why
    );
    // Others are not, nor what the service answers.
    assert_eq!(status("GET", "/other/7").await, 200);
    assert_eq!(status("POST", "/api/contracts/7").await, 200);
    assert_eq!(status("GET", "/api/contracts/7").await, 200);
    // Who has chosen the old side is.
    let never = [("x-side", "never"), ("x-side-key", "0123456789abcdef")];
    assert_eq!(
        call(&bed, "GET", "/api/contracts/7", &never).await.status,
        410
    );

    // A rollback ends it at once: from the hold on, before anybody is told.
    let hold = protocol::routing::Writes::Hold {
        from: Side::Service,
    };
    bed.publish(4, hold, 100);
    assert_eq!(status("GET", "/old/7").await, 200);
    bed.publish(5, TO_SERVICE, 100);
    assert_eq!(status("GET", "/old/7").await, 410);
    begin(Duration::ZERO);
    assert_eq!(status("GET", "/old/7").await, 200, "its time is over");
    begin(DEADLINE);
    gateway.brown_out(&contracts(), None);
    assert_eq!(status("GET", "/old/7").await, 200, "it was ended");

    let told = gateway.take_old_callers(&contracts());
    let told: Vec<_> = told
        .iter()
        .map(|(who, calls)| (&*who.route, &*who.agent, calls.requests, calls.refused))
        .collect();
    assert_eq!(
        told,
        [
            ("GET /api/contracts/*", "none", 1, 1),
            ("GET /old/*", "none", 6, 1),
            ("POST /old/*", "curl", 1, 1),
        ]
    );
    assert!(gateway.take_old_callers(&contracts()).is_empty());
}
