//! What both sides answered, counted apart for whoever compares them.

use crate::support::*;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use gateway::{AnswerCounts, ClientCell, ClientCells, Gateway, SideCounts};
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use plan::{ExtractionName, Plan};
use protocol::{Side, routing::Writes};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const PATH: &str = "/api/contracts";
const USER: Option<&str> = Some("reader");
const STEPS: &str = "steps: [{ reads: 50%, for: 1h }]";

/// Longer than a client waits that says something of a side by going.
const PATIENCE: Duration = Duration::from_millis(1200);

/// A plan with these lines for the gateway and the rollout.
fn plan_of(monolith: SocketAddr, service: SocketAddr, gateway: &str, rollout: &str) -> Plan {
    let extraction = format!(
        "routes: [{{ path: '/api/contracts/*' }}]\n    \
         rollout: {{ key: {{ header: x-user-id }}, {rollout} }}"
    );
    let gateway = format!("workers: 2\n  {gateway}");
    extracting(monolith, service, &gateway, &extraction)
}

/// A bed with a schedule, and so much of the reads going to the service.
async fn bed(gateway: &str, reads: u16) -> Bed {
    let bed = Bed::planned(|old, new| plan_of(old, new, gateway, STEPS)).await;
    bed.settle(TO_MONOLITH, reads).await;
    take(&bed).await;
    bed
}

async fn taken(gateway: &Gateway) -> Option<SideCounts> {
    gateway.take_side_counts(&contracts()).await
}

async fn take(bed: &Bed) -> SideCounts {
    taken(&bed.gateway).await.expect("nothing is counted")
}

/// All cells together: requests, errors, times.
fn sums(cells: &ClientCells) -> (u32, u32, u32) {
    let sum = |count: fn(&ClientCell) -> u32| cells.all().iter().map(count).sum();
    let times = |cell: &ClientCell| cell.bins.iter().map(|(_, count)| *count).sum();
    (
        sum(|cell| cell.requests),
        sum(|cell| cell.errors),
        sum(times),
    )
}

/// The numbers of the cells that are not empty.
fn used(cells: &ClientCells) -> Vec<usize> {
    let all = cells.all().iter().enumerate();
    all.filter_map(|(at, cell)| (cell.requests > 0).then_some(at))
        .collect()
}

fn is_empty(counts: &SideCounts) -> bool {
    *counts == SideCounts::default()
}

