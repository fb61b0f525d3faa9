//! Upstreams with several instances, breakers, repeats, checks and patience.

use crate::support::*;
use gateway::{BreakerState, InstanceReport, UpstreamReport};
use http::Request;
use http_body_util::Full;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

const PATH: &str = "/api/contracts";
const USER: Option<&str> = Some("reader");

fn urls(instances: &[SocketAddr]) -> String {
    let urls: Vec<String> = instances
        .iter()
        .map(|at| format!("\"http://{at}\""))
        .collect();
    format!("urls: [{}]", urls.join(", "))
}

/// A monolith of several instances alone.
fn monolith(instances: &[SocketAddr], more: &str, some: Upstream) -> Bed {
    let urls = urls(instances);
    let unused = "url: \"http://127.0.0.1:1\"";
    Bed::of(
        &shaped(&format!("{urls}, {more}"), unused, ""),
        some.clone(),
        some,
    )
}

fn report(bed: &Bed, name: &str) -> UpstreamReport {
    let all = bed.gateway.upstreams();
    all.into_iter()
        .find(|upstream| upstream.name == name)
        .unwrap()
}

fn instance(bed: &Bed, name: &str, address: SocketAddr) -> InstanceReport {
    let url = format!("http://{address}");
    let all = report(bed, name).instances;
    all.into_iter()
        .find(|instance| instance.url == url)
        .unwrap()
}

/// An upstream that can be killed with all its connections.
struct Killable {
    runtime: Option<Runtime>,
    upstream: Upstream,
}

