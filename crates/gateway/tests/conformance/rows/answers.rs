//! RFC 9112, 4 to 6, and RFC 9110, 15: what an upstream answers.

use super::REFUSED;
use crate::reply::{Reply, bad, broken, passes};

const CARELESS: &str = "What is merely careless passes";
const STATUS: &str = "a status is three digits";
const LENGTH: &str = "readers differ in where it ends";
const HIDDEN: &str = "who recognises it and who does not read different answers";
const NEXT: &str = "what is left over must not be the next client's answer";
const FINE: &str = "> 200\n= fine";
const EMPTY: &str = "> 200";

/// An answer with these lines of fields and this body.
macro_rules! ok {
    ($fields:literal, $body:literal) => {
        concat!("HTTP/1.1 200 OK\r\n", $fields, "\r\n", $body)
    };
}

/// Another one behind it, for the next client.
macro_rules! evil {
    () => {
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    };
}

pub const REPLIES: &[Reply] = &[
    passes(
        "a length",
        ok!("content-length: 4\r\n", "fine"),
        "9112 6.2",
        FINE,
        "a body",
    ),
    passes(
        "a length of zero",
        ok!("content-length: 0\r\n", ""),
        "9112 6.2",
        EMPTY,
        "no body",
    ),
    passes(
        "chunks",
        ok!("transfer-encoding: chunked\r\n", "4\r\nfine\r\n0\r\n\r\n"),
        "9112 6.1",
        FINE,
        "a body",
    ),
    passes(
        "until the end",
        ok!("", "fine"),
        "9112 6.3",
        FINE,
        "framed anew, so that its end is known",
    ),
    passes(
        "HTTP/1.0",
        "HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 9.3",
        FINE,
        "passed on as what we speak",
    ),
    passes(
        "HTTP/1.0 until the end",
        "HTTP/1.0 200 OK\r\n\r\nfine",
        "9112 6.3",
        FINE,
        "framed anew",
    ),
    passes(
        "no reason",
        "HTTP/1.1 200 \r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        FINE,
        "it may be empty",
    ),
    passes(
        "no space behind the status",
        "HTTP/1.1 200\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        FINE,
        "IIS and others leave it out",
    )
    .either(),
    passes(
        "a reason with odd bytes",
        "HTTP/1.1 200 \u{e4}\t(x)\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        FINE,
        "to be ignored",
    ),
    passes(
        "a status that nobody knows",
        "HTTP/1.1 299 X\r\ncontent-length: 4\r\n\r\nfine",
        "9110 15",
        "> 299\n= fine",
        "as 200 is treated",
    ),
    passes(
        "a status of 599",
        "HTTP/1.1 599 X\r\ncontent-length: 0\r\n\r\n",
        "9110 15",
        "> 599",
        "three digits",
    ),
    passes(
        "a redirect",
        "HTTP/1.1 302 Found\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n",
        "9110 15.4",
        "> 302\n+ location: /y",
        "as it came",
    ),
    passes(
        "103, then 200",
        concat!(
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n",
            ok!("content-length: 4\r\n", "fine")
        ),
        "9110 15.2",
        FINE,
        "a proxy ought to pass it on; a client without a use for it is not told",
    )
    .either(),
    passes(
        "100 that nobody asked for",
        concat!(
            "HTTP/1.1 100 Continue\r\n\r\n",
            ok!("content-length: 4\r\n", "fine")
        ),
        "9110 15.2.1",
        FINE,
        "may be dropped",
    ),
    passes(
        "many 100s",
        concat!(
            "{HTTP/1.1 100 Continue\r\n\r\n*5}",
            ok!("content-length: 4\r\n", "fine")
        ),
        "9110 15.2",
        FINE,
        "any number of them",
    ),
    passes(
        "204 with a length",
        concat!(
            "HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\n",
            evil!()
        ),
        "9112 6.3",
        "> 204\n- content-length",
        NEXT,
    ),
    passes(
        "204 with chunks",
        concat!(
            "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
            "4\r\nevil\r\n0\r\n\r\n"
        ),
        "9112 6.3",
        "> 204\n- transfer-encoding",
        NEXT,
    ),
    passes(
        "205 with a length of zero",
        "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n",
        "9110 15.3.6",
        "> 205",
        "no body",
    ),
    passes(
        "304 with a length",
        concat!(
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\netag: \"x\"\r\n\r\n",
            evil!()
        ),
        "9112 6.3",
        "> 304\n+ etag: \"x\"",
        NEXT,
    ),
    passes(
        "304 with a body",
        "HTTP/1.1 304 Not Modified\r\n\r\nevil",
        "9112 6.3",
        "> 304",
        NEXT,
    ),
    passes(
        "another answer behind",
        concat!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine", evil!()),
        "9112 9.2",
        FINE,
        NEXT,
    ),
    passes(
        "two lengths alike",
        ok!("content-length: 4\r\ncontent-length: 4\r\n", "fine"),
        "9110 8.6",
        FINE,
        "one of them is passed on",
    )
    .either(),
    bad(
        "a list of lengths alike",
        ok!("content-length: 4, 4\r\n", "fine"),
        "9110 8.6",
        "refused, or taken for one",
    )
    .either(),
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
        "extensions of chunks",
        ok!(
            "transfer-encoding: chunked\r\n",
            "4;a=b\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 7.1.1",
        FINE,
        "not passed on",
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
    passes(
        "chunks that line feeds end",
        ok!("transfer-encoding: chunked\r\n", "4\nfine\n0\n\n"),
        "9112 7.1",
        FINE,
        "not the grammar, but one reading",
    )
    .lenient(REFUSED, CARELESS),
    passes(
        "a size with spaces",
        ok!(
            "transfer-encoding: chunked\r\n",
            "4  \r\nfine\r\n0 \r\n\r\n"
        ),
        "9112 7.1",
        FINE,
        "not the grammar, but one reading",
    )
    .lenient(REFUSED, CARELESS),
    passes(
        "an extension that is none",
        ok!(
            "transfer-encoding: chunked\r\n",
            "4;\"\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 7.1.1",
        FINE,
        "ignored; we frame anew",
    )
    .lenient(REFUSED, CARELESS),
    passes(
        "chunks in HTTP/1.0",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        "9112 6.1",
        FINE,
        "faulty, so closed after it",
    ),
    bad("nothing", "", "9110 15.6.3", "no answer"),
    bad("no HTTP", "garbage\r\n\r\n", "9112 4", "not the grammar"),
    bad(
        "SSH",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "9112 4",
        "not the grammar",
    ),
    bad(
        "HTTP/0.9",
        "fine",
        "9112 4",
        "a body without a head may be anything",
    ),
    bad(
        "ICY",
        "ICY 200 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        "not the grammar",
    ),
    bad(
        "HTTP/2.0",
        "HTTP/2.0 200 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 2.3",
        "not in this form",
    ),
    bad(
        "HTTP/1.1 in small letters",
        "http/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 2.3",
        "letters count",
    ),
    bad(
        "a space before",
        " HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        "not the grammar",
    ),
    bad(
        "four digits",
        "HTTP/1.1 2000 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        STATUS,
    ),
    bad(
        "two digits",
        "HTTP/1.1 20 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        STATUS,
    ),
    bad(
        "a status of 099",
        "HTTP/1.1 099 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9110 15",
        "there is no such class",
    ),
    bad(
        "a status with a sign",
        "HTTP/1.1 +20 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        STATUS,
    ),
    bad(
        "a status of letters",
        "HTTP/1.1 abc OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        STATUS,
    ),
    bad(
        "no status",
        "HTTP/1.1 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        STATUS,
    ),
    bad(
        "two spaces before the status",
        "HTTP/1.1  200 OK\r\ncontent-length: 4\r\n\r\nfine",
        "9112 4",
        "not the grammar",
    ),
    bad(
        "101 that nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "9110 15.2.2",
        "what comes behind it is another protocol",
    ),
    bad(
        "the end in the head",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "9112 8",
        "an incomplete message",
    ),
    bad(
        "the end before the empty line",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n",
        "9112 8",
        "an incomplete message",
    ),
    bad(
        "100, then the end",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "9110 15.2",
        "no answer",
    ),
    bad(
        "two lengths that differ",
        ok!("content-length: 4\r\ncontent-length: 5\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a list of lengths that differ",
        ok!("content-length: 4, 5\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length with a plus",
        ok!("content-length: +4\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length with a minus",
        ok!("content-length: -4\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length in hexadecimal",
        ok!("content-length: 0x4\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length with a letter",
        ok!("content-length: 4x\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "an empty length",
        ok!("content-length:\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length past 64 bits",
        ok!("content-length: 18446744073709551620\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length and chunks",
        ok!(
            "content-length: 3\r\ntransfer-encoding: chunked\r\n",
            "4\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 6.3",
        "ought to be an error",
    )
    .either(),
    bad(
        "chunks and a length",
        ok!(
            "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
            "4\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 6.3",
        "ought to be an error",
    )
    .either(),
    bad(
        "an unknown coding",
        ok!("transfer-encoding: x\r\n", "fine"),
        "9112 6.3",
        HIDDEN,
    )
    .either(),
    bad(
        "gzip, chunked",
        ok!("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        "9112 6.1",
        HIDDEN,
    )
    .chosen(REFUSED, "codings other than `chunked`")
    .either(),
    bad(
        "identity",
        ok!("transfer-encoding: identity\r\n", "fine"),
        "9112 6.1",
        HIDDEN,
    )
    .either(),
    bad(
        "chunked twice",
        ok!("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        "9112 6.1",
        HIDDEN,
    ),
    bad(
        "chunked with a letter",
        ok!(
            "transfer-encoding: xchunked\r\ncontent-length: 4\r\n",
            "fine"
        ),
        "9112 6.3",
        HIDDEN,
    ),
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
    broken(
        "shorter than its length",
        ok!("content-length: 9\r\n", "fine"),
        "9112 8",
        "never looks whole",
    ),
    broken(
        "chunks without an end",
        ok!("transfer-encoding: chunked\r\n", "4\r\nfine\r\n"),
        "9112 8",
        "never looks whole",
    ),
    broken(
        "a chunk cut off",
        ok!("transfer-encoding: chunked\r\n", "9\r\nfine"),
        "9112 8",
        "never looks whole",
    ),
    broken(
        "chunks without the empty line",
        ok!("transfer-encoding: chunked\r\n", "4\r\nfine\r\n0\r\n"),
        "9112 8",
        "never looks whole",
    ),
    broken(
        "a size that is none",
        ok!("transfer-encoding: chunked\r\n", "4\r\nfine\r\nx\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a chunk longer than its size",
        ok!("transfer-encoding: chunked\r\n", "4\r\nfine!\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a size with a plus",
        ok!("transfer-encoding: chunked\r\n", "+4\r\nfine\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a size past 64 bits",
        ok!(
            "transfer-encoding: chunked\r\n",
            "10000000000000004\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a size with a bare carriage return",
        ok!("transfer-encoding: chunked\r\n", "4\rfine\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a size with a space before",
        ok!("transfer-encoding: chunked\r\n", " 4\r\nfine\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a NUL behind a size",
        ok!("transfer-encoding: chunked\r\n", "4\0\r\nfine\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
];

/// To HEAD.
pub const TO_HEAD: &[Reply] = &[
    passes(
        "HEAD: a length",
        ok!("content-length: 4\r\n", ""),
        "9110 9.3.2",
        "> 200\n+ content-length: 4",
        "the length that GET would have",
    ),
    passes(
        "HEAD: chunks",
        ok!("transfer-encoding: chunked\r\n", ""),
        "9110 9.3.2",
        EMPTY,
        "no body",
    ),
    passes(
        "HEAD: a body all the same",
        ok!("content-length: 4\r\n", "evil"),
        "9112 6.3",
        "> 200\n+ content-length: 4",
        NEXT,
    ),
    passes(
        "HEAD: an answer for a body",
        concat!("HTTP/1.1 200 OK\r\ncontent-length: 42\r\n\r\n", evil!()),
        "9112 6.3",
        EMPTY,
        NEXT,
    ),
    passes(
        "HEAD: until the end",
        ok!("", ""),
        "9112 6.3",
        EMPTY,
        "no body",
    ),
];
