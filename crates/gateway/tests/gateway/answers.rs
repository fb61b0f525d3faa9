//! Answers of upstreams that two readers could take for different ones: the
//! client gets one that is framed anew, or none.

use crate::{raw::*, support::*};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const REQUEST: &str = "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const EVIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";

async fn ask(bed: &RawBed, answer: &[u8]) -> Vec<u8> {
    bed.upstream.answer_and_close(answer);
    let got = bed.send([REQUEST.as_bytes()]).await;
    let closed = || bed.upstream.got().iter().all(|got| got.is_closed);
    until("the upstream connection is closed", closed).await;
    bed.upstream.take();
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_head_of_an_answer_is_502() {
    let bed = RawBed::start("{}").await;
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(501));
    for answer in [
        "",
        "garbage\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: y\0z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: y\rz\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx y: z\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length : 4\r\n\r\nfine",
        "HTTP/1.1 200 OK\r\n: z\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nfine",
        "HTTP/1.1 200 OK\r\ncontent-length: 4, 5\r\n\r\nfine",
        "HTTP/1.1 200 OK\r\ncontent-length: +4\r\n\r\nfine",
        "HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\nfine",
        "HTTP/1.1 200 OK\r\ncontent-length: 4x\r\n\r\nfine",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nfine",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nfine",
        "HTTP/1.0 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        &long,
        &many,
    ] {
        let got = ask(&bed, answer.as_bytes()).await;
        assert_eq!(
            statuses(&got),
            [502],
            "{:?}",
            &answer[..answer.len().min(80)]
        );
    }
}

/// The client's own reader must find exactly one answer, and this in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_what_came_instead_of_an_answer() {
    let bed = RawBed::start("{}").await;
    for (came, reason, detail) in [
        (&b""[..], "lost", "without an answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Le",
            "lost",
            "in the middle of its answer's head",
        ),
        (
            b"<html>0.9 answer</html>",
            "bad-answer",
            "is not HTTP/1.0 or 1.1",
        ),
        // The alert of a server that waits for a handshake.
        (b"\x15\x03\x01\x00\x02\x02\x16", "bad-answer", "speaks TLS"),
    ] {
        let answer = ask(&bed, came).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.starts_with("HTTP/1.1 502 "), "{text}");
        assert!(text.contains(&format!("\"reason\":\"{reason}\"")), "{text}");
        assert!(text.contains(detail), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_what_is_wrong_with_its_request() {
    let bed = RawBed::start("{}").await;
    for (request, detail) in [
        (
            "GET https://a/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "this listener speaks no TLS",
        ),
        (
            "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "the request's body is malformed: a chunk's size",
        ),
        (
            "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
             0\r\nhost: b\r\n\r\n",
            "the request's body is malformed: a trailer says",
        ),
    ] {
        let answer = bed.send([request.as_bytes()]).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
        assert!(text.contains(detail), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_is_the_last_one_of_its_connection_and_says_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut part = [0; 4096];
                let _ = stream.read(&mut part).await;
                let early = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\n\r\nearly";
                stream.write_all(early).await.unwrap();
                while stream.read(&mut part).await.is_ok_and(|length| length > 0) {}
            });
        }
    });
    let gateway = between(Knobs::default(), address, address);
    let part = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 30\r\n\r\nten bytes!";
    let mut client = Raw::connect(gateway.local_addr()).await;
    client.write(part).await;
    client.until("early").await;
    assert!(
        client.read.contains("connection: close\r\n"),
        "{}",
        client.read
    );
    assert!(client.read.starts_with("HTTP/1.1 403 "), "{}", client.read);
    // All of it there, another one may follow.
    let mut client = Raw::connect(gateway.local_addr()).await;
    let whole = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    client.write(whole).await;
    client.until("early").await;
    assert!(
        !client.read.contains("connection: close"),
        "{}",
        client.read
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_says_too_much_is_framed_anew() {
    let bed = RawBed::start("{}").await;
    for (answer, body) in [
        (
            format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nfine{EVIL}"),
            "fine",
        ),
        (
            format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine{EVIL}"),
            "fine",
        ),
        (
            format!("HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\n{EVIL}"),
            "",
        ),
        (format!("HTTP/1.1 304 Not Modified\r\n\r\n{EVIL}"), ""),
        (
            format!("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{FINE}"),
            "fine",
        ),
    ] {
        let got = ask(&bed, answer.as_bytes()).await;
        let (all, rest) = messages(&got);
        assert_eq!(rest, b"", "{answer}");
        // Early hints are passed on.
        let hints = usize::from(all[0].first.contains(" 103 "));
        assert_eq!(all.len(), 1 + hints, "{answer}");
        let last = &all[hints];
        let both =
            last.fields.contains("content-length") && last.fields.contains("transfer-encoding");
        assert!(!both, "{answer}");
        if last.first.contains(" 200 ") {
            assert_eq!(last.body, body.as_bytes(), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_never_looks_whole() {
    let bed = RawBed::start("{}").await;
    for body in [
        "content-length: 9\r\n\r\nfine",
        "transfer-encoding: chunked\r\n\r\n4\r\nfine\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\nfine\r\nx\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\nfine!\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n+4\r\nfine\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n10000000000000004\r\nfine\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n4\rfine\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n 4\r\nfine\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n4 \0\r\nfine\r\n0\r\n\r\n",
    ] {
        let got = ask(&bed, format!("HTTP/1.1 200 OK\r\n{body}").as_bytes()).await;
        let (whole, _) = messages(&got);
        assert!(
            whole.is_empty() || whole[0].first.contains(" 502 "),
            "{body:?} gave {}",
            String::from_utf8_lossy(&got)
        );
    }
}

/// What nginx passes, and what has one reading.
#[tokio::test(flavor = "multi_thread")]
async fn careless_answers_pass() {
    let bed = RawBed::start("{}").await;
    let chunked = "transfer-encoding: chunked\r\n";
    let many = format!("{}content-length: 4\r\n\r\nfine", "x: y\r\n".repeat(300));
    for answer in [
        format!("HTTP/1.1 200 OK\r\n{chunked}\r\n4 \r\nfine\r\n0  \r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{chunked}\r\n4\t;any \"thing\r\nfine\r\n0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{chunked}\r\n4\nfine\n0\n\n"),
        "HTTP/1.1 200 OK\ncontent-length: 4\n\nfine".to_owned(),
        format!("HTTP/1.0 200 OK\r\n{chunked}\r\n4\r\nfine\r\n0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{many}"),
    ] {
        let got = ask(&bed, answer.as_bytes()).await;
        let (all, rest) = messages(&got);
        assert_eq!((all.len(), rest), (1, &b""[..]), "{answer:.80}");
        assert!(all[0].first.contains(" 200 "), "{answer:.80}");
        assert_eq!(all[0].body, b"fine", "{answer:.80}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_bytes_left_over_is_not_used_again() {
    let bed = RawBed::start("{}").await;
    // The upstream keeps its connection, and has sent an answer too many.
    bed.upstream.answer(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine{EVIL}"
    ));
    for _ in 0..20 {
        let got = bed.send([REQUEST.as_bytes()]).await;
        let (all, rest) = messages(&got);
        assert_eq!((all.len(), rest), (1, &b""[..]));
        assert_eq!(all[0].body, b"fine");
    }
}
