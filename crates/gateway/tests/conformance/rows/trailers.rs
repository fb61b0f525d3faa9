//! RFC 9110, 6.5, and RFC 9112, 7.1.2: trailers.

use super::REFUSED;
use crate::row::{Answer, Row, passed, refused};

const DROPPED: &str = "they may be dropped: servers have run them as the next request";
const NEVER: &str = "it may not be a trailer; who merges it into the head is misled";
const ROLES: &str = "trailers that frame, route, authenticate, or say where a request came from";

/// A body in chunks with these trailers.
macro_rules! trailers {
    ($lines:literal) => {
        concat!(
            "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            $lines,
            "\r\n"
        )
    };
}

const fn never(name: &'static str, sent: &'static str) -> Row {
    refused(name, sent, "9110 6.5.1", NEVER)
        .chosen(REFUSED, ROLES)
        .either()
        .in_part()
}

const fn bad(name: &'static str, sent: &'static str, why: &'static str) -> Row {
    refused(name, sent, "9112 7.1.2", why).in_part()
}

pub const ROWS: &[Row] = &[
    passed(
        "one",
        trailers!("x-sum: 1\r\n"),
        "9112 7.1.2",
        "> POST /x HTTP/1.1\n= hello\n- x-sum",
        DROPPED,
    ),
    passed(
        "one that is announced",
        post!(
            "trailer: x-sum\r\ntransfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"
        ),
        "9110 6.6.2",
        "> POST /x HTTP/1.1\n= hello\n- x-sum\n- trailer",
        DROPPED,
    ),
    passed(
        "one of the name of a field",
        post!(
            "x-role: user\r\ntransfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\nx-role: admin\r\n\r\n"
        ),
        "9110 6.5.1",
        "> POST /x HTTP/1.1\n+ x-role: user\n= hello",
        "merged into the head it would be another one (lighttpd's CVE-2025-12642)",
    ),
    passed(
        "a method for a name",
        trailers!("GET: /internal HTTP/1.1\r\n"),
        "9112 7.1.2",
        "> POST /x HTTP/1.1\n= hello\n- get",
        DROPPED,
    ),
    passed(
        "and what comes next",
        concat!(
            "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n",
            "GET /next HTTP/1.1\r\nhost: a\r\n\r\n"
        ),
        "9112 7.1.2",
        "> POST /x HTTP/1.1\n- x-sum\n> GET /next HTTP/1.1",
        "a request of its own",
    ),
    passed(
        "an empty value",
        trailers!("x-sum:\r\n"),
        "9112 7.1.2",
        "> POST /x HTTP/1.1\n= hello\n- x-sum",
        DROPPED,
    ),
    passed(
        "32 of them",
        trailers!("{x: y\r\n*32}"),
        "9112 7.1.2",
        "> POST /x HTTP/1.1\n= hello\n- x",
        DROPPED,
    ),
    passed(
        "TE: trailers is ours",
        get!("te: trailers\r\nconnection: te\r\n"),
        "9110 10.1.4",
        "> GET /x HTTP/1.1\n+ te: trailers\n+ connection: te",
        "what an upstream may send is between it and us",
    ),
    never("Content-Length", trailers!("content-length: 9\r\n")),
    never(
        "Transfer-Encoding",
        trailers!("transfer-encoding: chunked\r\n"),
    ),
    never(
        "Transfer-Encoding by an underscore",
        trailers!("transfer_encoding: chunked\r\n"),
    ),
    never("Host", trailers!("host: b\r\n")),
    never("Connection", trailers!("connection: close\r\n")),
    never("Authorization", trailers!("authorization: Basic eDp5\r\n")),
    never("Cookie", trailers!("cookie: a=b\r\n")),
    never("Trailer", trailers!("trailer: x\r\n")),
    never("Content-Encoding", trailers!("content-encoding: gzip\r\n")),
    never("Content-Type", trailers!("content-type: text/html\r\n")),
    never("X-Forwarded-For", trailers!("x-forwarded-for: 1.2.3.4\r\n")),
    never(
        "X-Forwarded-Host by underscores",
        trailers!("x_forwarded_host: evil\r\n"),
    ),
    never("X-Real-IP", trailers!("X-Real-IP: 1.2.3.4\r\n")),
    never(
        "X-HTTP-Method-Override",
        trailers!("x-http-method-override: DELETE\r\n"),
    ),
    never("Max-Forwards", trailers!("max-forwards: 0\r\n")),
    never("Expect", trailers!("expect: 100-continue\r\n")),
    bad("33 of them", trailers!("{x: y\r\n*33}"), "bounded")
        .chosen(REFUSED, "more than 32, or 8 KiB")
        .either(),
    bad("a large one", trailers!("x: {y*9000}\r\n"), "bounded")
        .chosen(REFUSED, "more than 32, or 8 KiB")
        .either(),
    bad(
        "no colon",
        trailers!("GET / HTTP/1.1\r\n"),
        "not the grammar",
    ),
    bad("an empty name", trailers!(": y\r\n"), "not the grammar"),
    bad(
        "a space before the colon",
        trailers!("x : y\r\n"),
        "not the grammar",
    ),
    bad(
        "a space before the name",
        trailers!(" x: y\r\n"),
        "a fold of nothing",
    ),
    bad(
        "folded",
        trailers!("x: y\r\n z\r\n"),
        "refused, or unfolded: readers differ in which",
    )
    .either(),
    bad("a NUL", trailers!("x: \0\r\n"), "refused, or a space").either(),
    bad(
        "a bare line feed",
        trailers!("x: y\n"),
        "who ends the line there has another trailer",
    )
    .either(),
    bad(
        "a bare carriage return",
        trailers!("x: y\rz\r\n"),
        "who ends the line there has another trailer",
    )
    .either(),
    bad(
        "the end of the connection",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: {end}",
        "an incomplete message",
    )
    .answered(Answer::Breaks),
];
