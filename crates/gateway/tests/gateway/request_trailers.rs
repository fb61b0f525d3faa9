//! What of a request's end reaches an upstream: servers of HTTP/1 that do not know
//! trailers have run them as the next request, with the gateway's leave.

use crate::support::*;
use bytes::Bytes;
use gateway::Gateway;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

/// A write of the extraction is read before it is sent, others are not.
const PATHS: [&str; 2] = ["/other", "/api/contracts"];

/// A gateway whose sides are one upstream with these settings.
fn before(upstream: SocketAddr, settings: &str, gateway: &str) -> Gateway {
    let side = format!("url: \"http://{upstream}\", {settings}");
    let gateway = with_lease(&shaped(&side, &side, gateway), FakeMover::new());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    gateway
}

/// Sends a body in two chunks with these trailers; what the upstream got of it.
async fn forwarded(gateway: &Gateway, path: &str, seen: &Mutex<Vec<u8>>, trailers: &str) -> String {
    let mut client = Raw::connect(gateway.local_addr()).await;
    client
        .write(&format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\ntrailer: x-role\r\ntransfer-encoding: chunked\r\n\r\n\
             2;q=\"GET /internal/extension HTTP/1.1\"\r\nab\r\n1\r\nc\r\n0\r\n{trailers}\r\n"
        ))
        .await;
    client.until("fine").await;
    // The next request of anybody over the same connection: all before it has come.
    client
        .write("POST /last HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        .await;
    until("the next request has come", || {
        let seen = seen.lock().unwrap();
        String::from_utf8_lossy(&seen).contains("/last")
    })
    .await;
    String::from_utf8(seen.lock().unwrap().clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_do_not_reach_a_server_that_may_take_them_for_a_request() {
    for path in PATHS {
        let (upstream, seen) = raw_upstream(ANSWER).await;
        let gateway = before(upstream, "", "");
        let trailers = "A: b\r\nGET: /internal/admin HTTP/1.1\r\nX-Role: admin\r\n";
        let seen = forwarded(&gateway, path, &seen, trailers).await;
        let lower = seen.to_ascii_lowercase();
        for gone in ["internal", "x-role", "\r\ntrailer:", "a: b"] {
            assert!(!lower.contains(gone), "{path}: {seen}");
        }
        let end = seen.split("\r\n\r\n").nth(1).unwrap();
        // Nothing stands after the body, in whichever form it went.
        assert!(
            end.starts_with("abcPOST") || seen.contains("c\r\n0\r\n\r\n"),
            "{path}: {seen}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_where_the_plan_says_so_but_for_what_only_a_head_may_say() {
    for path in PATHS {
        let (upstream, seen) = raw_upstream(ANSWER).await;
        let gateway = before(
            upstream,
            "trailers: pass",
            "consumers: { shop: { keys: [one] } }, policies: { keys: { header: X-Shop-Key } }",
        );
        let mut client = connect(&gateway).await;
        let trailers = [
            ("x-sum", "7"),
            ("x_shop_key", "other"),
            ("x-shop-key", "other"),
            ("authorization", "other"),
            ("x-real-ip", "10.0.0.1"),
            ("x_forwarded_host", "evil.example"),
            ("x-consumer-username", "other"),
        ];
        send(&mut client, path, &trailers).await;
        until("the trailers have come", || {
            seen.lock().unwrap().ends_with(b"0\r\nx-sum: 7\r\n\r\n")
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_over_http2_end_here_too_where_the_upstream_speaks_http1() {
    for path in PATHS {
        let (upstream, seen) = raw_upstream(ANSWER).await;
        let gateway = before(upstream, "", "policies: {}");
        let mut client = connect(&gateway).await;
        send(&mut client, path, &[("x-role", "admin")]).await;
        let seen = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
        assert!(!seen.contains("admin"), "{path}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_over_http2_say_no_more_than_heads_may() {
    let (upstream, seen) = http2_upstream().await;
    let gateway = before(
        upstream,
        "protocol: h2c",
        "identity: { header: X-Who, secret: \"0123456789abcdef\" }",
    );
    for path in PATHS {
        let mut client = connect(&gateway).await;
        let trailers = [
            ("x-sum", "7"),
            ("x-who", "other"),
            ("x.who", "other"),
            ("x-real-ip", "10.0.0.1"),
            ("x_real_ip", "10.0.0.1"),
            ("x-forwarded-prefix", "/evil"),
            ("x-authenticated-userid", "other"),
        ];
        send(&mut client, path, &trailers).await;
        let got = std::mem::take(&mut *seen.lock().unwrap());
        let names: Vec<_> = got.iter().flat_map(HeaderMap::keys).collect();
        assert_eq!(names, ["x-sum"], "{path}");
    }
}

/// A body that is a request to who does not read bodies.
const SMUGGLED: &str = "GET /internal/admin HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_follows_a_body_that_an_upstream_may_not_read() {
    for (method, is_last) in [
        ("GET", true),
        ("DELETE", true),
        ("OPTIONS", true),
        ("POST", false),
    ] {
        // It answers one request of each connection, and reads on.
        let (upstream, seen) = raw_upstream(ANSWER).await;
        let gateway = before(upstream, "", "");
        let mut client = Raw::connect(gateway.local_addr()).await;
        client
            .write(&format!(
                "{method} /other HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{SMUGGLED}",
                SMUGGLED.len()
            ))
            .await;
        client.until("fine").await;
        until("the body has come", || {
            seen.lock().unwrap().ends_with(SMUGGLED.as_bytes())
        })
        .await;
        let got = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
        let says_so = got.contains("\r\nconnection: close\r\n");
        assert_eq!(says_so, is_last, "{got}");
        if is_last {
            // Anybody's next request has a connection of its own, or no answer.
            client.read.clear();
            let next = "POST /next HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}";
            client.write(next).await;
            client.until("fine").await;
        }
    }
}

type Body =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;
type Http2 = hyper::client::conn::http2::SendRequest<Body>;

async fn connect(gateway: &Gateway) -> Http2 {
    let stream = TcpStream::connect(gateway.local_addr()).await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// Sends a body with these trailers and waits for the answer.
async fn send(client: &mut Http2, path: &str, trailers: &[(&str, &str)]) {
    let field = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    };
    let frames = vec![
        Ok(Frame::data(Bytes::from_static(b"abc"))),
        Ok(Frame::trailers(trailers.iter().map(field).collect())),
    ];
    let request = Request::post(format!("http://a{path}"))
        .header("x-shop-key", "one")
        .body(StreamBody::new(futures_util::stream::iter(frames)))
        .unwrap();
    let answer = tokio::time::timeout(DEADLINE, client.send_request(request)).await;
    assert_eq!(answer.expect("no answer in time").unwrap().status(), 200);
}

/// A server of HTTP/2 that notes the trailers it gets.
async fn http2_upstream() -> (SocketAddr, Arc<Mutex<Vec<HeaderMap>>>) {
    use http_body_util::{BodyExt, Full};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            let service =
                hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let noted = Arc::clone(&noted);
                    async move {
                        let body = request.into_body().collect().await.unwrap();
                        noted.lock().unwrap().extend(body.trailers().cloned());
                        let answer = Full::new(Bytes::from_static(b"fine"));
                        Ok::<_, Infallible>(http::Response::new(answer))
                    }
                });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, seen)
}