fn requests(answers: &AnswerCounts) -> usize {
    let (reads, ..) = sums(&answers.reads);
    let (writes, ..) = sums(&answers.writes);
    usize::try_from(reads + writes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_are_counted_apart_and_what_is_taken_is_gone() {
    let bed = bed("", 50).await;
    let mut client = bed.client().await;
    for number in 0..100 {
        let user = format!("user-{number}");
        client.send("GET", PATH, Some(&user), "").await;
    }
    for _ in 0..7 {
        client.send("POST", PATH, None, "x").await;
    }
    // Of no extraction.
    client.send("GET", "/other", USER, "").await;
    let counts = take(&bed).await;
    let at_service = u32::try_from(bed.service.count()).unwrap();
    assert!((20..80).contains(&at_service), "{at_service}");
    assert_eq!(sums(&counts.service.reads), (at_service, 0, at_service));
    let at_monolith = 100 - at_service;
    assert_eq!(sums(&counts.monolith.reads), (at_monolith, 0, at_monolith));
    assert_eq!(sums(&counts.monolith.writes), (7, 0, 7));
    assert_eq!(sums(&counts.service.writes), (0, 0, 0));
    assert!(is_empty(&take(&bed).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_side_answers_with_5xx_has_failed() {
    let bed = bed("", 100).await;
    for status in [200, 404, 500, 501] {
        bed.service.answer_with(status);
        bed.monolith.answer_with(status);
        assert_eq!(bed.get(PATH, USER).await.status, status);
        assert_eq!(bed.post(PATH, None, "x").await.status, status);
    }
    let counts = take(&bed).await;
    assert_eq!(sums(&counts.service.reads), (4, 2, 4));
    assert_eq!(sums(&counts.monolith.writes), (4, 2, 4));
    assert_eq!(sums(&counts.monolith.reads), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_answers_instead_is_a_failure_of_the_service() {
    let bed = bed("first-byte: 200ms", 100).await;
    bed.service.answer_with(503);
    let answer = bed.get(PATH, USER).await;
    assert_eq!((answer.status, answer.side()), (200, Some("monolith")));
    let counts = take(&bed).await;
    assert_eq!(sums(&counts.service.reads), (1, 1, 1));
    assert_eq!(requests(&counts.monolith), 0);
    let _go = bed.service.stall();
    assert_eq!(bed.get(PATH, USER).await.side(), Some("monolith"));
    let counts = take(&bed).await;
    assert_eq!(sums(&counts.service.reads), (1, 1, 1));
    assert_eq!(requests(&counts.monolith), 0);
    // 200 ms are above 2^(-19/8) seconds: it was waited for in vain as long as that.
    let mut bins = counts
        .service
        .reads
        .all()
        .iter()
        .flat_map(|cell| &cell.bins);
    assert!(bins.all(|(bin, _)| *bin >= -18), "{counts:?}");
}

/// A server that answers each connection with these bytes, and closes it.
async fn closing_upstream(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// A head says nothing of what comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_and_what_ends_in_a_failure_of_grpcs_has_failed() {
    let late = (2, 1, 1);
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", (1, 0, 1)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart", late),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\
             grpc-status: 13\r\n\r\n",
            late,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\
             grpc-status: 5\r\n\r\n",
            (1, 0, 1),
        ),
        // Without a body its head says it.
        (
            "HTTP/1.1 200 OK\r\ngrpc-status: 14\r\ncontent-length: 0\r\n\r\n",
            (1, 1, 1),
        ),
    ] {
        let service = closing_upstream(answer).await;
        let bed = Bed::planned(|old, _| shared(old, service)).await;
        bed.publish(1, Writes::Split(plan::Percent::ALL), 100);
        let mut client = bed.client().await;
        let _ = client.request(build("GET", PATH, USER, "")).await;
        let counts = take(&bed).await;
        assert_eq!(sums(&counts.service.reads), expected, "{answer}");
    }
}

/// A plan of an extraction whose data both sides share.
fn shared(monolith: SocketAddr, service: SocketAddr) -> Plan {
    let text = format!(
        r#"
monolith: {{ url: "http://{monolith}" }}
services: {{ contracts: {{ url: "http://{service}" }} }}
gateway: {{ listen: "127.0.0.1:0" }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: '/api/contracts/*' }}]
    data: {{ mode: shared }}
    rollout: {{ key: {{ header: x-user-id }}, steps: [{{ reads: 50%, writes: 50% }}] }}
"#
    );
    Plan::parse(&text, |_| None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_reached_the_service_is_its_failure_and_has_no_time() {
    let bed = Bed::planned(|old, _| shared(old, dead_address())).await;
    bed.publish(1, Writes::Split(plan::Percent::ALL), 100);
    let read = bed.get(PATH, USER).await;
    let write = bed.post(PATH, USER, "x").await;
    assert_eq!(
        (read.side(), write.side()),
        (Some("monolith"), Some("monolith"))
    );
    let counts = take(&bed).await;
    assert_eq!(sums(&counts.service.reads), (1, 1, 0));
    assert_eq!(sums(&counts.service.writes), (1, 1, 0));
    assert_eq!(requests(&counts.monolith), 0);
}

/// Sends a request, and goes once it is at a side and so much time is over.
async fn gives_up(bed: &Bed, method: &'static str, upstream: &Upstream, after: Duration) {
    let before = upstream.count();
    // A write of a reader's that is on its way would keep its reads with the owner.
    let user = if method == "GET" {
        USER
    } else {
        Some("writer")
    };
    let request = bed.spawn(method, PATH, user, "").await;
    until("it is there", || upstream.count() > before).await;
    tokio::time::sleep(after).await;
    request.abort();
    idle(bed).await;
}

/// Waits until nothing is under way.
async fn idle(bed: &Bed) {
    let end = std::time::Instant::now() + DEADLINE;
    while bed.gateway.under_way().await.total().all() > 0 {
        assert!(std::time::Instant::now() < end, "never noticed");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_hangs_until_its_clients_go_has_failed_them() {
    let bed = bed("", 100).await;
    let _go = (bed.service.stall(), bed.monolith.stall());
    gives_up(&bed, "GET", &bed.service, Duration::ZERO).await;
    gives_up(&bed, "POST", &bed.monolith, Duration::ZERO).await;
    assert!(is_empty(&take(&bed).await));
    gives_up(&bed, "GET", &bed.service, PATIENCE).await;
    gives_up(&bed, "POST", &bed.monolith, PATIENCE).await;
    let counts = take(&bed).await;
    assert_eq!(sums(&counts.service.reads), (1, 1, 1));
    assert_eq!(sums(&counts.monolith.writes), (1, 1, 1));
    let mut bins = counts
        .service
        .reads
        .all()
        .iter()
        .flat_map(|cell| &cell.bins);
    assert!(bins.all(|(bin, _)| *bin > 0), "{counts:?}");
}

/// Over HTTP/2 its request is reset: what failed is its body, and not the side.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_before_its_body_is_sent_has_given_up_no_side() {
    let bed = bed("", 100).await;
    let accepted = bed.monolith.accepted();
    let stream = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.unwrap();
    let connection = tokio::spawn(connection);
    // More than is kept until it is sent, and not all of it.
    let chunk = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 16 << 10])));
    let chunks: Vec<_> = std::iter::repeat_with(chunk).take(128).collect();
    let body = stream::iter(chunks).chain(stream::pending());
    let request = Request::post(format!("http://example.org{PATH}"))
        .header("content-length", "3000000")
        .body(StreamBody::new(body))
        .unwrap();
    let request = tokio::spawn(async move { sender.send_request(request).await.is_ok() });
    until("it is sent", || bed.monolith.accepted() > accepted).await;
    tokio::time::sleep(PATIENCE).await;
    request.abort();
    connection.abort();
    idle(&bed).await;
    assert!(is_empty(&take(&bed).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_in_one_cell_and_who_has_no_key_in_any() {
    let bed = bed("", 0).await;
    for _ in 0..8 {
        bed.get(PATH, USER).await;
    }
    bed.publish(2, TO_MONOLITH, 100);
    for _ in 0..8 {
        bed.get(PATH, USER).await;
    }
    let counts = take(&bed).await;
    let own = used(&counts.monolith.reads);
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!(used(&counts.service.reads), own);
    for _ in 0..32 {
        bed.get(PATH, None).await;
    }
    let counts = take(&bed).await;
    assert!(used(&counts.monolith.reads).len() > 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_counted_without_a_schedule() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 50).await;
    bed.get(PATH, USER).await;
    assert_eq!(taken(&bed.gateway).await, None);
    let unknown = ExtractionName::new("unknown").unwrap();
    assert_eq!(bed.gateway.take_side_counts(&unknown).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_outlast_a_reload() {
    let bed = bed("", 100).await;
    bed.get(PATH, USER).await;
    let (old, new) = (bed.monolith.address, bed.service.address);
    let same = plan_of(old, new, "", STEPS);
    bed.gateway.reload(&same).await.unwrap();
    bed.get(PATH, USER).await;
    assert_eq!(sums(&take(&bed).await.service.reads), (2, 0, 2));
    // Whoever goes by the steps has to begin anew with others.
    let other = plan_of(old, new, "", "");
    assert!(bed.gateway.reload(&other).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_lost_and_none_counted_twice_between_windows() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 200;
    let bed = Arc::new(bed("", 50).await);
    bed.monolith.forget();
    bed.service.forget();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let bed = Arc::clone(&bed);
        clients.push(tokio::spawn(async move {
            let mut client = bed.client().await;
            for at in 0..REQUESTS {
                let user = format!("user-{}", number * REQUESTS + at);
                let method = if at % 4 == 0 { "POST" } else { "GET" };
                client.send(method, PATH, Some(&user), "x").await;
            }
        }));
    }
    let done = Arc::new(AtomicBool::new(false));
    let windows = {
        let (bed, done) = (Arc::clone(&bed), Arc::clone(&done));
        tokio::spawn(async move {
            let (mut all, mut windows) = (SideCounts::default(), 0);
            while !done.load(Ordering::Relaxed) {
                all.add(&take(&bed).await);
                windows += 1;
            }
            (all, windows)
        })
    };
    for client in clients {
        client.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let (mut all, windows) = windows.await.unwrap();
    all.add(&take(&bed).await);
    assert!(windows > 1);
    for (side, upstream) in [
        (Side::Monolith, &bed.monolith),
        (Side::Service, &bed.service),
    ] {
        let counts = all.of(side);
        assert_eq!(requests(counts), upstream.count(), "{side}");
        let (reads, _, times) = sums(&counts.reads);
        assert_eq!(reads, times, "{side}");
    }
    assert_eq!(
        bed.monolith.count() + bed.service.count(),
        CLIENTS * REQUESTS
    );
}
