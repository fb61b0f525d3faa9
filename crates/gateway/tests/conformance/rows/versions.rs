//! RFC 9112, 2.3, and RFC 9110, 2.5 and 6.2: versions.

use super::{GET, HELLO, POST, REFUSED};
use crate::row::{Answer, Row, passed, refused};

const ONLY: &str = "versions other than 1.0 and 1.1";
const GRAMMAR: &str = "`HTTP/`, a digit, a point, a digit: nothing else is a version";

pub const ROWS: &[Row] = &[
    refused(
        "HTTP/0.9",
        first!("GET /x HTTP/0.9"),
        "9110 15.6.6",
        "we have no major version 0",
    ),
    refused(
        "HTTP/1.2",
        first!("GET /x HTTP/1.2"),
        "9110 2.5",
        "a higher minor version is to be read as 1.1; nobody sends it but to see who reads what",
    )
    .stricter(REFUSED, ONLY),
    refused(
        "HTTP/1.9",
        first!("GET /x HTTP/1.9"),
        "9110 2.5",
        "as above",
    )
    .stricter(REFUSED, ONLY),
    refused(
        "HTTP/2.0 in text",
        first!("GET /x HTTP/2.0"),
        "9110 15.6.6",
        "not in this form",
    ),
    refused(
        "HTTP/2 in text",
        first!("GET /x HTTP/2"),
        "9112 2.3",
        GRAMMAR,
    ),
    refused(
        "HTTP/3.0",
        first!("GET /x HTTP/3.0"),
        "9110 15.6.6",
        "not in this form",
    ),
    refused(
        "HTTP/9.9",
        first!("GET /x HTTP/9.9"),
        "9110 15.6.6",
        "nobody has it",
    ),
    refused("HTTP/1", first!("GET /x HTTP/1"), "9112 2.3", GRAMMAR),
    refused("HTTP/1.", first!("GET /x HTTP/1."), "9112 2.3", GRAMMAR),
    refused("HTTP/.1", first!("GET /x HTTP/.1"), "9112 2.3", GRAMMAR),
    refused("HTTP/1.10", first!("GET /x HTTP/1.10"), "9112 2.3", GRAMMAR),
    refused("HTTP/1.01", first!("GET /x HTTP/1.01"), "9112 2.3", GRAMMAR),
    refused("HTTP/01.1", first!("GET /x HTTP/01.1"), "9112 2.3", GRAMMAR),
    refused("HTTP/11.1", first!("GET /x HTTP/11.1"), "9112 2.3", GRAMMAR),
    refused(
        "HTTP/1.1.1",
        first!("GET /x HTTP/1.1.1"),
        "9112 2.3",
        GRAMMAR,
    ),
    refused("HTTP/1,1", first!("GET /x HTTP/1,1"), "9112 2.3", GRAMMAR),
    refused("HTTP/+1.1", first!("GET /x HTTP/+1.1"), "9112 2.3", GRAMMAR),
    refused("HTTP/-1.1", first!("GET /x HTTP/-1.1"), "9112 2.3", GRAMMAR),
    refused("HTTP/1.1x", first!("GET /x HTTP/1.1x"), "9112 2.3", GRAMMAR),
    refused(
        "HTTP/1.\u{b9}",
        first!("GET /x HTTP/1.\u{b9}"),
        "9112 2.3",
        GRAMMAR,
    ),
    refused("HTTP/x.1", first!("GET /x HTTP/x.1"), "9112 2.3", GRAMMAR),
    refused(
        "a NUL in the version",
        first!("GET /x HTTP/1.1\0"),
        "9112 2.3",
        GRAMMAR,
    ),
    refused(
        "in lower case",
        first!("GET /x http/1.1"),
        "9112 2.3",
        "letters count",
    ),
    refused(
        "in mixed case",
        first!("GET /x Http/1.1"),
        "9112 2.3",
        "letters count",
    ),
    refused(
        "another protocol",
        first!("GET /x HTTPS/1.1"),
        "9112 2.3",
        GRAMMAR,
    ),
    refused(
        "a letter less",
        first!("GET /x HTP/1.1"),
        "9112 2.3",
        GRAMMAR,
    ),
    refused("RTSP", first!("DESCRIBE /x RTSP/1.0"), "9112 2.3", GRAMMAR),
    refused("ICY", first!("GET /x ICY/1.1"), "9112 2.3", GRAMMAR),
    refused(
        "a backslash",
        first!("GET /x HTTP\\1.1"),
        "9112 2.3",
        GRAMMAR,
    ),
    passed(
        "HTTP/1.0",
        first!("GET /x HTTP/1.0"),
        "9112 9.3",
        GET,
        "passed on as what we speak; closed, as nobody asked for more",
    )
    .answered(Answer::PassesLast),
    passed(
        "HTTP/1.0 that keeps its connection",
        "GET /x HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n",
        "9112 9.3",
        "> GET /x HTTP/1.1\n- connection\n- keep-alive",
        "it may be kept where the client asks for it",
    ),
    passed(
        "HTTP/1.0 without a host",
        "GET /x HTTP/1.0\r\n\r\n",
        "9112 3.2",
        GET,
        "only HTTP/1.1 must have one; health checks do without",
    )
    .answered(Answer::PassesLast),
    refused(
        "HTTP/1.0 with two hosts",
        "GET /x HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n",
        "9112 3.2",
        "any request with more than one",
    )
    .answered(Answer::Ends(400)),
    passed(
        "HTTP/1.0 with a length",
        "POST /x HTTP/1.0\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
        "9112 6.2",
        HELLO,
        "a body",
    )
    .answered(Answer::PassesLast),
    passed(
        "HTTP/1.0, POST without a length",
        "POST /x HTTP/1.0\r\nhost: a\r\n\r\n",
        "9112 6.3",
        POST,
        "no body: a request never ends with its connection",
    )
    .answered(Answer::PassesLast),
    refused(
        "HTTP/1.0 in chunks",
        "POST /x HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "9112 6.1",
        "its framing is to be taken for faulty",
    ),
    refused(
        "HTTP/1.0 in chunks, with a length",
        "POST /x HTTP/1.0\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "9112 6.1",
        "its framing is to be taken for faulty",
    ),
    passed(
        "HTTP/1.0 with an expectation",
        "POST /x HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello",
        "9110 10.1.1",
        HELLO,
        "in HTTP/1.0 it is ignored: no 100 comes",
    ),
    passed(
        "HTTP/1.0 with an upgrade",
        "GET /x HTTP/1.0\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        "9110 7.8",
        "> GET /x HTTP/1.1\n- upgrade",
        "in HTTP/1.0 it is ignored",
    )
    .answered(Answer::PassesLast),
    refused(
        "HTTP/2's preface, and fields",
        first!("PRI * HTTP/2.0"),
        "9113 3.4",
        "the preface is not followed by what it must be",
    ),
];
