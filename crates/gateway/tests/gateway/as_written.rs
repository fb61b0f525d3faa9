//! Heads over HTTP/1 on their way through: what of them is written again as it came.

use crate::{raw::*, support::*};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_reasons_are_written_as_they_came() {
    let bed = RawBed::start("{}").await;
    bed.upstream.answer_and_close(
        "HTTP/1.1 200 Sehr gut\r\nETag: \"1\"\r\nX-ODD-case: a\r\nx-lower: b\r\n\
         Content-Length: 4\r\n\r\nfine",
    );
    let request = "GET /x HTTP/1.1\r\nHost: a\r\nSOAPAction: \"s\"\r\nx-lower: b\r\n\
                   X-ODD-case: c\r\nConnection: close\r\n\r\n";
    let answer = text(&bed.send([request.as_bytes()]).await);
    assert!(answer.starts_with("HTTP/1.1 200 Sehr gut\r\n"), "{answer}");
    for field in ["ETag: \"1\"", "X-ODD-case: a", "x-lower: b"] {
        assert!(answer.contains(&format!("\r\n{field}\r\n")), "{answer}");
    }
    let got = text(&bed.upstream.got()[0].bytes);
    for field in [
        "Host: a",
        "SOAPAction: \"s\"",
        "x-lower: b",
        "X-ODD-case: c",
    ] {
        assert!(got.contains(&format!("\r\n{field}\r\n")), "{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_says_to_its_old_proxy_is_not_for_clients() {
    let upstream = RawUpstream::start().await;
    let address = upstream.address;
    let text_of_plan = format!(
        "monolith: {{ url: \"http://{address}\", hide-headers: [X-Accel-Redirect, x-sendfile] }}\n\
         gateway: {{ listen: \"127.0.0.1:0\" }}\n"
    );
    let plan = plan::Plan::parse(&text_of_plan, |_| None).unwrap();
    let gateway = with_lease(&plan, still());
    upstream.answer_and_close(
        "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /internal\r\nX-Sendfile: /etc/x\r\nX-Other: o\r\n\
         content-length: 4\r\n\r\nfine",
    );
    let request = "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = text(&exchange(gateway.local_addr(), [request.as_bytes()]).await);
    assert!(answer.contains("X-Other: o"), "{answer}");
    let lower = answer.to_lowercase();
    assert!(
        !lower.contains("accel") && !lower.contains("sendfile"),
        "{answer}"
    );
    let kept = text_of_plan.replace("x-sendfile", "Content-Type");
    let error = plan::Plan::parse(&kept, |_| None).unwrap_err();
    assert!(error.to_string().contains("`content-type`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_http10_needs_no_host() {
    let bed = RawBed::start("{}").await;
    let answer = text(&bed.send([&b"GET /x HTTP/1.0\r\n\r\n"[..]]).await);
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    let host = format!("host: {}", bed.upstream.address);
    let got = bed.upstream.requests();
    assert!(got[0].fields.contains(&host), "{}", got[0].fields);
}

#[tokio::test(flavor = "multi_thread")]
async fn early_hints_come_before_the_answer() {
    let bed = RawBed::start("{}").await;
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-secret\r\n\
                 x-secret: 1\r\n\r\n";
    let other = "HTTP/1.1 100 Continue\r\n\r\n";
    bed.upstream
        .answer_and_close(format!("{hints}{other}{FINE}"));
    let ask =
        |version: &str| format!("GET /x HTTP/{version}\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = text(&bed.send([ask("1.1").as_bytes()]).await);
    let (first, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(first, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>");
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{rest}");
    assert_eq!(statuses(answer.as_bytes()), [103, 200]);
    // Who knows none of them gets none.
    let answer = text(&bed.send([ask("1.0").as_bytes()]).await);
    assert_eq!(statuses(answer.as_bytes()), [200], "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_headers_and_odd_targets_pass() {
    let bed = RawBed::start("{}").await;
    let many = "x: y\r\n".repeat(190);
    let request = [
        &b"GET /a<b>`\"?q=\xe9\"<> HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"[..],
        many.as_bytes(),
        b"\r\n",
    ]
    .concat();
    let answer = bed.send([&request[..]]).await;
    assert_eq!(statuses(&answer), [200]);
    let got = bed.upstream.got();
    let first = b"GET /a<b>`\"?q=\xe9\"<> HTTP/1.1\r\n";
    assert!(got[0].bytes.starts_with(first), "{}", text(&got[0].bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_one_go_are_answered_in_order() {
    let bed = RawBed::start("{}").await;
    let mut all = Vec::new();
    for at in 0..20 {
        let body = "b".repeat(at);
        all.extend(
            format!("POST /{at} HTTP/1.1\r\nhost: a\r\ncontent-length: {at}\r\n\r\n{body}").bytes(),
        );
    }
    all.extend(b"GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    for parts in [all.len(), 7, 100] {
        let answer = bed.send(all.chunks(parts)).await;
        assert_eq!(statuses(&answer), [200; 21], "in parts of {parts}");
        let asked: Vec<_> = bed.upstream.requests();
        assert_eq!(asked.len(), 21);
        for got in &asked[..20] {
            let at: usize = got.first[6..].split(' ').next().unwrap().parse().unwrap();
            assert_eq!(got.body.len(), at);
        }
        bed.upstream.take();
    }
}
