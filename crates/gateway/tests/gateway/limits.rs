//! How often one may ask: in one process, and in Redis.

use crate::{
    access::{ask, guarded},
    redis::Redis,
    support::*,
};

async fn statuses(bed: &Bed, headers: &[(&str, &str)], count: usize) -> Vec<u16> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(ask(bed, "GET", "/x", headers).await.status);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_gets_so_many_and_is_told() {
    let bed = guarded(
        r"
  consumers: { shop: { keys: [a, b] }, bank: { keys: [c] } }
  policies: { keys: {}, limits: [{ month: 3, year: 10 }] }
",
    )
    .await;
    let first = ask(&bed, "GET", "/x", &[("x-api-key", "a")]).await;
    assert_eq!(first.status, 200);
    for (name, value) in [
        ("x-ratelimit-limit-month", "3"),
        ("x-ratelimit-remaining-month", "2"),
        ("x-ratelimit-limit-year", "10"),
        ("x-ratelimit-remaining-year", "9"),
        ("ratelimit-limit", "3"),
        ("ratelimit-remaining", "2"),
    ] {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    assert_eq!(first.header("retry-after"), None);
    // Both keys are one consumer's; another consumer has its own share.
    assert_eq!(
        statuses(&bed, &[("x-api-key", "b")], 3).await,
        [200, 200, 429]
    );
    assert_eq!(statuses(&bed, &[("x-api-key", "c")], 1).await, [200]);
    let full = ask(&bed, "GET", "/x", &[("x-api-key", "a")]).await;
    assert_eq!(full.status, 429);
    assert!(full.body.contains("\"reason\":\"too-many\""), "{full:?}");
    assert_eq!(full.header("ratelimit-remaining"), Some("0"));
    assert_eq!(full.header("retry-after"), full.header("ratelimit-reset"));
    // Those that were refused did not count.
    assert_eq!(full.header("x-ratelimit-remaining-year"), Some("7"));
    // Who is not let in uses up nothing.
    assert_eq!(statuses(&bed, &[("x-api-key", "guess")], 4).await, [401; 4]);
    assert_eq!(bed.monolith.count(), 4);
    let metrics = bed.metrics();
    assert!(
        metrics.contains("banyan_rate_limit_total{outcome=\"full\"} 2"),
        "{metrics}"
    );
    assert!(
        metrics.contains("banyan_rate_limit_total{outcome=\"room\"} 4"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_paths_and_addresses_are_counted_apart() {
    let bed = guarded(
        r"
  trusted: [127.0.0.1]
  policies: { limits: [{ by: { header: x-tenant }, year: 1, hide-headers: true }] }
",
    )
    .await;
    let first = ask(&bed, "GET", "/x", &[("x-tenant", "a")]).await;
    assert_eq!((first.status, first.header("ratelimit-limit")), (200, None));
    assert_eq!(statuses(&bed, &[("x-tenant", "a")], 1).await, [429]);
    assert_eq!(statuses(&bed, &[("x-tenant", "b")], 2).await, [200, 429]);
    // Without the header: by address. IPv6 clients have a /64 each.
    assert_eq!(statuses(&bed, &[], 2).await, [200, 429]);
    let six = |end: &str| format!("2001:db8::{end}");
    assert_eq!(
        statuses(&bed, &[("x-forwarded-for", &six("1"))], 1).await,
        [200]
    );
    assert_eq!(
        statuses(&bed, &[("x-forwarded-for", &six("2"))], 1).await,
        [429]
    );
    let other = [("x-forwarded-for", "2001:db8:0:1::1")];
    assert_eq!(statuses(&bed, &other, 1).await, [200]);

    let bed =
        guarded("  policies: { limits: [{ by: everybody, year: 2 }, { by: path, year: 1 }] }")
            .await;
    let get = |path: &'static str| {
        let bed = &bed;
        async move { ask(bed, "GET", path, &[]).await.status }
    };
    assert_eq!((get("/a").await, get("/a").await), (200, 429));
    // What the refused one had taken of everybody's share was given back.
    assert_eq!((get("/b").await, get("/c").await), (200, 429));
}

fn shared(redis: std::net::SocketAddr, on_error: &str) -> String {
    format!(
        "  limits-store: {{ redis: \"redis://{redis}/0\", wait: 2s }}\n  policies: {{ limits: [{{ by: everybody, month: 5, year: 9, store: redis, on-error: {on_error} }}] }}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_one_limit() {
    let Some(redis) = Redis::start() else { return };
    let one = guarded(&shared(redis.address, "allow")).await;
    let two = guarded(&shared(redis.address, "allow")).await;
    let (first, second) = tokio::join!(statuses(&one, &[], 6), statuses(&two, &[], 6));
    let passed = first
        .iter()
        .chain(&second)
        .filter(|status| **status == 200)
        .count();
    assert_eq!(passed, 5, "{first:?} {second:?}");
    let full = ask(&two, "GET", "/x", &[]).await;
    assert_eq!(
        (full.status, full.header("ratelimit-limit")),
        (429, Some("5"))
    );
    // Those that were refused did not count.
    assert_eq!(full.header("x-ratelimit-remaining-year"), Some("4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_go_and_come_back() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let open = guarded(&shared(redis.address, "allow")).await;
    let shut = guarded(&shared(redis.address, "refuse")).await;
    assert_eq!(statuses(&open, &[], 3).await, [200; 3]);
    redis.kill();
    assert_eq!(statuses(&open, &[], 8).await, [200; 8]);
    let refused = ask(&shut, "GET", "/x", &[]).await;
    refused.assert_refused("counters-unknown");
    assert!(
        open.metrics().contains("outcome=\"unknown-passed\"} 8"),
        "{}",
        open.metrics()
    );
    redis.restart();
    // It has forgotten; soon it counts again, and for both.
    let end = std::time::Instant::now() + DEADLINE;
    while ask(&shut, "GET", "/x", &[]).await.status != 200 {
        assert!(std::time::Instant::now() < end, "never came back");
    }
    let end = std::time::Instant::now() + DEADLINE;
    while ask(&open, "GET", "/x", &[]).await.status != 429 {
        assert!(std::time::Instant::now() < end, "never counted again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_not_waited_for() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lines = shared(silent.local_addr().unwrap(), "allow").replace("wait: 2s", "wait: 50ms");
    let bed = guarded(&lines).await;
    assert_eq!(statuses(&bed, &[], 8).await, [200; 8]);
}
