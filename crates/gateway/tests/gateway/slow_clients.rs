//! Clients that are slow, or want too much.

use crate::{raw::*, support::*};
use std::time::Instant;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// Short times; long enough that nothing else here comes near them.
const SHORT: &str = "{ head: 300ms, body: 300ms, idle: 300ms, write: 300ms }";

async fn connect(bed: &RawBed, first: &str) -> TcpStream {
    let mut stream = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    stream
}

/// Reads to the end, sending a byte now and then.
async fn trickle(stream: TcpStream, byte: &[u8]) -> Vec<u8> {
    let (mut reading, mut writing) = stream.into_split();
    let byte = byte.to_vec();
    let dripping = tokio::spawn(async move {
        while writing.write_all(&byte).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let mut answer = Vec::new();
    let all = reading.read_to_end(&mut answer);
    // A reset is an end, too.
    let _ = tokio::time::timeout(DEADLINE, all)
        .await
        .expect("it went on and on");
    dripping.abort();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_trickles_in_is_cut_off() {
    let bed = RawBed::start(SHORT).await;
    let stream = connect(&bed, "GET /x HTTP/1.1\r\nhost: a\r\nx: ").await;
    assert_eq!(statuses(&trickle(stream, b"y").await), [0_u16; 0]);
    // Also as the second one of a connection.
    let stream = connect(&bed, "GET /x HTTP/1.1\r\nhost: a\r\n\r\nGET /y").await;
    assert_eq!(statuses(&trickle(stream, b"y").await), [200]);
    assert_eq!(bed.upstream.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let bed = RawBed::start(SHORT).await;
    for first in ["", "GET /x HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let stream = connect(&bed, first).await;
        let answer = trickle(stream, b"").await;
        assert_eq!(statuses(&answer).len(), usize::from(!first.is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_given_up_and_closes_the_upstream() {
    let bed = RawBed::start(SHORT).await;
    for path in ["/x", "/api/contracts"] {
        for body in [
            "content-length: 10\r\n\r\nhello",
            "transfer-encoding: chunked\r\n\r\n5\r\nhel",
        ] {
            let stream = connect(&bed, &format!("POST {path} HTTP/1.1\r\nhost: a\r\n{body}")).await;
            assert_eq!(
                statuses(&trickle(stream, b"").await),
                [408],
                "{path} {body}"
            );
            let closed = || bed.upstream.got().iter().all(|got| got.is_closed);
            until("the upstream connection is closed", closed).await;
        }
    }
    assert_eq!(bed.upstream.requests(), []);
    assert!(
        bed.metrics()
            .contains("banyan_refused_total{reason=\"body-lost\"} 4")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_goes_on_slowly_is_waited_for() {
    let bed = RawBed::start("{ body: 5s }").await;
    let head = "POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 20\r\n\r\n";
    let stream = connect(&bed, head).await;
    assert_eq!(statuses(&trickle(stream, b"x").await), [200]);
    assert_eq!(bed.upstream.requests()[0].body, [b'x'; 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_no_upstream() {
    let bed = RawBed::start(SHORT).await;
    let size = 64 << 20;
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + size, b'x');
    bed.upstream.answer(answer);
    let stream = connect(&bed, "GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let begun = Instant::now();
    let closed = || bed.upstream.got().first().is_some_and(|got| got.is_closed);
    until("the upstream connection is closed", closed).await;
    assert!(begun.elapsed() >= std::time::Duration::from_millis(300));
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused() {
    let bed = RawBed::start("{ head-bytes: 1KiB, headers: 16, body-bytes: 1KiB }").await;
    let x = |count: usize| "x".repeat(count);
    let post = |path: &str, rest: &str| format!("POST {path} HTTP/1.1\r\nhost: a\r\n{rest}");
    let chunked = |size: usize| {
        format!(
            "transfer-encoding: chunked\r\n\r\n{size:x}\r\n{}\r\n0\r\n\r\n",
            x(size)
        )
    };
    let sized = |size: usize| format!("content-length: {size}\r\n\r\n{}", x(size));
    for (request, status) in [
        (post("/x", &format!("x: {}\r\n\r\n", x(1000))), 431),
        (post("/x", &format!("{}\r\n", "x: y\r\n".repeat(16))), 431),
        (post("/x", &sized(1025)), 413),
        (post("/x", &chunked(1025)), 413),
        (post("/api/contracts", &sized(1025)), 413),
        (post("/api/contracts", &chunked(1025)), 413),
    ] {
        let got = bed.send([request.as_bytes()]).await;
        assert_eq!(statuses(&got), [status], "{request}");
        assert_eq!(bed.upstream.requests(), [], "{request}");
    }
    for path in ["/x", "/api/contracts"] {
        for body in [sized(1024), chunked(1024)] {
            let request = post(path, &format!("connection: close\r\n{body}"));
            assert_eq!(statuses(&bed.send([request.as_bytes()]).await), [200]);
        }
    }
    assert_eq!(bed.upstream.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_given_up_though_each_part_is_in_time() {
    let bed = RawBed::start("{ body: 1s, body-rate: 100KiB }").await;
    for path in ["/x", "/api/contracts"] {
        for body in [
            "content-length: 100000\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n186a0\r\n",
        ] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\n{body}");
            let stream = connect(&bed, &head).await;
            assert_eq!(
                statuses(&trickle(stream, b"y").await),
                [408],
                "{path} {body}"
            );
        }
    }
    assert_eq!(bed.upstream.requests(), []);
}

/// Sends all of a body but its last byte, and reads to the end.
async fn stalls(address: std::net::SocketAddr) -> Vec<u8> {
    let length = 1 << 20;
    let head =
        format!("POST /api/contracts HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be refused meanwhile.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&vec![b'x'; length - 1]).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// One worker has 64 MiB for bodies. What finds no room while nobody is slow yet goes to
/// a file, and waits there.
#[tokio::test(flavor = "multi_thread")]
async fn who_stalls_gives_way_when_others_need_the_memory() {
    let bed = RawBed::plain(Knobs {
        workers: 1,
        client: "{ body: 600s }",
        ..Knobs::default()
    })
    .await;
    let mut stalled = JoinSet::new();
    let (end, mut given_up) = (Instant::now() + DEADLINE, false);
    while !given_up {
        assert!(Instant::now() < end, "all of them stay");
        let more = if stalled.is_empty() { 70 } else { 1 };
        for _ in 0..more {
            stalled.spawn(stalls(bed.gateway.local_addr()));
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        while let Some(answer) = stalled.try_join_next() {
            given_up |= statuses(&answer.unwrap()) == [408];
        }
    }
    let small = "POST /api/contracts HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
                 content-length: 2\r\n\r\nhi";
    assert_eq!(statuses(&bed.send([small.as_bytes()]).await), [200]);
}
