//! Upstream connections that are one client's own, since they were let in (NTLM).

use crate::support::*;
use bytes::Bytes;
use gateway::Gateway;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Lets in connections: who has said `NTLM name` over one is that name for all that
/// comes over it later. Also counts them.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(converse(stream));
        }
    });
    (address, count)
}

/// With all its connections in one pool.
fn one_worker(upstream: SocketAddr) -> Gateway {
    let knobs = Knobs {
        workers: 1,
        ..Knobs::default()
    };
    between(knobs, upstream, upstream)
}

async fn converse(mut stream: TcpStream) {
    let (mut part, mut name) = (vec![0; 4096], None);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let length = stream.read(&mut part).await.unwrap_or(0);
            if length == 0 {
                return;
            }
            head.push_str(std::str::from_utf8(&part[..length]).unwrap());
        }
        let mut lines = head.lines();
        if let Some(said) = lines.find_map(|line| line.strip_prefix("authorization: NTLM ")) {
            name = Some(said.to_owned());
        }
        let answer = match &name {
            None if head.starts_with("GET /open") => {
                "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nnobody".to_owned()
            }
            None => "HTTP/1.1 401 No\r\nwww-authenticate: NTLM\r\ncontent-length: 4\r\n\r\nwho?"
                .to_owned(),
            Some(name) => {
                let length = name.len();
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}")
            }
        };
        let said = stream.write_all(answer.as_bytes()).await;
        if said.is_err() || head.starts_with("GET /last") {
            return;
        }
    }
}

async fn ask(client: &mut Client, path: &str, token: Option<&str>) -> String {
    let mut request = build("GET", path, None, "");
    if let Some(token) = token {
        let token = format!("NTLM {token}");
        let headers = request.headers_mut();
        headers.insert("authorization", token.parse().unwrap());
    }
    client.request(request).await.unwrap().body
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_let_in_is_nobody_elses() {
    let (upstream, connections) = server().await;
    for path in ["/x", "/api/contracts"] {
        let knobs = Knobs {
            workers: 1,
            ..Knobs::default()
        };
        let gateway = between(knobs, upstream, upstream);
        let before = connections.load(Ordering::SeqCst);
        let mut alice = Client::connect(gateway.local_addr()).await;
        let mut bob = Client::connect(gateway.local_addr()).await;
        assert_eq!(ask(&mut alice, path, None).await, "who?");
        assert_eq!(ask(&mut alice, path, Some("alice")).await, "alice");
        for _ in 0..3 {
            assert_eq!(ask(&mut bob, path, None).await, "who?", "{path}");
            // The connection that was let in is still hers.
            assert_eq!(ask(&mut alice, path, None).await, "alice", "{path}");
        }
        assert_eq!(ask(&mut bob, path, Some("bob")).await, "bob");
        assert_eq!(ask(&mut alice, path, None).await, "alice");
        // One each.
        assert_eq!(connections.load(Ordering::SeqCst) - before, 2);
        // Nobody gets them when their clients go.
        drop((alice, bob));
        let mut carol = Client::connect(gateway.local_addr()).await;
        assert_eq!(ask(&mut carol, path, None).await, "who?");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_for_one_has_the_connection_from_then_on() {
    let (upstream, connections) = server().await;
    let gateway = one_worker(upstream);
    let mut alice = Client::connect(gateway.local_addr()).await;
    let mut bob = Client::connect(gateway.local_addr()).await;
    assert_eq!(ask(&mut alice, "/x", None).await, "who?");
    assert_eq!(ask(&mut bob, "/open", None).await, "nobody");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// What was asked for at one instance is not known at another.
#[tokio::test(flavor = "multi_thread")]
async fn it_leads_to_one_instance_of_several() {
    let (one, _) = server().await;
    let (other, _) = server().await;
    let upstream = format!("urls: [\"http://{one}\", \"http://{other}\"]");
    let gateway = with_lease(&shaped(&upstream, &upstream, ""), still());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    for round in 0..20 {
        let mut alice = Client::connect(gateway.local_addr()).await;
        assert_eq!(ask(&mut alice, "/x", Some("alice")).await, "alice");
        for path in ["/x", "/open"] {
            assert_eq!(ask(&mut alice, path, None).await, "alice", "{round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_it_is_closed() {
    let (upstream, _) = server().await;
    let gateway = one_worker(upstream);
    let stream = TcpStream::connect(gateway.local_addr()).await.unwrap();
    let (mut alice, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://a/x").header("authorization", "NTLM alice");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let answer = alice.send_request(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "alice");
    let mut bob = Client::connect(gateway.local_addr()).await;
    assert_eq!(ask(&mut bob, "/open", None).await, "nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_being_asked_for_counts_too() {
    let (upstream, _) = server().await;
    let gateway = one_worker(upstream);
    let mut alice = Client::connect(gateway.local_addr()).await;
    let mut bob = Client::connect(gateway.local_addr()).await;
    assert_eq!(ask(&mut bob, "/open", None).await, "nobody");
    assert_eq!(ask(&mut alice, "/x", Some("alice")).await, "alice");
    assert_eq!(ask(&mut bob, "/open", None).await, "nobody");
    assert_eq!(ask(&mut alice, "/open", None).await, "alice");
}

#[tokio::test]
async fn a_write_finds_out_first_whether_its_own_connection_was_closed() {
    let (upstream, connections) = server().await;
    let gateway = one_worker(upstream);
    let mut alice = Client::connect(gateway.local_addr()).await;
    for path in ["/x", "/api/contracts"] {
        for _ in 0..20 {
            assert_eq!(ask(&mut alice, "/x", Some("alice")).await, "alice");
            assert_eq!(ask(&mut alice, "/last", None).await, "alice");
            // Closed by now, or in this very moment.
            let mut write = build("POST", path, None, "");
            let token = "NTLM alice".parse().unwrap();
            write.headers_mut().insert("authorization", token);
            let answer = alice.request(write).await.unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, "alice"));
        }
    }
    assert!(connections.load(Ordering::SeqCst) > 40);
}
