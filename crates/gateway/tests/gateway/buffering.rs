//! Bodies that come without a length, and are sent with one.

use crate::{raw::*, support::*};
use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{convert::Infallible, fmt::Write as _, path::Path};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// More than is kept in memory.
const LARGE_BYTES: usize = (3 << 20) + 7;

/// A route of each kind: what no route matches, one beside the extractions, an
/// extraction's that writes, and ones that read.
const PATHS: [&str; 5] = [
    "/elsewhere",
    "/beside",
    "/api/contracts",
    "/api/contracts/search",
    "/api/contracts/once",
];

fn upload(path: &str, body: &[u8], chunk: usize) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for part in body.chunks(chunk) {
        request.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        request.extend_from_slice(part);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// What no two places of it say alike.
fn numbered(length: usize) -> Vec<u8> {
    let mut text = String::with_capacity(length + 8);
    while text.len() < length {
        let _ = write!(text, "{:08x}", text.len());
    }
    text.truncate(length);
    text.into_bytes()
}

/// A gateway whose upstream is a raw one, with these lines in its section.
async fn bed(gateway: &str) -> RawBed {
    let upstream = RawUpstream::start().await;
    let plan = extracting(
        upstream.address,
        upstream.address,
        &format!("routes: {{ beside: {{ to: monolith, path: /beside }} }}\n  {gateway}"),
        "routes: [{ path: /api/contracts/* }, { path: /api/contracts/once, as: reads-once }, \
         { path: /api/contracts/search, as: reads }, { path: /api/contracts/open, buffering: off }]",
    );
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    RawBed { gateway, upstream }
}

#[track_caller]
fn assert_has_length(request: &Message, body: &[u8]) {
    let wanted = format!("\r\ncontent-length: {}", body.len());
    let fields = format!("\r\n{}", request.fields);
    assert!(fields.contains(&wanted), "{fields}");
    assert!(!fields.contains("transfer-encoding"), "{fields}");
    assert!(
        request.body == body,
        "{} bytes came, or others",
        request.body.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_is_sent_with_its_length() {
    let bed = bed("").await;
    for path in PATHS {
        for (length, chunk) in [(6, 4), (0, 1), (200 << 10, 1000), (LARGE_BYTES, 70_000)] {
            let body = numbered(length);
            let answer = bed.send([&upload(path, &body, chunk)[..]]).await;
            assert_eq!(statuses(&answer), [200], "{path} {length}");
            let [got] = &bed.upstream.take()[..] else {
                panic!("{path} {length} came more than once")
            };
            let (requests, rest) = messages(&got.bytes);
            assert_eq!((requests.len(), rest), (1, &b""[..]), "{path} {length}");
            assert_has_length(&requests[0], &body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_http_2_is_sent_with_its_length() {
    let bed = bed("").await;
    let stream = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let body = numbered(LARGE_BYTES);
    for path in PATHS {
        let parts: Vec<_> = body.chunks(50_000).map(Bytes::copy_from_slice).collect();
        let frames = parts
            .into_iter()
            .map(|part| Ok::<_, Infallible>(Frame::data(part)));
        let request = Request::post(format!("http://a{path}"))
            .body(StreamBody::new(futures_util::stream::iter(frames)))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.into_body().collect().await.unwrap();
        let requests = bed.upstream.requests();
        bed.upstream.take();
        assert_eq!(requests.len(), 1, "{path}");
        assert_has_length(&requests[0], &body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_be_kept_passes_as_it_comes() {
    let bed = bed("").await;
    let head = |path: &str, more: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\n{more}transfer-encoding: chunked\r\n\r\n")
    };
    let large = numbered(LARGE_BYTES);
    let large = format!(
        "{:x}\r\n{}\r\n",
        large.len(),
        String::from_utf8(large).unwrap()
    );
    for (head, sent) in [
        (
            head("/beside", "content-type: application/grpc+proto\r\n"),
            "3\r\nabc\r\n",
        ),
        // Its first MiB is kept, so that a hand-over can hold it.
        (head("/api/contracts/open", ""), &large),
    ] {
        let mut client = Raw::connect(bed.gateway.local_addr()).await;
        client.write(&head).await;
        client.write(sent).await;
        until("its beginning has come", || {
            let got = bed.upstream.got();
            got.iter().any(|got| {
                got.bytes
                    .ends_with(sent.as_bytes().last_chunk::<5>().unwrap())
            })
        })
        .await;
        client.write("0\r\n\r\n").await;
        client.until("fine").await;
        let requests = bed.upstream.requests();
        assert!(requests[0].fields.contains("transfer-encoding: chunked"));
        bed.upstream.take();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_have_no_names_and_a_bound() {
    let directory = tempfile::tempdir().unwrap();
    let is_empty = || directory.path().read_dir().unwrap().next().is_none();
    let keeps = |bytes: &str| keeping(directory.path(), bytes);
    let (body, more) = (numbered(LARGE_BYTES), numbered(5 << 20));
    let bed = bed(&format!("{}\n  trusted: [127.0.0.1]", keeps("4MiB"))).await;
    // Too large in any case.
    let answer = bed.send([&upload("/x", &more, 60_000)[..]]).await;
    assert_problem(&answer, 413, "body-too-large");
    // Too large beside another client's, which goes on.
    let whole = upload("/x", &body, 60_000);
    let (begin, end) = whole.split_at(whole.len() - 5);
    let [begin, end] = [begin, end].map(|part| std::str::from_utf8(part).unwrap());
    let mut first = Raw::connect(bed.gateway.local_addr()).await;
    first.write(begin).await;
    until_spooled(&bed, LARGE_BYTES).await;
    assert!(is_empty());
    let others = String::from_utf8(whole.clone()).unwrap();
    let others = others.replacen("host: a\r\n", "host: a\r\nx-forwarded-for: 10.1.1.1\r\n", 1);
    assert_problem(&bed.send([others.as_bytes()]).await, 503, "buffers-full");
    bed.upstream.take();
    first.write(end).await;
    first.until("fine").await;
    assert_has_length(&bed.upstream.requests()[0], &body);
    // What was taken up is given back, also by those that were cut off.
    let mut gone = Raw::connect(bed.gateway.local_addr()).await;
    gone.write(begin).await;
    until_spooled(&bed, LARGE_BYTES).await;
    drop(gone);
    until_spooled(&bed, 0).await;
    assert!(is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_gets_a_share_of_the_room_only() {
    let bed = bed("buffering: { bytes: 64MiB, client-bytes: 4MiB }\n  trusted: [127.0.0.1]").await;
    let body = numbered(LARGE_BYTES);
    let of = |client: &str| {
        let whole = String::from_utf8(upload("/x", &body, 60_000)).unwrap();
        whole.replacen(
            "host: a\r\n",
            &format!("host: a\r\nx-forwarded-for: {client}\r\n"),
            1,
        )
    };
    let slow = of("10.1.1.1");
    let (begin, end) = slow.split_at(slow.len() - 5);
    let mut first = Raw::connect(bed.gateway.local_addr()).await;
    first.write(begin).await;
    until_spooled(&bed, LARGE_BYTES).await;
    let again = bed.send([slow.as_bytes()]).await;
    assert_problem(&again, 503, "buffers-full");
    let other = bed.send([of("10.1.1.2").as_bytes()]).await;
    assert_eq!(statuses(&other), [200]);
    let larger = upload("/x", &numbered(5 << 20), 60_000);
    assert_problem(&bed.send([&larger[..]]).await, 413, "body-too-large");
    bed.upstream.take();
    first.write(end).await;
    first.until("fine").await;
    assert_has_length(&bed.upstream.requests()[0], &body);
    until_spooled(&bed, 0).await;
}

async fn until_spooled(bed: &RawBed, bytes: usize) {
    let line = format!("banyan_spooled_bytes {bytes}\n");
    until(&line, || bed.metrics().contains(&line)).await;
}

fn keeping(directory: &Path, bytes: &str) -> String {
    let directory = directory.display();
    format!("buffering: {{ directory: \"{directory}\", bytes: {bytes}, client-bytes: {bytes} }}")
}

#[track_caller]
fn assert_problem(answer: &[u8], status: u16, reason: &str) {
    let text = String::from_utf8_lossy(answer);
    assert_eq!(statuses(answer), [status], "{text}");
    assert!(text.contains("application/problem+json"), "{text}");
    assert!(text.contains("x-correlation-id"), "{text}");
    assert!(text.contains(&format!("\"reason\":\"{reason}\"")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_is_said() {
    let nowhere = tempfile::tempdir().unwrap().path().join("gone");
    let bed = bed(&keeping(&nowhere, "1GiB")).await;
    let large = numbered(LARGE_BYTES);
    for path in PATHS {
        let answer = bed.send([&upload(path, &large, 60_000)[..]]).await;
        assert_problem(&answer, 507, "spool-failed");
        // Memory needs no disk.
        let answer = bed.send([&upload(path, b"small", 2)[..]]).await;
        assert_eq!(statuses(&answer), [200], "{path}");
    }
    assert_eq!(bed.upstream.requests().len(), PATHS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_write_is_held_from_its_file() {
    let bed = Bed::start(Knobs::default(), HOLD, 0).await;
    bed.drained(1).await;
    let body = numbered(LARGE_BYTES);
    let mut client = Raw::connect(bed.gateway.local_addr()).await;
    let request = upload("/api/contracts", &body, 60_000);
    client.write(std::str::from_utf8(&request).unwrap()).await;
    until("it is held", || bed.held().now == 1).await;
    bed.publish(1, TO_SERVICE, 100);
    client.until("service").await;
    let seen = bed.service.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].body == body);
    assert_eq!(bed.monolith.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_kept_is_asked_for() {
    let bed = bed("").await;
    let mut client = Raw::connect(bed.gateway.local_addr()).await;
    client
        .write(
            "POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\
             transfer-encoding: chunked\r\n\r\n",
        )
        .await;
    client.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.write("3\r\nabc\r\n0\r\n\r\n").await;
    client.until("fine").await;
    assert_has_length(&bed.upstream.requests()[0], b"abc");
}

/// Accepts one request and takes its head, and no more of it for now.
async fn takes_a_head(listener: TcpListener) -> (TcpStream, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut got = Vec::new();
    while !got.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        got.push(byte[0]);
    }
    (stream, got)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_outlasts_its_answer_arrives_whole_or_not_at_all() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plan = extracting(
        address,
        address,
        "first-byte: 300ms",
        "routes: [{ path: /api/contracts/open, buffering: off }]",
    );
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    // More than sockets keep on the way.
    let body = numbered(24 << 20);
    let request = upload("/api/contracts/open", &body, 1000);
    let client = TcpStream::connect(gateway.local_addr()).await.unwrap();
    let (mut answers, mut sends) = client.into_split();
    let sending = tokio::spawn(async move { sends.write_all(&request).await.map(|()| sends) });
    let (mut upstream, mut got) = takes_a_head(listener).await;
    let mut answer = vec![0; 1024];
    let length = answers.read(&mut answer).await.unwrap();
    assert_eq!(statuses_of(&answer[..length]), "504");
    // The write is seen through all the same.
    let (mut part, deadline) = (vec![0; 1 << 20], std::time::Duration::from_secs(20));
    while !got.ends_with(b"\r\n0\r\n\r\n") {
        let read = tokio::time::timeout(deadline, upstream.read(&mut part)).await;
        match read.expect("the rest of the body").unwrap() {
            0 => panic!("cut off after {} bytes", got.len()),
            length => got.extend_from_slice(&part[..length]),
        }
    }
    let (whole, rest) = message(&got).unwrap();
    assert!(
        whole.body == body,
        "{} bytes of {}",
        whole.body.len(),
        body.len()
    );
    assert_eq!(rest, b"");
    drop(sending.await.unwrap().unwrap());
}

fn statuses_of(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer)
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}
