//! RFC 9112, 5, and RFC 9110, 5: fields, and trailers.

use super::{FINE, REFUSED};
use crate::reply::{Reply, bad, passes};

pub const ROWS: &[Reply] = &[
    passes(
        "a large head",
        ok!("x: {y*30000}\r\ncontent-length: 4\r\n", "fine"),
        "9110 5.4",
        FINE,
        "64 KiB are taken",
    )
    .chosen(REFUSED, "up to 500 headers in 64 KiB"),
    passes(
        "300 fields",
        ok!("{x: y\r\n*300}content-length: 4\r\n", "fine"),
        "9110 5.4",
        FINE,
        "500 are taken",
    ),
    passes(
        "fields of the connection",
        ok!(
            "connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\ncontent-length: 4\r\n",
            "fine"
        ),
        "9110 7.6.1",
        "> 200\n- x-hop\n- keep-alive\n= fine",
        "not passed on",
    ),
    passes(
        "Upgrade without 101",
        ok!(
            "upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 4\r\n",
            "fine"
        ),
        "9110 7.8",
        "> 200\n- upgrade\n= fine",
        "not passed on",
    ),
    passes(
        "trailers",
        ok!(
            "transfer-encoding: chunked\r\n",
            "4\r\nfine\r\n0\r\nx-sum: 1\r\n\r\n"
        ),
        "9110 6.5",
        FINE,
        "passed on, or dropped",
    ),
    passes(
        "a length in trailers",
        ok!(
            "transfer-encoding: chunked\r\n",
            "4\r\nfine\r\n0\r\ncontent-length: 9\r\n\r\n"
        ),
        "9110 6.5.1",
        "> 200\n- content-length\n= fine",
        "it may not be one",
    ),
    passes(
        "a cookie in trailers",
        ok!(
            "transfer-encoding: chunked\r\n",
            "4\r\nfine\r\n0\r\nset-cookie: a=b\r\n\r\n"
        ),
        "9110 6.5.1",
        "> 200\n- set-cookie\n= fine",
        "it may not be one",
    ),
    passes(
        "two cookies",
        ok!(
            "set-cookie: a=b\r\nset-cookie: c=d, e\r\ncontent-length: 4\r\n",
            "fine"
        ),
        "6265bis 3",
        "> 200\n+ set-cookie: a=b\n+ set-cookie: c=d, e\n= fine",
        "never folded into one",
    ),
    passes(
        "a cookie's attributes",
        ok!(
            "Set-Cookie: __Host-a=b; Path=/; Secure; SameSite=None; Partitioned\r\ncontent-length: 4\r\n",
            "fine"
        ),
        "6265bis 4.1",
        "> 200\n+ set-cookie: __Host-a=b; Path=/; Secure; SameSite=None; Partitioned\n= fine",
        "as it came",
    ),
    passes(
        "a cookie without a name",
        ok!("set-cookie: b\r\ncontent-length: 4\r\n", "fine"),
        "6265bis 5.6",
        "> 200\n+ set-cookie: b\n= fine",
        "as it came",
    ),
    passes(
        "a cookie with a date",
        ok!(
            "set-cookie: a=b; expires=Wed, 21 Oct 2015 07:28:00 GMT\r\ncontent-length: 4\r\n",
            "fine"
        ),
        "6265bis 4.1",
        "> 200\n+ set-cookie: a=b; expires=Wed, 21 Oct 2015 07:28:00 GMT\n= fine",
        "a comma is no end",
    ),
    passes(
        "Latin-1 in a field",
        ok!("x: \u{e4}\r\ncontent-length: 4\r\n", "fine"),
        "9110 5.5",
        "> 200\n+ x: \u{e4}\n= fine",
        "opaque data",
    ),
    passes(
        "line feeds for line ends",
        "HTTP/1.1 200 OK\ncontent-length: 4\n\nfine",
        "9112 2.2",
        FINE,
        "they may be taken for line ends",
    )
    .either(),
    bad(
        "a folded field",
        ok!("x: y\r\n z\r\ncontent-length: 4\r\n", "fine"),
        "9112 5.2",
        "a gateway must discard it or unfold it",
    )
    .either(),
    bad(
        "a NUL in a value",
        ok!("x: y\0z\r\ncontent-length: 4\r\n", "fine"),
        "9110 5.5",
        "refused, or a space",
    )
    .either(),
    bad(
        "a carriage return in a value",
        ok!("x: y\rset-cookie: a=b\r\ncontent-length: 4\r\n", "fine"),
        "9110 5.5",
        "refused, or a space",
    )
    .either(),
    bad(
        "a space in a name",
        ok!("x y: z\r\ncontent-length: 4\r\n", "fine"),
        "9110 5.1",
        "a name is a token",
    ),
    bad(
        "a space before a colon",
        ok!("content-length : 4\r\n", "fine"),
        "9112 5.1",
        "a proxy must take the space away; we take nothing of it",
    )
    .stricter(REFUSED, "Answers of upstreams that have two readings"),
    bad(
        "an empty name",
        ok!(": z\r\ncontent-length: 4\r\n", "fine"),
        "9110 5.1",
        "a name is a token",
    ),
    bad(
        "no colon",
        ok!("x\r\ncontent-length: 4\r\n", "fine"),
        "9112 5",
        "not the grammar",
    ),
    bad(
        "a head too large",
        ok!("x: {y*100000}\r\n", "fine"),
        "9110 5.4",
        "bounded",
    )
    .either(),
    bad(
        "501 fields",
        ok!("{x: y\r\n*501}", "fine"),
        "9110 5.4",
        "bounded",
    )
    .either(),
];
