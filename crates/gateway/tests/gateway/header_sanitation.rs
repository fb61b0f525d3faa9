//! Odd requests, and what the gateway adds and removes.

use crate::support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends bytes and returns the status of the answer; 0 where there is none.
async fn raw(bed: &Bed, request: &str) -> u16 {
    let mut stream = TcpStream::connect(bed.gateway.local_addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let reading = tokio::time::timeout(DEADLINE, stream.read(&mut part));
        match reading.await.expect("no answer in time") {
            Ok(length) if length > 0 => answer.extend_from_slice(&part[..length]),
            _ => break,
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    answer
        .split(' ')
        .nth(1)
        .map_or(0, |status| status.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_mean_two_things_are_refused() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    let long = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: y\r\n".repeat(120)
    );
    for (request, status) in [
        ("GET /a/../b HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /a/%2e%2e/b HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET //api/contracts HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /api%2fcontracts HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        ("GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nhost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a:b:c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a:99999\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\"b\r\n\r\n", 400),
        ("GET http://a:8080/ HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        // Over TLS only.
        ("GET https://a/ HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nx y: z\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\nx",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\nx",
            400,
        ),
        (&long, 431),
        (&many, 431),
    ] {
        assert_eq!(raw(&bed, request).await, status, "{request}");
    }
    assert_eq!((bed.monolith.count(), bed.service.count()), (0, 0));
    // What the server itself can, the gateway says.
    assert_eq!(
        raw(&bed, "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n").await,
        204
    );
    assert_eq!(bed.monolith.count(), 0);
    // HTTP/1.0 and an absolute target that agrees with its Host are fine.
    assert_eq!(raw(&bed, "GET / HTTP/1.0\r\n\r\n").await, 200);
    assert_eq!(
        raw(&bed, "GET http://a/x?y HTTP/1.1\r\nhost: a\r\n\r\n").await,
        200
    );
    assert_eq!(bed.monolith.seen()[1].path, "/x?y");
    for (target, host) in [("http://a:80/x", "a"), ("http://a/x", "A:80")] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        assert_eq!(raw(&bed, &request).await, 200, "{request}");
        assert_eq!(
            bed.monolith.seen().last().unwrap().header("host"),
            Some(host)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn matching_and_forwarding_use_the_same_text() {
    let bed = Bed::start(Knobs::default(), TO_SERVICE, 100).await;
    let answer = bed.get("/api/%63ontracts/a%20b?q=%63", None).await;
    assert_eq!(answer.side(), Some("service"));
    assert_eq!(bed.service.seen()[0].path, "/api/contracts/a%20b?q=%63");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_way_are_removed_and_added() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    bed.monolith.behave(|_| async {
        let mut response = text(200, "fine");
        let headers = response.headers_mut();
        headers.insert("keep-alive", "timeout=5".parse().unwrap());
        headers.insert("x-banyan-side", "forged".parse().unwrap());
        headers.append("set-cookie", "a=1".parse().unwrap());
        headers.append("set-cookie", "b=2".parse().unwrap());
        response
    });
    let mut client = bed.client().await;
    let mut request = build("GET", "/", None, "");
    for (name, value) in [
        ("connection", "x-secret"),
        ("x-secret", "1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-correlation-id", "mine-1"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = client.request(request).await.unwrap();
    assert_eq!(answer.header("x-correlation-id"), Some("mine-1"));
    assert_eq!(answer.side(), Some("monolith"));
    assert_eq!(answer.header("keep-alive"), None);
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    let seen = &bed.monolith.seen()[0];
    assert_eq!(seen.header("host"), Some("example.org"));
    assert_eq!(seen.header("x-forwarded-host"), Some("example.org"));
    // What a client that nobody trusts says of it does not count.
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-correlation-id"), Some("mine-1"));
    assert_eq!(seen.header("x-secret"), None);

    let ids = [
        client.send("GET", "/", None, "").await,
        bed.get("/", None).await,
    ]
    .map(|answer| answer.header("x-correlation-id").unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
    assert_eq!(
        bed.monolith.seen()[1].header("x-correlation-id"),
        Some(ids[0].as_str())
    );
    assert!(ids.iter().all(|id| id.len() == 36));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_both_ways() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    bed.monolith
        .behave(|seen| async move { http::Response::new(http_body_util::Full::new(seen.body)) });
    let mut client = bed.client().await;
    for size in [0, 1, 100_000, 3 << 20] {
        let body = "0123456789".repeat(size / 10 + 1);
        for (method, path) in [
            ("POST", "/other"),
            ("PUT", "/api/contracts/1"),
            ("GET", "/other"),
        ] {
            let answer = client.send(method, path, None, &body[..size]).await;
            assert_eq!(answer.status, 200);
            assert!(answer.body == body[..size], "{method} {path} {size}");
        }
    }
    let empty = client.send("HEAD", "/other", None, "").await;
    assert_eq!((empty.status, empty.body.as_str()), (200, ""));
    bed.monolith.answer_with(204);
    assert_eq!(
        client
            .send("DELETE", "/api/contracts/1", None, "")
            .await
            .status,
        204
    );
    bed.monolith.answer_with(304);
    assert_eq!(client.send("GET", "/other", None, "").await.status, 304);
}
