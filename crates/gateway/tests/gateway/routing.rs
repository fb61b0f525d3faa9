//! Who gets a request.

use crate::support::*;
use gateway::{Gateway, StartError};
use protocol::routing::Writes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_where_the_routing_says() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let mut client = bed.client().await;
    let answer = client.send("GET", "/api/parties?a=b", Some("1"), "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "monolith"));
    assert_eq!(answer.side(), Some("monolith"));
    let answer = client
        .send("POST", "/api/contracts/7", Some("1"), "x")
        .await;
    assert_eq!(answer.side(), Some("monolith"));
    assert_eq!(bed.monolith.seen()[0].path, "/api/parties?a=b");

    bed.publish(2, TO_SERVICE, 100);
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "FROB"] {
        let answer = client.send(method, "/api/contracts", None, "").await;
        assert_eq!(
            (answer.status, answer.side()),
            (200, Some("service")),
            "{method}"
        );
    }
    // The prefix ends at a slash.
    assert_eq!(
        client.send("GET", "/api/contractsx", None, "").await.side(),
        Some("monolith")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_routing_is_refused() {
    let bed = Bed::start(Knobs::default(), TO_SERVICE, 100).await;
    bed.publish(3, TO_SERVICE, 100);
    bed.publish(2, TO_MONOLITH, 0);
    assert_eq!(
        bed.get("/api/contracts", None).await.side(),
        Some("service")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_routing_or_lease_extractions_are_refused_and_the_rest_works() {
    let bed = Bed::unpublished(Knobs::default()).await;
    bed.get("/api/contracts", Some("1"))
        .await
        .assert_refused("owner-unknown");
    bed.post("/api/contracts", Some("1"), "x")
        .await
        .assert_refused("owner-unknown");
    assert_eq!(bed.get("/other", None).await.status, 200);

    let positions = Arc::clone(&bed.mover) as Arc<dyn gateway::Positions>;
    let plan = plan(
        Knobs::default(),
        "127.0.0.1:0",
        bed.monolith.address,
        bed.service.address,
    );
    let gateway = Gateway::start(&plan, positions).unwrap();
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    let address = gateway.local_addr();
    let post = async || {
        Client::connect(address)
            .await
            .send("POST", "/api/contracts", None, "")
            .await
    };
    post().await.assert_refused("no-lease");
    let end = Instant::now() + Duration::from_millis(300);
    gateway.renew_lease(end);
    gateway.renew_lease(Instant::now());
    let mut answered = 0;
    loop {
        let sent = Instant::now();
        let answer = post().await;
        if answer.status == 503 {
            answer.assert_refused("no-lease");
            assert!(Instant::now() >= end);
            break;
        }
        assert!(sent < end);
        answered += 1;
    }
    assert!(answered > 0);
    let get = Client::connect(address)
        .await
        .send("GET", "/api/contracts", None, "")
        .await;
    get.assert_refused("no-lease");
    assert_eq!(
        Client::connect(address)
            .await
            .send("GET", "/other", None, "")
            .await
            .status,
        200
    );
    assert_eq!(bed.service.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_is_sticky_and_monotone_and_leaves_the_keyless_alone() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let mut client = bed.client().await;
    let mut before = vec![false; 100];
    for share in [10, 50, 100] {
        bed.publish(1, TO_MONOLITH, share);
        let mut picked = Vec::new();
        for user in 0..100 {
            let user = format!("user-{user}");
            let mut sides = Vec::new();
            for _ in 0..2 {
                sides.push(
                    client
                        .send("GET", "/api/contracts", Some(&user), "")
                        .await
                        .body,
                );
            }
            assert_eq!(sides[0], sides[1]);
            picked.push(sides[0] == "service");
        }
        let count = picked.iter().filter(|picked| **picked).count();
        assert!(
            count.abs_diff(usize::from(share)) <= 15,
            "{count} of 100 at {share} %"
        );
        assert!(
            before
                .iter()
                .zip(&picked)
                .all(|(before, now)| *now || !before)
        );
        before = picked;
        assert_eq!(
            client.send("GET", "/api/contracts", None, "").await.body,
            "monolith"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_said_so() {
    let bed = Bed::unpublished(Knobs::default()).await;
    let start = |listen: &str| {
        let plan = plan(
            Knobs::default(),
            listen,
            bed.monolith.address,
            bed.service.address,
        );
        Gateway::start(&plan, Arc::clone(&bed.mover) as Arc<dyn gateway::Positions>)
    };
    // An address of its own: no other test takes the port meanwhile.
    let first = start("127.0.0.2:0").unwrap();
    let address = first.local_addr();
    // Also where the other one shares its port, as another gateway does.
    for address in [bed.monolith.address, address] {
        let error = start(&address.to_string()).err().unwrap();
        assert!(matches!(error, StartError::AddressInUse { .. }), "{error}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        assert!(error.to_string().contains("gateway.listen"), "{error}");
    }
    let error = start("192.0.2.1:80").err().unwrap();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    // And it can be had again afterwards.
    first.shutdown(Duration::ZERO).await;
    start(&address.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_lets_requests_end_and_refuses_what_is_held() {
    let bed = Bed::start(Knobs::default(), HOLD, 0).await;
    let go = bed.monolith.stall();
    let slow = bed.spawn("GET", "/slow", None, "").await;
    let idle = bed.client().await;
    until("the slow one is there", || bed.monolith.count() == 1).await;
    let held = bed.spawn("POST", "/api/contracts", None, "x").await;
    until("the other one is held", || bed.held().now == 1).await;
    let gateway = bed.gateway.clone();
    let stopping = tokio::spawn(async move { gateway.shutdown(DEADLINE).await });
    held.await.unwrap().assert_refused("stopping");
    until("the idle one is closed", || idle.is_closed()).await;
    assert!(!stopping.is_finished());
    go.notify_waiters();
    assert_eq!(slow.await.unwrap().body, "at last");
    tokio::time::timeout(DEADLINE, stopping)
        .await
        .unwrap()
        .unwrap();
    assert!(
        tokio::net::TcpStream::connect(bed.gateway.local_addr())
            .await
            .is_err()
    );
    assert_eq!(bed.monolith.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_with_its_grace_though_a_write_hangs() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let _go = bed.monolith.stall();
    let _hanging = bed.spawn("POST", "/api/contracts", None, "x").await;
    until("the write is there", || bed.monolith.count() == 1).await;
    let stopping = bed.gateway.shutdown(Duration::from_millis(50));
    let cut = tokio::time::timeout(DEADLINE, stopping).await.unwrap();
    assert_eq!(bed.monolith.count(), 1);
    assert_eq!(cut.by_route(), "contracts /api/contracts/*: 1 request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_that_is_told_again_goes_by_the_shorter_grace() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let _go = bed.monolith.stall();
    let _hanging = bed.spawn("GET", "/slow", None, "").await;
    until("the request is there", || bed.monolith.count() == 1).await;
    assert_eq!(bed.gateway.under_way().await.total().requests, 1);
    let gateway = bed.gateway.clone();
    let first = tokio::spawn(async move { gateway.shutdown(Duration::from_hours(1)).await });
    until("it accepts no more", || {
        std::net::TcpStream::connect(bed.gateway.local_addr()).is_err()
    })
    .await;
    assert!(!first.is_finished());
    let again = bed.gateway.shutdown(Duration::ZERO);
    tokio::time::timeout(DEADLINE, again).await.unwrap();
    let cut = tokio::time::timeout(DEADLINE, first)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(cut.by_route(), "no route: 1 request");
    assert_eq!(bed.gateway.under_way().await.total().all(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_bounded_labels() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 100).await;
    let before = bed.metrics();
    let mut client = bed.client().await;
    client.send("GET", "/api/contracts/1", None, "").await;
    client.send("GET", "/api/contracts/2", None, "").await;
    client.send("FROB", "/whatever", None, "").await;
    bed.service.answer_with(503);
    client
        .send("GET", "/api/contracts", Some("reader"), "")
        .await;
    bed.publish(2, Writes::Refuse, 0);
    client
        .send("POST", "/api/contracts", Some("writer"), "")
        .await;
    let after = bed.metrics();
    for (series, times) in [
        (
            r#"http_requests_total{service="contracts",route="/api/contracts/*",method="GET",status="2xx",code="200",side="monolith"}"#,
            3,
        ),
        (
            r#"http_requests_total{service="monolith",route="other",method="other",status="2xx",code="200",side="monolith"}"#,
            1,
        ),
        (
            r#"http_requests_total{service="contracts",route="/api/contracts/*",method="POST",status="5xx",code="503",side="none"}"#,
            1,
        ),
        (
            r#"http_request_duration_seconds_bucket{le="+Inf",service="contracts",route="/api/contracts/*",method="GET",side="monolith"}"#,
            3,
        ),
        (
            r#"http_request_duration_seconds_count{service="contracts",route="/api/contracts/*",method="GET",side="monolith"}"#,
            3,
        ),
        (r#"banyan_fallbacks_total{service="contracts"}"#, 1),
        (r#"banyan_refused_total{reason="owner-unknown"}"#, 1),
        (r#"banyan_held_requests{service="contracts"}"#, 0),
    ] {
        let value = |metrics: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(series));
            line.map(|value| value.trim().parse::<u64>().unwrap())
        };
        let after = value(&after).unwrap_or_else(|| panic!("{series} is not in\n{after}"));
        assert_eq!(after - value(&before).unwrap_or(0), times, "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_who_owns_and_how_many_read_at_the_service() {
    let bed = Bed::unpublished(Knobs::default()).await;
    let owners = |bed: &Bed| {
        let of = |side: &str| {
            let line = format!("banyan_owner{{extraction=\"contracts\",side=\"{side}\"}}");
            bed.metric(&line)
        };
        (of("monolith"), of("service"))
    };
    assert_eq!(owners(&bed), (0, 0));
    assert!(!bed.metrics().contains("banyan_reads_share{"));
    for (epoch, writes, told) in [
        (1, TO_MONOLITH, (1, 0)),
        (2, HOLD, (0, 0)),
        (2, TO_SERVICE, (0, 1)),
    ] {
        bed.publish(epoch, writes, 25);
        assert_eq!(owners(&bed), told, "{writes:?}");
        let share = "banyan_reads_share{extraction=\"contracts\"} 0.25";
        assert!(bed.metrics().contains(share), "{}", bed.metrics());
    }
}
