//! Requests that two readers could take for different ones: raw bytes in, and
//! an upstream that notes every byte it gets.

use crate::{
    raw::*,
    shapes::{Bad, bad_bodies, bad_heads, good},
};

/// Ends the connection after the requests before it were answered.
const LAST: &str = "GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// The same request to a route of an extraction.
fn extracted(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    text.replacen("/x", "/api/contracts/x", 1).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_malformed_head_reaches_an_upstream() {
    let bed = RawBed::start("{}").await;
    let all = bad_heads();
    assert!(all.len() >= 60);
    for bad in all.iter().filter(|bad| !may_go_on(bad.name)) {
        let answer = bed.send([&bad.bytes[..]]).await;
        assert_eq!(statuses(&answer), [bad.status], "{}", bad.name);
        assert!(bed.upstream.take().is_empty(), "{}", bad.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_well_framed_request_says_is_refused_alone() {
    let bed = RawBed::start("{}").await;
    for bad in bad_heads().iter().filter(|bad| may_go_on(bad.name)) {
        let answer = bed.send([&bad.bytes[..], LAST.as_bytes()]).await;
        assert_eq!(statuses(&answer), [bad.status, 200, 200], "{}", bad.name);
        let seen = bed.upstream.requests();
        let seen: Vec<_> = seen.iter().map(|one| one.first.as_str()).collect();
        assert_eq!(seen, ["GET /smuggled HTTP/1.1", "GET /last HTTP/1.1"]);
        bed.upstream.take();
    }
}

/// Whether a request is framed well and refused for what it says: the
/// connection stays, and what comes next is a request of its own.
fn may_go_on(name: &str) -> bool {
    [
        "no host",
        "two hosts",
        "a host that is a list",
        "a host with a user",
        "a target of another host",
        "a dot segment",
        "an escaped dot segment",
        "an escaped NUL",
        "a broken escape",
    ]
    .contains(&name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_head_is_refused_behind_good_requests_in_order() {
    let bed = RawBed::start("{}").await;
    for Bad {
        name,
        bytes,
        status,
    } in bad_heads()
    {
        if name == "an empty line too many before" || may_go_on(name) {
            continue;
        }
        let before = "POST /first HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
        let all = [before.as_bytes(), &bytes].concat();
        let answer = bed.send([&all[..]]).await;
        assert_eq!(statuses(&answer), [200, status], "{name}");
        let seen = bed.upstream.requests();
        assert_eq!(seen.len(), 1, "{name}");
        assert_eq!(
            (seen[0].first.as_str(), &seen[0].body[..]),
            ("POST /first HTTP/1.1", &b"hi"[..])
        );
        bed.upstream.take();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_body_never_looks_whole() {
    let bed = RawBed::start("{}").await;
    for Bad {
        name,
        bytes,
        status,
    } in bad_bodies()
    {
        for bytes in [bytes.clone(), extracted(&bytes)] {
            let answer = bed.send([&bytes[..]]).await;
            assert_eq!(statuses(&answer), [status], "{name}");
            assert_eq!(bed.upstream.requests(), [], "{name}");
            let closed = || bed.upstream.got().iter().all(|got| got.is_closed);
            crate::support::until(name, closed).await;
            bed.upstream.take();
        }
    }
    assert!(
        bed.metrics()
            .contains("banyan_malformed_total{reason=\"chunk-size\"} 24"),
        "{}",
        bed.metrics()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn splitting_hides_nothing() {
    let bed = RawBed::start("{}").await;
    let names = [
        "CL.TE",
        "TE after a bare line feed",
        "two lengths alike",
        "TE with a space in its name",
    ];
    let all = bad_heads();
    for Bad {
        bytes,
        status,
        name,
    } in all.iter().filter(|bad| names.contains(&bad.name))
    {
        for at in 1..bytes.len() {
            let (one, two) = bytes.split_at(at);
            let answer = bed.send([one, two]).await;
            assert_eq!(statuses(&answer), [*status], "{name} at {at}");
        }
        let answer = bed.send(bytes.chunks(1)).await;
        assert_eq!(statuses(&answer), [*status], "{name} by bytes");
        assert!(bed.upstream.take().is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_but_plain_requests_pass_as_they_are() {
    let bed = RawBed::start("{}").await;
    for one in good() {
        let mut bytes = one.bytes;
        bytes.extend_from_slice(LAST.as_bytes());
        let mut wanted = one.seen;
        wanted.push(("GET /last HTTP/1.1", Vec::new()));
        let splits = [
            vec![&bytes[..]],
            bytes.chunks(1).collect(),
            bytes.chunks(7).collect(),
        ];
        for parts in splits {
            let answer = bed.send(parts).await;
            assert_eq!(statuses(&answer), vec![200; wanted.len()], "{}", one.name);
            let seen = bed.upstream.requests();
            let seen: Vec<_> = seen
                .iter()
                .map(|it| (it.first.as_str(), it.body.clone()))
                .collect();
            assert_eq!(seen, wanted, "{}", one.name);
            bed.upstream.take();
        }
    }
    assert!(
        !bed.metrics().contains("banyan_malformed_total{"),
        "{}",
        bed.metrics()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_behind_a_malformed_head_does_not_hide_the_answer() {
    let bed = RawBed::start("{}").await;
    let mut bytes = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: +9\r\n\r\n".to_vec();
    bytes.extend_from_slice(&vec![b'x'; 600_000]);
    assert_eq!(statuses(&bed.send([&bytes[..]]).await), [400]);
    assert!(bed.upstream.take().is_empty());
}
