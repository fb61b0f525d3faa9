//! Bodies in both directions as they come, trailers, `Expect`, HTTP/1.0.

use crate::support::*;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, net::SocketAddr};
use tokio::{net::TcpListener, sync::mpsc};

/// A server that answers each part of a body with itself, when it comes.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let service = service_fn(|request: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(request.into_body()))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

/// A server whose one answer is what comes through the channel.
async fn events() -> (SocketAddr, mpsc::Sender<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut events) = mpsc::channel::<&'static str>(1);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let body = StreamBody::new(futures_util::stream::poll_fn(move |cx| {
            let frame = |event: &'static str| Frame::data(Bytes::from_static(event.as_bytes()));
            events
                .poll_recv(cx)
                .map(|event| event.map(|event| Ok::<_, Infallible>(frame(event))))
        }));
        let body = std::sync::Mutex::new(Some(body));
        let service = service_fn(|_| {
            let response = Response::builder()
                .header("content-type", "text/event-stream")
                .body(body.lock().unwrap().take().unwrap());
            async move { response }
        });
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    });
    (address, sender)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_reaches_the_client_at_once() {
    let (upstream, events) = events().await;
    let gateway = between(Knobs::default(), upstream, upstream);
    let mut client = Raw::connect(gateway.local_addr()).await;
    client
        .write("GET /events HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        // The next one is sent only after this one has come.
        events.send(event).await.unwrap();
        client.until(&format!("{event}\r\n")).await;
    }
    // One that a stop would wait for in vain.
    let answering = gateway.under_way().await.total();
    assert_eq!((answering.requests, answering.streams), (0, 1));
    drop(events);
    client.until("0\r\n\r\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_pass_both_ways_as_they_come() {
    let upstream = echo().await;
    let knobs = Knobs {
        gateway: "  routes: { echo: { to: monolith, path: /echo, buffering: off } }\n",
        ..Knobs::default()
    };
    let gateway = between(knobs, upstream, upstream);
    let mut client = Raw::connect(gateway.local_addr()).await;
    client
        .write("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for chunk in ["5\r\nfirst\r\n", "6\r\nsecond\r\n"] {
        client.write(chunk).await;
        client.until(chunk).await;
    }
    client.write("0\r\n\r\n").await;
    client.until("0\r\n\r\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_both_ways() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, x-count\r\n\r\n\
        2\r\nok\r\n0\r\nx-sum: 7\r\ncontent-length: 3\r\n\r\n";
    // A write of the extraction is read before it is sent, others are not.
    for path in ["/other", "/api/contracts"] {
        let (upstream, seen) = raw_upstream(ANSWER).await;
        let side = format!("url: \"http://{upstream}\", trailers: pass");
        let gateway = with_lease(&shaped(&side, &side, ""), FakeMover::new());
        gateway.publish(&routing(1, TO_MONOLITH, 0));
        let mut client = Raw::connect(gateway.local_addr()).await;
        client
            .write(&format!(
                "POST {path} HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntrailer: x-mine\r\n\
                 transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-mine: 9\r\n\r\n"
            ))
            .await;
        client.until("x-sum: 7\r\n\r\n").await;
        assert!(
            client.read.contains("\r\ntrailer: x-sum, x-count\r\n"),
            "{}",
            client.read
        );
        assert!(!client.read.contains("content-length"), "{}", client.read);
        until("the request has come whole", || {
            seen.lock().unwrap().ends_with(b"0\r\nx-mine: 9\r\n\r\n")
        })
        .await;
        let seen = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
        assert!(seen.contains("\r\nte: trailers\r\n"), "{seen}");
        assert!(seen.contains("\r\ntrailer: x-mine\r\n"), "{seen}");
        assert!(seen.contains("3\r\nabc\r\n"), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_for_only_where_it_is_wanted() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
        )
    };
    for path in ["/other", "/api/contracts"] {
        let mut client = Raw::connect(bed.gateway.local_addr()).await;
        client.write(&head(path)).await;
        client.until("HTTP/1.1 100 Continue\r\n\r\n").await;
        client.write("abc").await;
        client.until("monolith").await;
        assert!(
            client.read.contains("HTTP/1.1 200 OK\r\n"),
            "{}",
            client.read
        );
    }
    assert_eq!(bed.monolith.bodies(), ["abc", "abc"]);
    assert_eq!(bed.monolith.seen()[0].header("expect"), None);
    bed.publish(2, protocol::routing::Writes::Refuse, 0);
    for (path, status) in [("/api/contracts", 503), ("/a/../b", 400)] {
        let mut client = Raw::connect(bed.gateway.local_addr()).await;
        client.write(&head(path)).await;
        let answer = client.whole().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    assert_eq!(bed.monolith.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_http_1_0_are_served() {
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let (upstream, seen) = raw_upstream(CHUNKED).await;
    let gateway = between(Knobs::default(), upstream, upstream);
    let mut client = Raw::connect(gateway.local_addr()).await;
    client
        .write("GET /x HTTP/1.0\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .await;
    let answer = client.whole().await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("chunked"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let seen = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    assert!(seen.starts_with("GET /x HTTP/1.1\r\n"), "{seen}");
    assert!(!seen.contains("upgrade"), "{seen}");

    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let mut client = Raw::connect(bed.gateway.local_addr()).await;
    for _ in 0..2 {
        client.read.clear();
        client
            .write("POST /api/contracts HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi")
            .await;
        client.until("monolith").await;
        assert!(
            client.read.contains("connection: keep-alive\r\n"),
            "{}",
            client.read
        );
    }
    assert_eq!(bed.monolith.bodies(), ["hi", "hi"]);
}