impl Drop for Killable {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Killable {
    async fn start(name: &'static str, address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let starting = async move { Upstream::start_at(name, &address.to_string()).await };
        let upstream = runtime.spawn(starting).await.unwrap();
        Self {
            runtime: Some(runtime),
            upstream,
        }
    }
}

const BREAKER: &str = "breaker: { volume: 4, open: 300ms, probes: 2 }";

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_sends_reads_to_the_owner_and_lets_few_probes_pass() {
    let bed = Bed::shaped_and_settled("", BREAKER, "").await;
    bed.service.answer_with(503);
    let mut client = bed.client().await;
    for _ in 0..20 {
        let answer = client.send("GET", PATH, USER, "").await;
        assert_eq!((answer.status, answer.side()), (200, Some("monolith")));
        if report(&bed, "contracts").breaker == Some(BreakerState::Open) {
            break;
        }
    }
    assert!(bed.service.count() <= 12, "{}", bed.service.count());
    bed.service.forget();
    let answer = client.send("GET", PATH, USER, "").await;
    assert_eq!(answer.side(), Some("monolith"));
    assert_eq!(
        bed.metric("banyan_breaker_state{upstream=\"contracts\"}"),
        2
    );

    // Half-open: while the probes are not answered, no more than two pass.
    let go = bed.service.stall();
    let mut waiting = Vec::new();
    let mut after = 0;
    while after < 10 {
        let before = bed.service.count();
        after += usize::from(before == 2);
        let request = bed.spawn("GET", PATH, USER, "").await;
        until("it is answered, or a probe", || {
            request.is_finished() || bed.service.count() > before
        })
        .await;
        waiting.push(request);
    }
    let others = waiting.len() - 2;
    until("all but the probes are answered", || {
        let answered = waiting.iter().filter(|waiting| waiting.is_finished());
        answered.count() == others
    })
    .await;
    assert_eq!(bed.service.count(), 2);
    assert_eq!(
        report(&bed, "contracts").breaker,
        Some(BreakerState::HalfOpen)
    );

    // They pass: all is as before.
    bed.service.answer_with(200);
    go.notify_waiters();
    until("it closes", || {
        report(&bed, "contracts").breaker == Some(BreakerState::Closed)
    })
    .await;
    assert_eq!(
        client.send("GET", PATH, USER, "").await.side(),
        Some("service")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_whose_breaker_is_open_gets_nothing_and_nobody_else_does() {
    let bed = Bed::shaped_and_settled("breaker: { volume: 4, open: 1h }", "", "").await;
    bed.monolith.answer_with(503);
    while report(&bed, "monolith").breaker == Some(BreakerState::Closed) {
        assert_eq!(bed.post(PATH, USER, "x").await.status, 503);
    }
    let (old, new) = (bed.monolith.count(), bed.service.count());
    for path in [PATH, "/stays"] {
        let answer = bed.post(path, USER, "x").await;
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("breaker-open"), "{answer:?}");
        let after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&after), "{after}");
    }
    assert_eq!((bed.monolith.count(), bed.service.count()), (old, new));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_answers_open_a_breaker() {
    let bed = Bed::shaped_and_settled(
        "",
        "breaker: { volume: 3, slow: { over: 1ms }, open: 1h }",
        "",
    )
    .await;
    bed.service.behave(|_| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        text(200, "slow")
    });
    for _ in 0..20 {
        bed.get(PATH, USER).await;
    }
    assert_eq!(report(&bed, "contracts").breaker, Some(BreakerState::Open));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_go_open_no_breaker() {
    let bed = Bed::shaped_and_settled("breaker: { volume: 2, errors: 10% }", "", "").await;
    let go = bed.monolith.stall();
    for _ in 0..10 {
        let seen = bed.monolith.count();
        let waiting = bed.spawn("GET", "/stays", None, "").await;
        until("it arrives", || bed.monolith.count() > seen).await;
        waiting.abort();
        let _ = waiting.await;
    }
    bed.monolith.answer_with(200);
    go.notify_waiters();
    assert_eq!(bed.get("/stays", None).await.status, 200);
    assert_eq!(report(&bed, "monolith").breaker, Some(BreakerState::Closed));
    until("nothing is in flight", || {
        bed.metric("banyan_upstream_inflight{upstream=\"monolith\"}") == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_stay_within_their_budget_when_all_fails() {
    let some = Upstream::start("monolith").await;
    let retries = "retries: { attempts: 5, budget: 20%, per-second: 1, backoff: 1ms }";
    let bed = monolith(&[some.address], retries, some);
    bed.monolith.answer_with(503);
    let mut client = bed.client().await;
    let begun = std::time::Instant::now();
    for _ in 0..500 {
        assert_eq!(client.send("GET", "/stays", None, "").await.status, 503);
    }
    let timely = usize::try_from(begun.elapsed().as_secs()).unwrap() + 2;
    let seen = bed.monolith.count();
    assert!(seen <= 600 + timely, "{seen}");
    assert!(seen >= 590, "{seen}");
    let sent = bed.metric("banyan_retries_total{upstream=\"monolith\",outcome=\"sent\"}");
    assert_eq!(sent, seen as u64 - 500);
    // A write that was answered is not sent again, whatever the answer.
    let before = bed.monolith.count();
    assert_eq!(client.send("POST", "/stays", None, "x").await.status, 503);
    assert_eq!(bed.monolith.count(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_waited_for_or_passed_on() {
    let some = Upstream::start("monolith").await;
    let retries = "retries: { attempts: 2, per-second: 100, backoff-max: 1s }";
    let bed = monolith(&[some.address], retries, some);
    for (after, requests) in [
        ("0", 2),
        ("1", 2),
        ("2", 1),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 1),
    ] {
        bed.monolith.forget();
        bed.monolith.behave(move |_| async move {
            let mut answer = text(503, "later");
            answer
                .headers_mut()
                .insert("retry-after", after.parse().unwrap());
            answer
        });
        let begun = std::time::Instant::now();
        let answer = bed.get("/stays", None).await;
        assert_eq!(answer.header("retry-after"), Some(after));
        assert_eq!(bed.monolith.count(), requests, "{after}");
        assert!(after != "1" || begun.elapsed() >= Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_makes_a_write_repeatable_where_the_plan_says_so() {
    for (keys, status, requests) in [(true, 200, 2), (false, 503, 1)] {
        let service = format!("retries: {{ backoff: 1ms, idempotency-keys: {keys} }}");
        let bed = Bed::shaped_and_settled(&service, "", "").await;
        for path in [PATH, "/stays"] {
            bed.monolith.forget();
            let calls = Arc::new(AtomicUsize::new(0));
            bed.monolith.behave(move |_| {
                let status = [503, 200][calls.fetch_add(1, Ordering::Relaxed).min(1)];
                async move { text(status, "") }
            });
            let mut request = build("POST", path, USER, "pay");
            request
                .headers_mut()
                .insert("idempotency-key", "7".parse().unwrap());
            let answer = bed.client().await.request(request).await.unwrap();
            assert_eq!(answer.status, status);
            assert_eq!(bed.monolith.bodies(), vec!["pay"; requests]);
        }
        assert!(bed.service.bodies().iter().all(|body| body != "pay"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_instance_costs_no_request_and_no_write_is_doubled() {
    let some = Upstream::start("alive").await;
    let dead = dead_address();
    let bed = monolith(&[some.address, dead], "retries: { per-second: 1000 }", some);
    let mut client = bed.client().await;
    for number in 0..100 {
        let (method, body) =
            [("GET", String::new()), ("POST", format!("id-{number}"))][number % 2].clone();
        let answer = client.send(method, "/stays", None, &body).await;
        assert_eq!(answer.status, 200, "{number}");
    }
    let bodies = bed.monolith.bodies();
    let mut times = BTreeMap::new();
    for body in bodies.iter().filter(|body| !body.is_empty()) {
        *times.entry(body).or_insert(0) += 1;
    }
    assert!(
        times.len() == 50 && times.values().all(|times| *times == 1),
        "{times:?}"
    );
    // After five failures in a row it is left alone.
    assert!(instance(&bed, "monolith", dead).ejected);
    assert!(!instance(&bed, "monolith", bed.monolith.address).ejected);
    assert_eq!(
        bed.metric("banyan_ejections_total{upstream=\"monolith\"}"),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_killed_comes_back() {
    let stays = Upstream::start("stays").await;
    let goes = Killable::start("goes", unused_address()).await;
    let address = goes.upstream.address;
    let more = "retries: { attempts: 3, per-second: 1000 }, \
        balance: { ejection: { after: 2, for: 100ms, at-most: 200ms } }";
    let bed = monolith(&[stays.address, address], more, stays);
    let mut client = bed.client().await;
    until_asked(&mut client, &goes.upstream).await;
    drop(goes);
    for _ in 0..60 {
        assert_eq!(client.send("GET", "/stays", None, "").await.status, 200);
    }
    assert!(instance(&bed, "monolith", address).failing);
    let back = Killable::start("back", address).await;
    until_asked(&mut client, &back.upstream).await;
    assert!(!instance(&bed, "monolith", address).ejected);
}

async fn until_asked(client: &mut Client, upstream: &Upstream) {
    let end = std::time::Instant::now() + DEADLINE;
    while upstream.count() == 0 {
        assert!(std::time::Instant::now() < end, "never asked");
        assert_eq!(client.send("GET", "/stays", None, "").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_busy_instance_is_avoided() {
    let (fast, slow) = (Upstream::start("fast").await, Upstream::start("slow").await);
    let go = slow.stall();
    let bed = monolith(&[fast.address, slow.address], "", fast);
    let mut waiting = Vec::new();
    // Of those that it gets it answers none, so soon it has more than the other.
    while slow.count() == 0 {
        waiting.push(bed.spawn("GET", "/stays", None, "").await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let before = slow.count();
    let mut client = bed.client().await;
    for _ in 0..200 {
        assert_eq!(client.send("GET", "/stays", None, "").await.status, 200);
    }
    assert_eq!(slow.count(), before);
    assert_eq!(
        instance(&bed, "monolith", slow.address).in_flight,
        u32::try_from(before).unwrap()
    );
    go.notify_waiters();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_checks_take_an_instance_out_and_back_in() {
    let (steady, flapping) = (
        Upstream::start("steady").await,
        Upstream::start("flapping").await,
    );
    let sick = Arc::new(AtomicBool::new(false));
    let is_sick = Arc::clone(&sick);
    flapping.behave(move |seen| {
        let status = if seen.path == "/health" && is_sick.load(Ordering::Relaxed) {
            500
        } else {
            200
        };
        async move { text(status, "") }
    });
    let health = "health: { path: /health, interval: 10ms, rise: 2, fall: 2 }";
    let bed = monolith(&[steady.address, flapping.address], health, steady);
    let healthy = |bed: &Bed| instance(bed, "monolith", flapping.address).healthy;
    until("it is checked", || {
        instance(&bed, "monolith", flapping.address)
            .last_check
            .is_some_and(|check| check.passed)
    })
    .await;
    let line = format!(
        "banyan_upstream_healthy{{upstream=\"monolith\",instance=\"http://{}\"}}",
        flapping.address
    );
    for _ in 0..2 {
        sick.store(true, Ordering::Relaxed);
        until("it is unhealthy", || !healthy(&bed)).await;
        assert_eq!(bed.metric(&line), 0);
        flapping.forget();
        for _ in 0..50 {
            assert_eq!(bed.get("/stays", None).await.status, 200);
        }
        assert!(flapping.seen().iter().all(|seen| seen.path == "/health"));
        sick.store(false, Ordering::Relaxed);
        until("it is healthy", || healthy(&bed)).await;
        let mut client = bed.client().await;
        flapping.forget();
        while flapping.seen().iter().all(|seen| seen.path == "/health") {
            client.send("GET", "/stays", None, "").await;
        }
    }
    // Where all are unhealthy, the checks are more likely wrong.
    sick.store(true, Ordering::Relaxed);
    bed.monolith.answer_with(404);
    until("none is healthy", || {
        report(&bed, "monolith")
            .instances
            .iter()
            .all(|one| !one.healthy)
    })
    .await;
    assert_ne!(bed.get("/stays", None).await.status, 502);
    assert!(!report(&bed, "monolith").is_up());
}

/// Waits for the first part of a request: an answer before it is none.
async fn asked(stream: &mut TcpStream) {
    let read = stream.read(&mut [0; 4096]).await.unwrap();
    assert!(read > 0);
}

/// An upstream that says so much of an answer, and then nothing.
async fn falls_silent(part: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            asked(&mut stream).await;
            stream.write_all(part.as_bytes()).await.unwrap();
            kept.push(stream);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_stop_are_cut_off_never_ended() {
    let some = Upstream::start("unused").await;
    for (head, timeouts, reason) in [
        (
            "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "idle: 50ms",
            "idle",
        ),
        ("content-length: 9\r\n\r\nabc", "idle: 50ms", "idle"),
        (
            "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "whole: 100ms",
            "whole",
        ),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}");
        let silent = falls_silent(answer.leak()).await;
        let bed = monolith(
            &[silent],
            &format!("timeouts: {{ {timeouts} }}"),
            some.clone(),
        );
        let mut client = bed.client().await;
        let answer =
            tokio::time::timeout(DEADLINE, client.request(build("GET", "/", None, ""))).await;
        // A cut connection, not the end of an answer.
        assert!(answer.expect("it hangs").is_err());
        let line = format!("banyan_answers_cut_total{{upstream=\"monolith\",reason=\"{reason}\"}}");
        assert_eq!(bed.metric(&line), 1, "{}", bed.metrics());
    }
    let silent = falls_silent("HTTP/1.1 200 OK\r\n").await;
    let bed = monolith(&[silent], "timeouts: { whole: 50ms }", some);
    assert_eq!(bed.get("/", None).await.status, 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_keep_coming_are_not_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        asked(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n";
        stream.write_all(head).await.unwrap();
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            stream.write_all(b"x").await.unwrap();
        }
    });
    let some = Upstream::start("unused").await;
    let bed = monolith(&[address], "timeouts: { idle: 400ms }", some);
    let answer = bed.get("/", None).await;
    assert_eq!(answer.body, "x".repeat(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_an_address_that_refuses_is_reached() {
    // `localhost` is ::1, too, on most machines; there nobody listens.
    let some = Upstream::start("monolith").await;
    let port = some.address.port();
    let unused = "url: \"http://127.0.0.1:1\"";
    let local = format!("url: \"http://localhost:{port}\"");
    let plan = shaped(&local, unused, "resolve-every: 20ms");
    let bed = Bed::of(&plan, some.clone(), some);
    for number in 0..50 {
        assert_eq!(
            bed.post("/stays", None, &format!("{number}")).await.status,
            200
        );
    }
    assert_eq!(bed.monolith.count(), 50);
    assert_eq!(
        report(&bed, "monolith").instances[0].url,
        format!("http://localhost:{port}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_with_a_small_body_goes_to_the_owner_with_it() {
    let bed = Bed::shaped_and_settled("", "", "replay-bytes: 1KiB").await;
    bed.service.answer_with(503);
    let large = "x".repeat(100_000);
    for (body, status) in [("small", 200), (large.as_str(), 503)] {
        bed.monolith.forget();
        let request: Request<Full<bytes::Bytes>> = build("GET", PATH, USER, body);
        let answer = bed.client().await.request(request).await.unwrap();
        assert_eq!(answer.status, status);
        let expected = if status == 200 {
            vec!["small".to_owned()]
        } else {
            Vec::new()
        };
        assert_eq!(bed.monolith.bodies(), expected);
    }
    assert_eq!(bed.service.bodies().last().unwrap().len(), 100_000);
}
