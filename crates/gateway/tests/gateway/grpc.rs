//! Upstreams that speak HTTP/2, as gRPC needs it: unary and streaming calls
//! with their trailers, through one shared connection.

use crate::support::*;
use bytes::Bytes;
use gateway::Gateway;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::http2::{SendRequest, handshake},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plan::Plan;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Sent = Result<Frame<Bytes>, Infallible>;

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        "grpc-status".parse().unwrap(),
        HeaderValue::from_static(code),
    )])
}

/// A body of what is sent through the channel.
fn channel() -> (mpsc::UnboundedSender<Sent>, Body) {
    let (sender, mut frames) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |cx| frames.poll_recv(cx));
    (sender, StreamBody::new(frames).boxed_unsync())
}

/// Answers each message with itself, and in the end with trailers.
fn call(request: Request<Incoming>) -> Response<Body> {
    assert_eq!(request.version(), http::Version::HTTP_2);
    assert_eq!(request.headers()["te"], "trailers");
    assert_eq!(request.uri().authority().unwrap(), "grpc.example");
    assert!(!request.headers().contains_key("connection"));
    assert!(!request.headers().contains_key("host"));
    let (answer, body) = channel();
    let mut messages = request.into_body();
    tokio::spawn(async move {
        while let Some(Ok(frame)) = messages.frame().await {
            if let Ok(message) = frame.into_data() {
                let _ = answer.send(Ok(Frame::data(message)));
            }
        }
        let _ = answer.send(Ok(Frame::trailers(status("0"))));
    });
    Response::builder()
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap()
}

/// A server and how many connections were made to it.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let service = service_fn(|request| async { Ok::<_, Infallible>(call(request)) });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (address, connections)
}

fn start(monolith: SocketAddr, service: SocketAddr) -> Gateway {
    let text = format!(
        r#"
monolith: {{ url: "http://{monolith}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{service}", protocol: h2c, database: "postgres://u:p@127.0.0.1:1/s" }}
gateway: {{ listen: "127.0.0.1:0", workers: 1, client: {{ body: 100ms }} }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /contracts.Contracts/* }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
"#
    );
    let plan = Plan::parse(&text, |_| None).unwrap();
    let gateway = with_lease(&plan, FakeMover::new());
    gateway.publish(&routing(1, TO_SERVICE, 100));
    gateway
}

async fn connect(gateway: &Gateway) -> SendRequest<Body> {
    let stream = TcpStream::connect(gateway.local_addr()).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn request(body: Body) -> Request<Body> {
    Request::post("http://grpc.example/contracts.Contracts/Sign")
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap()
}

async fn next(body: &mut Incoming) -> Option<Frame<Bytes>> {
    let frame = tokio::time::timeout(DEADLINE, body.frame()).await;
    frame.expect("nothing came in time").map(Result::unwrap)
}

#[tokio::test(flavor = "multi_thread")]
async fn unary_calls_share_a_connection_and_have_trailers() {
    let (service, connections) = server().await;
    let gateway = start(service, service);
    let client = connect(&gateway).await;
    let calls = (0..50).map(|number| {
        let mut client = client.clone();
        async move {
            let message = format!("message {number}");
            let body = Full::new(Bytes::from(message.clone())).boxed_unsync();
            let response = client.send_request(request(body)).await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["x-banyan-side"], "service");
            let answer = response.into_body().collect().await.unwrap();
            assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
            assert_eq!(answer.to_bytes(), message);
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// Lasts longer than `client.body`.
async fn sending_slowly_was_refused(gateway: &Gateway) {
    let mut slow = Raw::connect(gateway.local_addr()).await;
    let begun = "POST /contracts.Contracts/Sign HTTP/1.1\r\nhost: grpc.example\r\n\
        content-length: 2\r\n\r\nh";
    slow.write(begun).await;
    slow.until("}").await;
    assert!(slow.read.starts_with("HTTP/1.1 408"), "{}", slow.read);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_pass_as_they_come() {
    let (service, _) = server().await;
    let gateway = start(service, service);
    let mut client = connect(&gateway).await;
    let (messages, body) = channel();
    // A write is read whole up to 1 MiB before it is sent: only beyond that, or
    // where it ends, it streams. A read is passed on at once.
    let mut request = request(body);
    *request.method_mut() = http::Method::GET;
    let mut answer = client.send_request(request).await.unwrap().into_body();
    for message in ["one", "two", "three"] {
        // Who only listens does not send slowly.
        sending_slowly_was_refused(&gateway).await;
        messages
            .send(Ok(Frame::data(Bytes::from_static(message.as_bytes()))))
            .unwrap();
        assert_eq!(
            next(&mut answer).await.unwrap().into_data().unwrap(),
            message
        );
    }
    drop(messages);
    let trailers = next(&mut answer).await.unwrap().into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_gone_is_said_so_and_comes_back() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gateway = start(address, address);
    let mut client = Raw::connect(gateway.local_addr()).await;
    let request = "POST /contracts.Contracts/Sign HTTP/1.1\r\nhost: grpc.example\r\nte: trailers\r\n\
        content-length: 2\r\n\r\nhi";
    client.write(request).await;
    client.until("}").await;
    assert!(
        client.read.contains("\"reason\":\"unreachable\""),
        "{}",
        client.read
    );
    // A client of HTTP/1 is served by an upstream that speaks HTTP/2.
    let (service, _) = server().await;
    let gateway = start(service, service);
    let mut client = Raw::connect(gateway.local_addr()).await;
    client.write(request).await;
    client.until("0\r\n\r\n").await;
    assert!(client.read.contains("2\r\nhi\r\n"), "{}", client.read);
}
