//! RFC 9110, 10.1.1: `Expect`.

use super::HELLO;
use crate::row::{Interims, Row, passed, refused};

const NOT_ASKED: &str = "the body comes without being asked for: it is the body all the same";

pub const ROWS: &[Row] = &[
    passed(
        "a body that waits",
        post!("expect: 100-continue\r\ncontent-length: 5\r\n", "{wait}hello"),
        "9110 10.1.1",
        HELLO,
        "asked for, then sent",
    )
    .interims(Interims::One),
    passed(
        "chunks that wait",
        post!("expect: 100-continue\r\ntransfer-encoding: chunked\r\n", "{wait}5\r\nhello\r\n0\r\n\r\n"),
        "9110 10.1.1",
        HELLO,
        "asked for, then sent",
    )
    .interims(Interims::One),
    passed(
        "in other letters",
        post!("EXPECT: 100-Continue\r\ncontent-length: 5\r\n", "{wait}hello"),
        "9110 10.1.1",
        HELLO,
        "its value has no case",
    )
    .interims(Interims::One),
    passed(
        "a body that does not wait",
        post!("expect: 100-continue\r\ncontent-length: 5\r\n", "hello"),
        "9110 10.1.1",
        HELLO,
        NOT_ASKED,
    )
    .interims(Interims::Any),
    passed(
        "a body that is a request, and does not wait",
        post!("expect: 100-continue\r\ncontent-length: 35\r\n", "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"),
        "9110 10.1.1",
        "> POST /x HTTP/1.1\n= GET /smuggled HTTP/1.1{crlf}host: a{crlf}{crlf}",
        "the way of the Expect-based desyncs of 2025",
    )
    .interims(Interims::Any),
    passed(
        "GET with a body that is a request",
        "GET /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        "9110 10.1.1",
        "> GET /x HTTP/1.1\n+ connection: close\n= GET /smuggled HTTP/1.1{crlf}host: a{crlf}{crlf}",
        "an upstream that answers without reading it must not find it as the next (0.CL)",
    )
    .interims(Interims::Any),
    passed(
        "no body",
        get!("expect: 100-continue\r\n"),
        "9110 10.1.1",
        "> GET /x HTTP/1.1",
        "nothing to wait for: the client must not send it, the next request must not be eaten",
    )
    .interims(Interims::Any),
    passed(
        "a length of zero",
        post!("expect: 100-continue\r\ncontent-length: 0\r\n", ""),
        "9110 10.1.1",
        "> POST /x HTTP/1.1",
        "nothing to wait for",
    )
    .interims(Interims::Any),
    passed(
        "no body, and what comes next",
        concat!(post!("expect: 100-continue\r\n", ""), "GET /next HTTP/1.1\r\nhost: a\r\n\r\n"),
        "9110 10.1.1",
        "> POST /x HTTP/1.1\n> GET /next HTTP/1.1",
        "a request of its own",
    )
    .interims(Interims::Any),
    passed(
        "twice",
        post!("expect: 100-continue\r\nexpect: 100-continue\r\ncontent-length: 5\r\n", "hello"),
        "9110 5.3",
        HELLO,
        "a list of two alike",
    )
    .interims(Interims::Any)
    .either(),
    passed(
        "a list",
        post!("expect: 100-continue, 100-continue\r\ncontent-length: 5\r\n", "hello"),
        "9110 10.1.1",
        HELLO,
        "a list of two alike",
    )
    .interims(Interims::Any)
    .either(),
    passed(
        "a word before",
        post!("expect: y 100-continue\r\ncontent-length: 5\r\n", "hello"),
        "9110 10.1.1",
        HELLO,
        "not known, so ignored or 417; who takes it for one and who does not have desynced",
    )
    .interims(Interims::Any)
    .either(),
    passed(
        "an expectation that nobody knows",
        post!("expect: x\r\ncontent-length: 5\r\n", "hello"),
        "9110 10.1.1",
        HELLO,
        "417, or ignored",
    )
    .either(),
    passed(
        "an empty one",
        post!("expect:\r\ncontent-length: 5\r\n", "hello"),
        "9110 10.1.1",
        HELLO,
        "a list may be empty",
    ),
    passed(
        "not passed on",
        post!("expect: 100-continue\r\ncontent-length: 5\r\n", "{wait}hello"),
        "9110 10.1.1",
        "> POST /x HTTP/1.1\n- expect\n= hello",
        "we have asked for the body ourselves, so nobody waits behind us",
    )
    .interims(Interims::One)
    .either(),
    refused(
        "folded",
        post!("expect:\r\n 100-continue\r\ncontent-length: 5\r\n", "hello"),
        "9112 5.2",
        "refused, or unfolded",
    )
    .either(),
    refused(
        "a space before the colon",
        post!("expect : 100-continue\r\ncontent-length: 5\r\n", "hello"),
        "9112 5.1",
        "must be refused",
    ),
    refused(
        "with a length that is none",
        post!("expect: 100-continue\r\ncontent-length: 0x5\r\n", "hello"),
        "9112 6.3",
        "refused before it is asked for",
    ),
    refused(
        "with a length and chunks",
        post!("expect: 100-continue\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
        "9112 6.3",
        "refused before it is asked for",
    )
    .either(),
];
