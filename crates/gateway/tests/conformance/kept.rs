//! RFC 9111, 3 and 4: whose answers are kept for whom (`degraded`). One client asks
//! while the upstream works, another while it does not: what it must not get is the
//! first one's answer.

use crate::{
    bed::before,
    client::{Pieces, exchange},
    message::answers,
    table::first_body,
    text::{Step, bytes},
    upstream::{DEADLINE, Upstream},
};

#[derive(Debug, Clone, Copy)]
struct Pair {
    name: &'static str,
    /// Lines of the answer to the first one.
    says: &'static str,
    first: &'static str,
    second: &'static str,
    gets: Gets,
    rfc: &'static str,
    why: &'static str,
}

/// Whether the second client gets what the first one got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    Kept,
    NotKept,
}

use Gets::{Kept, NotKept};

const GET: &str = "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// A GET with these lines besides.
macro_rules! with {
    ($fields:literal) => {
        concat!(
            "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n",
            $fields,
            "\r\n"
        )
    };
}

/// A GET of this host.
macro_rules! host {
    ($host:literal) => {
        concat!(
            "GET /x HTTP/1.1\r\nhost: ",
            $host,
            "\r\nconnection: close\r\n\r\n"
        )
    };
}

/// A request with this first line.
macro_rules! first {
    ($line:literal) => {
        concat!($line, "\r\nhost: a\r\nconnection: close\r\n\r\n")
    };
}

/// The same answer to another request.
const fn pair(
    name: &'static str,
    first: &'static str,
    second: &'static str,
    gets: Gets,
    rfc: &'static str,
    why: &'static str,
) -> Pair {
    let says = "";
    Pair {
        name,
        says,
        first,
        second,
        gets,
        rfc,
        why,
    }
}

/// Another answer to the same request.
const fn answer(name: &'static str, says: &'static str, rfc: &'static str) -> Pair {
    let why = "it says that it is not for everybody, or not for later";
    Pair {
        name,
        says,
        first: GET,
        second: GET,
        gets: NotKept,
        rfc,
        why,
    }
}

const KEY: &str = "the URI and the method are the key";
const UNKEYED: &str = "made of what the first one said, it would be served to all";

