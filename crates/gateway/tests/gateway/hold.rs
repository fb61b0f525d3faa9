//! Writes during a hand-over.

use crate::support::*;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::TokioIo;
use plan::ExtractionName;
use protocol::{Epoch, Side, routing::Writes};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

const PATH: &str = "/api/contracts";

#[tokio::test(flavor = "multi_thread")]
async fn held_writes_are_released_to_whom_the_routing_names() {
    let bed = Bed::start(Knobs::default(), HOLD, 0).await;
    bed.drained(1).await;
    let held = bed.spawn("POST", PATH, Some("1"), "body").await;
    until("it is held", || bed.held().now == 1).await;
    // Reads and routes that stay are not held.
    assert_eq!(bed.get(PATH, Some("1")).await.body, "monolith");
    assert_eq!(
        bed.post("/api/parties", Some("1"), "").await.body,
        "monolith"
    );
    bed.publish(1, TO_SERVICE, 100);
    let answer = held.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "service"));
    assert_eq!(bed.service.bodies(), ["body"]);
    let report = bed.held();
    assert_eq!((report.now, report.released, report.refused), (0, 1, 0));
    // The next hold starts a report of its own.
    bed.publish(
        2,
        Writes::Hold {
            from: Side::Service,
        },
        100,
    );
    assert_eq!(bed.held().released, 0);
    let held = bed.spawn("POST", PATH, Some("1"), "again").await;
    until("it is held", || bed.held().now == 1).await;
    bed.publish(3, Writes::Refuse, 100);
    held.await.unwrap().assert_refused("owner-unknown");
    assert_eq!(bed.service.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn release_keeps_the_order_of_arrival() {
    // Takes one connection after the other, so in the order they were made in.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let service = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let serve = |number: usize| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            while !request.contains("\r\n\r\n#") || !request.ends_with(';') {
                let mut part = [0; 1024];
                let length = std::io::Read::read(&mut stream, &mut part).unwrap();
                request.push_str(std::str::from_utf8(&part[..length]).unwrap());
            }
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            std::io::Write::write_all(&mut stream, answer).unwrap();
            assert!(
                request.ends_with(&format!("#{number};")),
                "{number}: {request}"
            );
        };
        (0..30).for_each(serve);
    });
    let other = Bed::unpublished(Knobs::default()).await;
    let knobs = Knobs {
        workers: 1,
        ..Knobs::default()
    };
    let plan = plan(knobs, "127.0.0.1:0", other.monolith.address, service);
    let gateway = other.another(&plan);
    let bed = Bed { gateway, ..other };
    bed.publish(1, HOLD, 0);
    let mut held = Vec::new();
    for number in 0..30 {
        held.push(
            bed.spawn("POST", PATH, Some("1"), &format!("#{number};"))
                .await,
        );
        until("it is held", || bed.held().now == number + 1).await;
    }
    // A hold that is renewed changes nothing about it.
    bed.publish(2, HOLD, 0);
    bed.publish(2, TO_SERVICE, 100);
    for answer in held {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    served.join().unwrap();
}

