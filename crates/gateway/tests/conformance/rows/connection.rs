//! RFC 9110, 7.6, and RFC 9112, 9: what is for one connection.

use super::{GET, OTHERWISE};
use crate::row::{Answer, Row, passed};

const HOP: &str = "for this connection only: not passed on";
const KEEPS: &str = "what is for the receiver of a message cannot be named away";

pub const ROWS: &[Row] = &[
    passed(
        "a field that Connection names",
        get!("connection: x-hop\r\nx-hop: 1\r\n"),
        "9110 7.6.1",
        "> GET /x HTTP/1.1\n- x-hop\n- connection",
        HOP,
    ),
    passed(
        "in other letters, and a list",
        get!("Connection: keep-alive ,, X-HOP,\tx-other\r\nx-hop: 1\r\nX-Other: 2\r\n"),
        "9110 7.6.1",
        "> GET /x HTTP/1.1\n- x-hop\n- x-other\n- connection",
        HOP,
    ),
    passed(
        "two Connections",
        get!("connection: x-hop\r\nconnection: x-other\r\nx-hop: 1\r\nx-other: 2\r\n"),
        "9110 7.6.1",
        "> GET /x HTTP/1.1\n- x-hop\n- x-other",
        HOP,
    ),
    passed(
        "Keep-Alive and Proxy-Connection",
        get!("keep-alive: timeout=5\r\nproxy-connection: keep-alive\r\n"),
        "9110 7.6.1",
        "> GET /x HTTP/1.1\n- keep-alive\n- proxy-connection",
        HOP,
    ),
    passed(
        "TE",
        get!("connection: te\r\nte: trailers, deflate\r\n"),
        "9110 10.1.4",
        "> GET /x HTTP/1.1\n+ te: trailers\n+ connection: te",
        "what we take from the upstream, which is what the client takes",
    ),
    passed(
        "TE that Connection does not name",
        get!("te: trailers\r\n"),
        "9110 10.1.4",
        "> GET /x HTTP/1.1\n+ te: trailers\n+ connection: te",
        HOP,
    ),
    passed(
        "TE without trailers",
        get!("connection: te\r\nte: deflate, gzip;q=0.5\r\n"),
        "9110 10.1.4",
        "> GET /x HTTP/1.1\n- te\n- connection",
        HOP,
    ),
    passed(
        "no Via",
        get!(""),
        "9110 7.6.3",
        "> GET /x HTTP/1.1\n- via",
        "servers do without compression for who sends it, and it tells what stands here",
    )
    .otherwise(OTHERWISE, "`Via`"),
    passed(
        "Via of a proxy in front",
        get!("via: 1.1 edge\r\n"),
        "9110 7.6.3",
        "> GET /x HTTP/1.1\n+ via: 1.1 edge",
        "it stays; ours is not added",
    )
    .otherwise(OTHERWISE, "`Via`"),
    passed(
        "Proxy-Authorization",
        get!("proxy-authorization: Basic eDp5\r\n"),
        "9110 11.7.2",
        "> GET /x HTTP/1.1\n- proxy-authorization",
        "for the first proxy that asks for it; the origin need not learn it",
    )
    .either(),
    passed(
        "Host named away",
        get!("connection: host\r\n"),
        "9110 7.6.1",
        "> GET /x HTTP/1.1\n+ host: a",
        KEEPS,
    ),
    passed(
        "Content-Length named away",
        post!("connection: content-length\r\ncontent-length: 5\r\n", "hello"),
        "9110 7.6.1",
        "> POST /x HTTP/1.1\n+ content-length: 5\n= hello",
        KEEPS,
    ),
    passed(
        "Transfer-Encoding named away",
        post!("connection: transfer-encoding\r\ntransfer-encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        "9110 7.6.1",
        "> POST /x HTTP/1.1\n= hello",
        KEEPS,
    ),
    passed(
        "X-Forwarded-For named away",
        get!("connection: close, x-forwarded-for, x-real-ip, x-forwarded-proto\r\n"),
        "9110 7.6.1",
        "> GET /x HTTP/1.1\n+ x-forwarded-for: 127.0.0.1\n+ x-real-ip: 127.0.0.1\n+ x-forwarded-proto: http",
        "what the gateway says of the client stays (CVE-2022-31813)",
    )
    .answered(Answer::PassesLast),
    passed(
        "close",
        get!("connection: close\r\n"),
        "9112 9.6",
        "> GET /x HTTP/1.1\n- connection",
        "no request after it counts",
    )
    .answered(Answer::PassesLast),
    passed(
        "close, in other letters and a list",
        get!("connection: x, CLOSE\r\n"),
        "9112 9.6",
        GET,
        "options have no case",
    )
    .answered(Answer::PassesLast),
    passed("keep-alive", get!("connection: keep-alive\r\n"), "9112 9.3", GET, "as without it"),
    passed(
        "close and keep-alive",
        get!("connection: keep-alive, close\r\n"),
        "9112 9.3",
        GET,
        "close counts",
    )
    .answered(Answer::PassesLast),
    passed("an option that is none", get!("connection: \"x\", @\r\n"), "9110 7.6.1", GET, "what is not known is ignored"),
    passed("an empty Connection", get!("connection:\r\n"), "9110 5.6.1", GET, "a list may be empty"),
    passed("close in a field of another name", get!("x-connection: close\r\n"), "9110 7.6.1", GET, "not ours to read"),
    passed(
        "a fresh answer asked for",
        get!("cache-control: no-cache\r\npragma: no-cache\r\n"),
        "9111 5.2",
        "> GET /x HTTP/1.1\n+ cache-control: no-cache\n+ pragma: no-cache",
        "for caches behind",
    ),
];
