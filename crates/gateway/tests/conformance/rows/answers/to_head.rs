//! RFC 9110, 9.3.2: answers to HEAD.

use super::{EMPTY, NEXT};
use crate::reply::{Reply, passes};

pub const ROWS: &[Reply] = &[
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