/// It is let go, and waits for what its client has written elsewhere; a later one does not
/// have to.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_write_does_not_overtake_one_that_was_held() {
    let bed = Bed::planned(|monolith, service| {
        let text = format!(
            r#"
monolith: {{ url: "http://{monolith}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{service}", database: "postgres://u:p@127.0.0.1:1/s" }}
  parties: {{ url: "http://{service}", database: "postgres://u:p@127.0.0.1:1/p" }}
gateway: {{ listen: "127.0.0.1:0", pin-wait: 60s }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /api/contracts/* }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.c: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
    switch: {{ hold: 60s }}
  parties:
    service: parties
    routes: [{{ path: /api/parties/* }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.p: {{}} }} }}
    rollout: {{ key: {{ header: x-party }} }}
"#
        );
        plan::Plan::parse(&text, |_| None).unwrap()
    })
    .await;
    let publish = |epoch, writes| {
        let mut all = routing(epoch, writes, 0);
        let parties = routing(epoch, TO_SERVICE, 0).extractions;
        let name = plan::ExtractionName::new("parties").unwrap();
        all.extractions
            .extend(parties.into_values().map(|one| (name.clone(), one)));
        bed.gateway.publish(&all);
    };
    publish(1, HOLD);
    // What stays waits for the start, which binds everybody.
    assert_eq!(bed.get("/other", None).await.status, 200);
    bed.monolith.forget();
    bed.mover.position(Some(50));
    let sampled = bed.mover.samples(Side::Service);
    let as_party = |path: &str, body: &str| {
        let mut write = build("POST", path, Some("u"), body);
        write.headers_mut().insert("x-party", "p".parse().unwrap());
        write
    };
    let mut client = bed.client().await;
    let written = client.request(as_party("/api/parties", "")).await.unwrap();
    assert_eq!(written.side(), Some("service"));
    until("it is sampled", || {
        bed.mover.samples(Side::Service) > sampled
    })
    .await;
    let earlier = as_party(PATH, "earlier");
    let earlier = tokio::spawn(async move { client.request(earlier).await.unwrap() });
    until("it is held", || bed.held().now == 1).await;
    publish(2, TO_MONOLITH);
    until("it waits", || bed.metric("banyan_pin_waiting ") == 1).await;
    let later = bed.spawn("POST", PATH, Some("u"), "later").await;
    assert_eq!(bed.post(PATH, Some("v"), "another's").await.status, 200);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bed.monolith.bodies(), ["another's"]);
    bed.mover.applied(Side::Service, 50);
    assert_eq!(earlier.await.unwrap().status, 200);
    assert_eq!(later.await.unwrap().status, 200);
    assert_eq!(bed.monolith.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_unsent() {
    let knobs = Knobs {
        held_requests: 2,
        held_bytes: "1KiB",
        ..Knobs::default()
    };
    let bed = Bed::start(knobs, HOLD, 0).await;
    bed.post(PATH, None, &"x".repeat(1025))
        .await
        .assert_refused("hold-full");
    // Too large to be read before it is sent, so too large to be held.
    bed.post(PATH, None, &"x".repeat((1 << 20) + 1))
        .await
        .assert_refused("hold-too-large");
    let first = bed.spawn("POST", PATH, None, "1").await;
    let second = bed.spawn("POST", PATH, None, "2").await;
    until("two are held", || bed.held().now == 2).await;
    bed.post(PATH, None, "3").await.assert_refused("hold-full");
    assert_eq!(bed.held().refused, 3);
    bed.publish(2, TO_MONOLITH, 0);
    assert_eq!(
        (first.await.unwrap().status, second.await.unwrap().status),
        (200, 200)
    );
    assert_eq!(bed.monolith.count(), 2);
    assert_eq!(
        bed.post(PATH, None, &"x".repeat((1 << 20) + 1))
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gets_too_old_is_refused_unsent() {
    let bed = Bed::start(
        Knobs {
            hold: "100ms",
            ..Knobs::default()
        },
        HOLD,
        0,
    )
    .await;
    let begun = Instant::now();
    bed.post(PATH, None, "x")
        .await
        .assert_refused("hold-too-old");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    bed.publish(2, TO_MONOLITH, 0);
    assert_eq!(bed.post(PATH, None, "y").await.status, 200);
    assert_eq!(bed.monolith.bodies(), ["y"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_write_whose_client_has_gone_is_never_sent() {
    let bed = Bed::start(Knobs::default(), HOLD, 0).await;
    let request = "POST /api/contracts HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\ngone";
    let mut leaving = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    leaving.write_all(request.as_bytes()).await.unwrap();
    let staying = bed.spawn("POST", PATH, None, "here").await;
    until("both are held", || bed.held().now == 2).await;
    drop(leaving);
    until("its place is free", || bed.held().now == 1).await;
    bed.publish(1, TO_SERVICE, 100);
    assert_eq!(staying.await.unwrap().status, 200);
    bed.drained(1).await;
    assert_eq!(bed.service.bodies(), ["here"]);
    assert_eq!(bed.monolith.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_waits_for_writes_in_flight_though_their_client_has_gone() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let go = bed.monolith.stall();
    let request = "POST /api/contracts HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx";
    let mut client = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    until("the write is there", || bed.monolith.count() == 1).await;
    bed.publish(2, HOLD, 0);
    let name = contracts();
    let mut drained = Box::pin(bed.gateway.drained(&name, Epoch(2)));
    let still = tokio::time::timeout(Duration::from_millis(100), &mut drained).await;
    assert!(still.is_err(), "drained with a write in flight");
    let in_flight = bed.gateway.writes_in_flight(&name).await;
    assert_eq!(in_flight.count, 1);
    let route = in_flight.longest.unwrap();
    assert!(route.contains("/api/contracts"), "{route}");
    assert!(in_flight.longest_for > Duration::ZERO);
    drop(client);
    let still = tokio::time::timeout(Duration::from_millis(100), &mut drained).await;
    assert!(
        still.is_err(),
        "drained with a write in flight whose client has gone"
    );
    go.notify_one();
    tokio::time::timeout(DEADLINE, drained).await.unwrap();
    let in_flight = bed.gateway.writes_in_flight(&name).await;
    assert_eq!((in_flight.count, in_flight.longest), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_waits_for_its_epoch() {
    let bed = Bed::start(Knobs::default(), HOLD, 0).await;
    let name = contracts();
    let mut drained = Box::pin(bed.gateway.drained(&name, Epoch(2)));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), &mut drained)
            .await
            .is_err()
    );
    bed.publish(2, HOLD, 0);
    tokio::time::timeout(DEADLINE, drained).await.unwrap();
    let nobody = ExtractionName::new("nobody").unwrap();
    let never = bed.gateway.drained(&nobody, Epoch(0));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), never)
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_does_not_keep_a_hold_from_draining() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let (parts, mut wanted) = mpsc::channel::<Bytes>(1);
    let body = futures_util::stream::poll_fn(move |cx| {
        wanted
            .poll_recv(cx)
            .map(|part| part.map(|part| Ok::<_, hyper::Error>(hyper::body::Frame::data(part))))
    });
    let stream = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::post(PATH)
        .header("host", "a")
        .body(StreamBody::new(body))
        .unwrap();
    let answer = tokio::spawn(async move {
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        (
            parts.status.as_u16(),
            body.collect().await.unwrap().to_bytes(),
        )
    });
    parts.send(Bytes::from_static(b"slow ")).await.unwrap();
    bed.publish(2, HOLD, 0);
    bed.drained(2).await;
    parts.send(Bytes::from_static(b"upload")).await.unwrap();
    drop(parts);
    until("it is held", || bed.held().now == 1).await;
    bed.publish(2, TO_SERVICE, 100);
    assert_eq!(answer.await.unwrap(), (200, Bytes::from_static(b"service")));
    assert_eq!(bed.service.bodies(), ["slow upload"]);
    assert_eq!(bed.monolith.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_never_ends_is_given_up() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let mut client = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    let request = "POST /api/contracts HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf";
    client.write_all(request.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    // hyper takes the half-closed connection for gone; nothing is sent.
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, client.read_to_end(&mut rest))
        .await
        .unwrap();
    bed.publish(2, HOLD, 0);
    bed.drained(2).await;
    assert_eq!(bed.monolith.count(), 0);
}
