//! How long what may take: by upstream, by route, and for streams; and what a
//! client has of an answer that is cut off.

use crate::{raw::*, support::*};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
};

/// Answers each request with a part, and with the next one after a while.
async fn pausing(kind: &'static str, pause: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut part = [0; 4096];
                let _ = stream.read(&mut part).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\
                     transfer-encoding: chunked\r\n\r\n3\r\none\r\n"
                );
                let _ = stream.write_all(head.as_bytes()).await;
                tokio::time::sleep(pause).await;
                let _ = stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await;
            });
        }
    });
    address
}

fn gateway(upstream: SocketAddr, section: &str) -> gateway::Gateway {
    let plan = extracting(
        upstream,
        upstream,
        section,
        "routes: [{ path: /api/contracts/* }]",
    );
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    gateway
}

/// Whether an answer comes to its end.
async fn ends(gateway: &gateway::Gateway, path: &str) -> bool {
    let mut client = Client::connect(gateway.local_addr()).await;
    let asked = client.request(build("GET", path, None, ""));
    let answer = tokio::time::timeout(DEADLINE, asked).await;
    let answer = answer.expect("it hangs");
    assert!(
        answer
            .as_ref()
            .map_or(true, |answer| answer.body == "onetwo"),
        "{answer:?}"
    );
    answer.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_may_be_silent_for_longer() {
    const TIMEOUTS: &str = "timeouts: { idle: 100ms }\n  \
        routes: { mine: { to: monolith, path: /mine, timeouts: { stream: 100ms } } }";
    for (kind, wanted) in [
        ("text/html", false),
        ("text/event-stream", true),
        ("Text/Event-Stream; charset=utf-8", true),
        ("application/grpc+proto", true),
    ] {
        let gateway = gateway(pausing(kind, Duration::from_secs(1)).await, TIMEOUTS);
        assert_eq!(ends(&gateway, "/x").await, wanted, "{kind}");
        assert!(!ends(&gateway, "/mine").await, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_has_times_of_its_own() {
    let monolith = Upstream::start("monolith").await;
    let service = Upstream::start("service").await;
    let _never = monolith.stall();
    let plan = extracting(
        monolith.address,
        service.address,
        "client: { body: 100ms }\n  timeouts: { first-byte: 100ms }\n  routes: \
         { slow: { to: monolith, path: /slow, timeouts: { first-byte: 60s, body: 60s } } }",
        "routes: [{ path: /api/contracts/* }, \
         { path: /api/contracts/slow, timeouts: { first-byte: 60s, body: 60s } }]",
    );
    let bed = Bed::of(&plan, monolith, service);
    bed.publish(1, TO_MONOLITH, 0);
    for (path, is_patient) in [
        ("/x", false),
        ("/slow", true),
        ("/api/contracts", false),
        ("/api/contracts/slow", true),
    ] {
        for method in ["GET", "POST"] {
            let mut client = bed.client().await;
            let asked = client.request(build(method, path, None, ""));
            let answer = tokio::time::timeout(Duration::from_secs(1), asked).await;
            let status = answer.ok().map(|answer| answer.unwrap().status);
            assert_eq!(status, (!is_patient).then_some(504), "{method} {path}");
        }
        let mut client = Raw::connect(bed.gateway.local_addr()).await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf");
        client.write(&head).await;
        let all = tokio::time::timeout(Duration::from_secs(1), client.whole()).await;
        let status = all.ok().map(|all| all.starts_with("HTTP/1.1 408 "));
        assert_eq!(status, (!is_patient).then_some(true), "{path}");
    }
}

/// Answers over HTTP/2 with a part, and nothing more.
async fn h2c_that_stops() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|_: Request<Incoming>| async {
                let (sender, mut frames) = mpsc::unbounded_channel();
                sender
                    .send(Frame::data(Bytes::from_static(b"part")))
                    .unwrap();
                let body = StreamBody::new(futures_util::stream::poll_fn(move |cx| {
                    // Kept, so that it does not end.
                    let _sender = &sender;
                    frames
                        .poll_recv(cx)
                        .map(|frame| frame.map(Ok::<_, Infallible>))
                }));
                Ok::<_, Infallible>(Response::new(body))
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_over_http_2_that_stops_is_cut_off_too() {
    let upstream = h2c_that_stops().await;
    let service = Upstream::start("service").await;
    for (timeouts, reason) in [("idle: 100ms", "idle"), ("whole: 200ms", "whole")] {
        let plan = shaped(
            &format!("url: \"http://{upstream}\", protocol: h2c, timeouts: {{ {timeouts} }}"),
            &format!("url: \"http://{}\"", service.address),
            "",
        );
        let gateway = with_lease(&plan, still());
        gateway.publish(&routing(1, TO_MONOLITH, 0));
        let mut client = Raw::connect(gateway.local_addr()).await;
        client.write("GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let answer = client.whole().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("4\r\npart\r\n"), "{answer}");
        let line =
            format!("banyan_answers_cut_total{{upstream=\"monolith\",reason=\"{reason}\"}} 1\n");
        let metrics = encoded(&gateway);
        assert!(metrics.contains(&line), "{metrics}");
    }
}

/// Answers over HTTP/2 with a head and, in the same moment, takes the answer back.
async fn h2c_that_resets() -> SocketAddr {
    const HEADERS: u8 = 1;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut preface = [0; b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()];
                stream.read_exact(&mut preface).await?;
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
                loop {
                    let mut frame = [0; 9];
                    stream.read_exact(&mut frame).await?;
                    let [_, high, low, kind, _, id @ ..] = frame;
                    let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
                    stream.read_exact(&mut payload).await?;
                    if kind == HEADERS {
                        // `:status: 200`, with no more headers; then RST_STREAM.
                        let (head, reset) = ([0, 0, 1, HEADERS, 4], [0, 0, 4, 3, 0]);
                        let both = [&head[..], &id, &[0x88], &reset, &id, &[0, 0, 0, 2]];
                        stream.write_all(&both.concat()).await?;
                    }
                }
                #[expect(unreachable_code, reason = "names the type of the errors")]
                Ok::<(), std::io::Error>(())
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_begins_is_given_up_over_either_version() {
    // Nobody accepts, and reads, what comes; and what else comes waits outside.
    let listening = TcpSocket::new_v4().unwrap();
    listening.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listening.listen(1).unwrap();
    let silent = listener.local_addr().unwrap();
    let asked = async |section: &str, protocol: &str| {
        let upstream =
            format!("url: \"http://{silent}\", protocol: {protocol}, timeouts: {{ {section} }}");
        let gateway = with_lease(&shaped(&upstream, &upstream, ""), still());
        gateway.publish(&routing(1, TO_MONOLITH, 0));
        let mut client = Client::connect(gateway.local_addr()).await;
        let answer = client.send("GET", "/x", None, "").await;
        (gateway, answer)
    };
    let mut gateways = Vec::new();
    for (section, status) in [("first-byte: 100ms", 504), ("whole: 100ms", 504)] {
        for protocol in ["http1", "h2c"] {
            let (gateway, answer) = asked(section, protocol).await;
            assert_eq!(answer.status, status, "{section} {protocol}");
            gateways.push(gateway);
        }
    }
    let mut waiting = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(silent)).await
    {
        waiting.push(connected.unwrap());
    }
    for protocol in ["http1", "h2c"] {
        let (_, answer) = asked("connect: 100ms", protocol).await;
        assert_eq!(answer.status, 502, "{protocol}");
        assert!(answer.body.contains("\"unreachable\""), "{answer:?}");
    }
}

/// Enough for what happens now and then.
const ROUNDS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_the_head_of_an_answer_that_breaks_off() {
    let upstream = RawUpstream::start().await;
    let gateway = gateway(upstream.address, "workers: 1");
    for (head, part) in [
        ("content-length: 100\r\n", "part"),
        ("transfer-encoding: chunked\r\n", "4\r\npart\r\n"),
        ("content-length: 100\r\n", ""),
    ] {
        let fine = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";
        let broken = format!("HTTP/1.1 200 OK\r\n{head}x-mine: 1\r\n\r\n{part}");
        for _ in 0..ROUNDS {
            let mut client = Raw::connect(gateway.local_addr()).await;
            upstream.answer(fine);
            client.write("GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
            client.until("fine").await;
            client.read.clear();
            upstream.answer_and_close(broken.as_str());
            client
                .write("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi")
                .await;
            let answer = client.whole().await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{head}: {answer:?}");
            assert!(answer.contains("x-mine: 1"), "{answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{part}")), "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_has_one_over_http_2() {
    let upstream = RawUpstream::start().await;
    upstream.answer_and_close("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart");
    has_heads(&gateway(upstream.address, "workers: 1")).await;
    let upstream = h2c_that_resets().await;
    let plan = shaped(
        &format!("url: \"http://{upstream}\", protocol: h2c"),
        &format!("url: \"http://{upstream}\", protocol: h2c"),
        "",
    );
    let gateway = with_lease(&plan, still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    has_heads(&gateway).await;
}

/// A client over HTTP/2 has the head of each answer, and no end of it.
async fn has_heads(gateway: &gateway::Gateway) {
    let stream = TcpStream::connect(gateway.local_addr()).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    for _ in 0..ROUNDS {
        let request = Request::post("http://a/x").body(Empty::<Bytes>::new());
        let answer = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.into_body().collect().await.is_err());
    }
}