const PAIRS: &[Pair] = &[
    pair("the same", GET, GET, Kept, "9111 4", KEY),
    pair("another host", GET, host!("b"), NotKept, "9111 2", KEY),
    pair("another port", GET, host!("a:8080"), NotKept, "9111 2", KEY),
    pair(
        "a host with a dot behind",
        GET,
        host!("a."),
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "another host, as an address",
        GET,
        "GET http://b/x HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n",
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "a query",
        GET,
        first!("GET /x?y HTTP/1.1"),
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "an empty query",
        GET,
        first!("GET /x? HTTP/1.1"),
        NotKept,
        "3986 3.4",
        "not the same as none",
    ),
    pair(
        "another query",
        first!("GET /x?y=1 HTTP/1.1"),
        first!("GET /x?y=2 HTTP/1.1"),
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "a query in another order",
        first!("GET /x?y&z HTTP/1.1"),
        first!("GET /x?z&y HTTP/1.1"),
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "a slash behind",
        GET,
        first!("GET /x/ HTTP/1.1"),
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "two slashes",
        GET,
        first!("GET //x HTTP/1.1"),
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "capitals",
        GET,
        first!("GET /X HTTP/1.1"),
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "parameters",
        first!("GET /x;y HTTP/1.1"),
        GET,
        NotKept,
        "9111 2",
        "servers read them as one path or two",
    ),
    pair(
        "an escaped slash",
        first!("GET /x%2fy HTTP/1.1"),
        first!("GET /x/y HTTP/1.1"),
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "an escaped query",
        first!("GET /x%3fy HTTP/1.1"),
        first!("GET /x?y HTTP/1.1"),
        NotKept,
        "9111 2",
        KEY,
    ),
    pair(
        "POST, then GET",
        first!("POST /x HTTP/1.1"),
        GET,
        NotKept,
        "9111 4",
        KEY,
    ),
    pair(
        "GET, then POST",
        GET,
        first!("POST /x HTTP/1.1"),
        NotKept,
        "9111 4",
        "a write is not answered by what was kept",
    ),
    pair(
        "HEAD, then GET",
        first!("HEAD /x HTTP/1.1"),
        GET,
        NotKept,
        "9111 4.3.5",
        "there is no body",
    ),
    pair(
        "OPTIONS, then GET",
        first!("OPTIONS /x HTTP/1.1"),
        GET,
        NotKept,
        "9111 4",
        KEY,
    ),
    pair(
        "GET with a body",
        "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        GET,
        NotKept,
        "9110 9.3.1",
        UNKEYED,
    ),
    pair(
        "a body in chunks",
        "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        GET,
        NotKept,
        "9110 9.3.1",
        UNKEYED,
    ),
    pair(
        "a password",
        with!("authorization: Basic eDp5\r\n"),
        GET,
        NotKept,
        "9111 3.5",
        "it was for who knows it",
    ),
    pair(
        "a cookie",
        with!("cookie: a=b\r\n"),
        GET,
        NotKept,
        "6265bis 3",
        "it was for who has it",
    ),
    pair(
        "another cookie",
        with!("cookie: a=b\r\n"),
        with!("cookie: a=c\r\n"),
        NotKept,
        "6265bis 3",
        "it was for who has it",
    ),
    pair(
        "a key",
        with!("x-api-key: one\r\n"),
        GET,
        NotKept,
        "9111 3.5",
        "it was for who has it",
    ),
    pair(
        "another Accept",
        with!("accept: text/html\r\n"),
        with!("accept: application/json\r\n"),
        NotKept,
        "9110 12.5.5",
        "answers differ by it, whatever Vary says",
    ),
    pair(
        "another Accept-Encoding",
        with!("accept-encoding: gzip\r\n"),
        with!("accept-encoding: br\r\n"),
        NotKept,
        "9110 12.5.5",
        "answers differ by it, whatever Vary says",
    ),
    pair(
        "a forged host",
        with!("x-forwarded-host: evil\r\n"),
        GET,
        Kept,
        "9111 4",
        "the upstream has not seen it",
    ),
    pair(
        "a forged path",
        with!("x-original-url: /evil\r\n"),
        GET,
        Kept,
        "9111 4",
        "the upstream has not seen it",
    ),
    pair(
        "a forged host by another name",
        with!("x-host: evil\r\nforwarded: host=evil\r\n"),
        GET,
        Kept,
        "9111 4",
        "the upstream has not seen it",
    ),
    answer("a cookie set", "set-cookie: a=b\r\n", "9111 7.3"),
    answer("private", "cache-control: private\r\n", "9111 5.2.2.7"),
    answer(
        "private, among others",
        "cache-control: max-age=60, Private\r\n",
        "9111 5.2.2.7",
    ),
    answer("no-store", "cache-control: no-store\r\n", "9111 5.2.2.5"),
    answer(
        "no-store in a second field",
        "cache-control: public\r\ncache-control: no-store\r\n",
        "9111 5.2.2.5",
    ),
    answer("Vary of everything", "vary: *\r\n", "9111 4.1"),
    answer("Vary of a cookie", "vary: cookie\r\n", "9111 4.1"),
    answer(
        "Vary of a language",
        "vary: accept-language\r\n",
        "9111 4.1",
    ),
];

/// Sends a request of its own connection; the answer's status and body.
fn ask(address: std::net::SocketAddr, request: &str) -> (u16, Vec<u8>) {
    let steps = [Step::Send(bytes(request))];
    let got = exchange(address, &steps, Pieces::Whole, DEADLINE);
    let (got, _) = answers(&got, first_body(request));
    let answer = got.into_iter().next().expect("no answer");
    (answer.status(), answer.body)
}

#[test]
fn no_client_gets_an_answer_that_was_kept_for_another_request() {
    let mut differences = Vec::new();
    for pair in PAIRS {
        assert!(pair.rfc.contains(' ') && !pair.why.is_empty());
        // One that has kept nothing yet.
        let upstream = Upstream::start();
        let gateway = before(upstream.address, "degraded: { cache: 1h, bytes: 1MiB },");
        let says = pair.says;
        let first =
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{says}content-length: 4\r\n\r\nkept");
        upstream.answer(first.as_bytes());
        let (status, _) = ask(gateway.local_addr(), pair.first);
        assert_eq!(status, 200, "{}", pair.name);
        upstream.answer(
            b"HTTP/1.1 504 Gateway Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        );
        let (status, body) = ask(gateway.local_addr(), pair.second);
        let gets = match (status, &body[..]) {
            (200, b"kept") => Kept,
            (500.., _) => NotKept,
            other => panic!("{}: {other:?}", pair.name),
        };
        if gets != pair.gets {
            differences.push(format!("{}: {gets:?}, not {:?}", pair.name, pair.gets));
        }
    }
    println!("{} pairs", PAIRS.len());
    assert!(differences.is_empty(), "{differences:#?}");
}
