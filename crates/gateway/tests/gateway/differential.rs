//! Odd requests to nginx and haproxy: what both refuse, the gateway refuses.
//! (Of the three, the gateway is one.)

use crate::{
    peers::Peer,
    raw::*,
    shapes::{bad_bodies, bad_heads, good},
    support::DEADLINE,
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// What both others refuse and the gateway takes, and why.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// How long a proxy that does not end a connection is listened to: a verdict
/// takes it a millisecond.
const TIMEOUT: Duration = Duration::from_millis(500);

/// More shapes, of which the others decide whether they are refused.
fn open_questions() -> Vec<(&'static str, Vec<u8>)> {
    let get = |fields: &str| format!("GET /x HTTP/1.1\r\nhost: a\r\n{fields}\r\n").into_bytes();
    let line = |line: &str| format!("{line}\r\nhost: a\r\n\r\n").into_bytes();
    let host = |host: &str| format!("GET /x HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes();
    let mut all = vec![
        ("an umlaut in the target", line("GET /\u{e4} HTTP/1.1")),
        ("a quote in the target", line("GET /\"x\" HTTP/1.1")),
        ("brackets in the target", line("GET /<x> HTTP/1.1")),
        ("braces in the target", line("GET /{x} HTTP/1.1")),
        ("a bar in the target", line("GET /x|y HTTP/1.1")),
        ("a caret in the target", line("GET /x^y HTTP/1.1")),
        ("a backslash in the target", line("GET /x\\y HTTP/1.1")),
        ("a backquote in the target", line("GET /x`y HTTP/1.1")),
        ("a delete in the target", line("GET /x\x7f HTTP/1.1")),
        ("a tab in the target", line("GET /x\ty HTTP/1.1")),
        ("two slashes", line("GET //x HTTP/1.1")),
        (
            "a target of two schemes",
            line("GET http://http://a/x HTTP/1.1"),
        ),
        ("a target with a user", line("GET http://u@a/x HTTP/1.1")),
        ("a target without a host", line("GET http:///x HTTP/1.1")),
        ("a target that is only a query", line("GET ?x HTTP/1.1")),
        ("OPTIONS of everything", line("OPTIONS * HTTP/1.1")),
        ("TRACE", line("TRACE /x HTTP/1.1")),
        ("a method in lower case", line("get /x HTTP/1.1")),
        ("a method with an underscore", line("G_T /x HTTP/1.1")),
        ("a method of one letter", line("G /x HTTP/1.1")),
        ("an empty host", host("")),
        ("a host of spaces", host("  \t")),
        ("a host with an underscore", host("a_b")),
        ("a host with a bad port", host("a:x")),
        ("a host with two ports", host("a:1:2")),
        ("a host with a path", host("a/b")),
        ("a host with a question mark", host("a?b")),
        ("a host with a space", host("a b")),
        ("a host with brackets left open", host("[::1")),
        ("a host with an umlaut", host("\u{e4}")),
        ("a host with a quote", host("a\"b")),
        ("a host of dots", host("..")),
        (
            "an odd connection",
            get("connection: host, content-length\r\n"),
        ),
        ("an odd expectation", get("expect: x\r\n")),
        (
            "an upgrade to HTTP/2",
            get(
                "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
            ),
        ),
    ];
    for one in good() {
        all.push((one.name, one.bytes));
    }
    all
}

/// Whether the first answer refuses, or there is none.
async fn refuses(address: SocketAddr, bytes: &[u8]) -> bool {
    let end = b"GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let parts = [bytes, end];
    let got = tokio::time::timeout(DEADLINE, first_answer(address, parts)).await;
    let got = got.expect("neither answer nor end");
    !matches!(statuses(&got).first(), Some(200))
}

/// Reads until an answer is whole, the end, or nothing more comes.
async fn first_answer(address: SocketAddr, parts: [&[u8]; 2]) -> Vec<u8> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    for part in parts {
        if stream.write_all(part).await.is_err() {
            break;
        }
    }
    let (mut answer, mut part) = (Vec::new(), vec![0; 16 << 10]);
    while statuses(&answer).is_empty() {
        match tokio::time::timeout(TIMEOUT, stream.read(&mut part)).await {
            Ok(Ok(length)) if length > 0 => answer.extend_from_slice(&part[..length]),
            _ => break,
        }
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nginx_and_haproxy_refuse_is_refused() {
    let bed = RawBed::start("{}").await;
    let upstream = bed.upstream.address;
    let peers = (
        Peer::start("nginx", upstream).await,
        Peer::start("haproxy", upstream).await,
    );
    let (Some(nginx), Some(haproxy)) = peers else {
        return;
    };
    let mut shapes = open_questions();
    shapes.extend(
        bad_heads()
            .into_iter()
            .chain(bad_bodies())
            .map(|bad| (bad.name, bad.bytes)),
    );
    let exceptions: BTreeMap<_, _> = EXCEPTIONS.iter().copied().collect();
    let (mut too_lenient, mut refused) = (Vec::new(), [0; 3]);
    for (name, bytes) in &shapes {
        let gateway = refuses(bed.gateway.local_addr(), bytes).await;
        let others = [
            refuses(nginx.address, bytes).await,
            refuses(haproxy.address, bytes).await,
        ];
        for (count, it) in refused.iter_mut().zip([gateway, others[0], others[1]]) {
            *count += usize::from(it);
        }
        println!(
            "{name:45} gateway {gateway:5} {} {:5} {} {:5}",
            nginx.name, others[0], haproxy.name, others[1]
        );
        if !gateway && others == [true; 2] && !exceptions.contains_key(name) {
            too_lenient.push(*name);
        }
    }
    println!(
        "refused of {}: gateway, nginx, haproxy: {refused:?}",
        shapes.len()
    );
    // Were the others not in front of the upstream, they would refuse all.
    assert!(
        refused.iter().all(|count| *count < shapes.len() - 30),
        "{refused:?}"
    );
    assert_eq!(too_lenient, [""; 0]);
}
