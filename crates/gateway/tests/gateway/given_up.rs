//! Requests that their clients give up, and answers that break off.

use crate::{
    observe::{Log, line, lines},
    raw::*,
    support::*,
};
use bytes::Bytes;
use gateway::Gateway;
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use protocol::Side;
use std::time::Duration;
use tokio::net::TcpStream;

/// Waits until one request is counted that its client gave up.
async fn counted(bed: &Bed, labels: &str, side: &str) {
    let line =
        format!("http_requests_total{{{labels},status=\"4xx\",code=\"499\",side=\"{side}\"}}");
    until("it to be counted", || bed.metric(&line) == 1).await;
}

/// The client of a request that has reached an upstream, which does not answer it.
async fn waiting(bed: &Bed) -> Raw {
    let mut raw = Raw::connect(bed.gateway.local_addr()).await;
    raw.write("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until("the request to be there", || bed.monolith.count() == 1).await;
    raw
}

/// With a log, in front of one upstream.
fn logged(upstream: &RawUpstream, log: &Log) -> Gateway {
    let plan = extracting(
        upstream.address,
        upstream.address,
        &log.plan(""),
        "routes: [{ path: /api/contracts/* }]",
    );
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_cut_off_leaves_a_line() {
    let log = Log::new();
    let bed = Bed::shaped_and_settled("", "", &log.plan("")).await;
    let _go = bed.monolith.stall();
    let _raw = waiting(&bed).await;
    bed.gateway.shutdown(Duration::ZERO).await;
    let [one] = &lines(&log.path, "/slow")[..] else {
        panic!("not one line");
    };
    assert_eq!(one["reason"], "cut", "{one}");
    assert_eq!(one["side"], "monolith", "{one}");
    // It says nothing of clients.
    assert!(!bed.metrics().contains("code=\"499\""), "{}", bed.metrics());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_leaves_a_line() {
    let log = Log::new();
    let bed = Bed::shaped_and_settled("", "", &log.plan("")).await;
    let _go = bed.monolith.stall();
    let raw = waiting(&bed).await;
    assert_eq!(bed.metric("http_requests_in_flight"), 1);
    assert_eq!(bed.metric("banyan_connections{state=\"busy\"}"), 1);
    drop(raw);
    let one = line(&log.path, "/slow").await;
    assert_eq!(one["reason"], "client-gone", "{one}");
    assert!(one["status"].is_null(), "{one}");
    assert_eq!(
        (&one["side"], &one["upstream"]),
        (&"monolith".into(), &"monolith".into())
    );
    let labels = "service=\"monolith\",route=\"other\",method=\"GET\"";
    counted(&bed, labels, "monolith").await;
    let waited = format!("http_request_duration_seconds_count{{{labels},side=\"monolith\"}}");
    assert_eq!(bed.metric(&waited), 1, "{}", bed.metrics());
    until("nothing to be in flight", || {
        bed.metric("http_requests_in_flight") == 0
            && bed.metric("banyan_connections{state=\"busy\"}") == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_known_at_which_side_a_request_was_given_up() {
    let log = Log::new();
    let bed = Bed::shaped_and_settled("", "", &log.plan("")).await;
    let _go = (bed.monolith.stall(), bed.service.stall());
    // A write that was sent is seen through, though its client has gone.
    for (method, side, upstream) in [
        ("GET", Side::Service, &bed.service),
        ("POST", Side::Monolith, &bed.monolith),
    ] {
        let path = format!("/api/contracts/{method}");
        let mut raw = Raw::connect(bed.gateway.local_addr()).await;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nx-user-id: {method}\r\n\
             content-length: 0\r\n\r\n"
        );
        raw.write(&request).await;
        until("the request to be there", || upstream.count() == 1).await;
        drop(raw);
        let one = line(&log.path, &path).await;
        assert_eq!(one["reason"], "client-gone", "{one}");
        assert_eq!(one["side"], side.as_str(), "{one}");
        let labels =
            format!("service=\"contracts\",route=\"/api/contracts/*\",method=\"{method}\"");
        counted(&bed, &labels, side.as_str()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_while_held_was_nowhere() {
    let log = Log::new();
    let bed = Bed::shaped_and_settled("", "", &log.plan("")).await;
    bed.publish(
        2,
        protocol::routing::Writes::Hold {
            from: Side::Monolith,
        },
        0,
    );
    let mut raw = Raw::connect(bed.gateway.local_addr()).await;
    raw.write("POST /api/contracts/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        .await;
    until("it to be held", || bed.held().now == 1).await;
    drop(raw);
    let one = line(&log.path, "/api/contracts/1").await;
    assert_eq!(one["reason"], "client-gone", "{one}");
    assert!(one["side"].is_null() && one["upstream"].is_null(), "{one}");
    let labels = "service=\"contracts\",route=\"/api/contracts/*\",method=\"POST\"";
    counted(&bed, labels, "none").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_with_a_stream_of_http_2() {
    let log = Log::new();
    let bed = Bed::shaped_and_settled("", "", &log.plan("")).await;
    let _go = bed.monolith.stall();
    let stream = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://a/slow").body(Empty::<Bytes>::new());
    let asked = tokio::spawn(sender.send_request(request.unwrap()));
    until("the request to be there", || bed.monolith.count() == 1).await;
    asked.abort();
    let one = line(&log.path, "/slow").await;
    assert_eq!(one["reason"], "client-gone", "{one}");
    assert_eq!(one["upstream"], "monolith", "{one}");
    let labels = "service=\"monolith\",route=\"other\",method=\"GET\"";
    counted(&bed, labels, "monolith").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_says_so() {
    let log = Log::new();
    let upstream = RawUpstream::start().await;
    let section = format!("{}\n  timeouts: {{ idle: 100ms }}", log.plan(""));
    let plan = extracting(
        upstream.address,
        upstream.address,
        &section,
        "routes: [{ path: /api/contracts/* }]",
    );
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart";
    for (path, reason) in [("/broken", "cut-broken"), ("/idle", "cut-idle")] {
        if reason == "cut-idle" {
            upstream.answer(broken);
        } else {
            upstream.answer_and_close(broken);
        }
        let mut client = Raw::connect(gateway.local_addr()).await;
        client
            .write(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        assert!(client.whole().await.ends_with("part"));
        let one = line(&log.path, path).await;
        assert_eq!(one["reason"], reason, "{one}");
        assert_eq!((&one["status"], &one["bytes"]), (&200.into(), &4.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_that_its_client_does_not_wait_for() {
    let log = Log::new();
    let upstream = RawUpstream::start().await;
    let gateway = logged(&upstream, &log);
    upstream.answer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart");
    let mut client = Raw::connect(gateway.local_addr()).await;
    client.write("GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.until("part").await;
    assert!(lines(&log.path, "/x").is_empty());
    drop(client);
    let one = line(&log.path, "/x").await;
    assert_eq!(one["reason"], "client-gone", "{one}");
    assert_eq!((&one["status"], &one["bytes"]), (&200.into(), &4.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_has_all_its_bytes_in_the_log() {
    let log = Log::new();
    let upstream = RawUpstream::start().await;
    let gateway = logged(&upstream, &log);
    for (path, method, head, bytes) in [
        ("/length", "GET", "content-length: 4\r\n\r\nfine", 4),
        (
            "/chunks",
            "GET",
            "transfer-encoding: chunked\r\n\r\n4\r\nfine\r\n3\r\n!!!\r\n0\r\n\r\n",
            7,
        ),
        ("/none", "GET", "content-length: 0\r\n\r\n", 0),
    ] {
        upstream.answer(format!("HTTP/1.1 200 OK\r\n{head}").as_str());
        let mut client = Raw::connect(gateway.local_addr()).await;
        client
            .write(&format!(
                "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            ))
            .await;
        client.whole().await;
        let one = line(&log.path, path).await;
        assert!(one["reason"].is_null(), "{one}");
        assert_eq!(one["bytes"], bytes, "{one}");
    }
    upstream.answer("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
    let mut client = Raw::connect(gateway.local_addr()).await;
    client
        .write("HEAD /head HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    client.whole().await;
    let one = line(&log.path, "/head").await;
    assert!(one["reason"].is_null(), "{one}");
}
