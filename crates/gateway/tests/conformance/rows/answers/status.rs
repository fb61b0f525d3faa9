//! RFC 9112, 4, and RFC 9110, 15: status lines, and what goes with a status.

use super::{EMPTY, FINE, NEXT, STATUS};
use crate::reply::{Reply, bad, passes};

pub const ROWS: &[Reply] = &[
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
];
