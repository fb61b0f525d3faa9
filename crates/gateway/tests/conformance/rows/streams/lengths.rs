//! RFC 9113, 8.1.1: lengths.

use crate::stream::{Stream, malformed, passes};

pub const ROWS: &[Stream] = &[
    malformed(
        "a length that is too long",
        post2!(("content-length", "9")),
        "9113 8.1.1",
        "H2.CL: the rest would be the next request",
    )
    .body("hello"),
    malformed(
        "a length that is too short",
        post2!(("content-length", "2")),
        "9113 8.1.1",
        "H2.CL: the rest would be the next request",
    )
    .body("hello"),
    malformed(
        "a length, and no body",
        post2!(("content-length", "5")),
        "9113 8.1.1",
        "H2.CL",
    ),
    malformed(
        "a length of zero, and a body",
        post2!(("content-length", "0")),
        "9113 8.1.1",
        "H2.CL",
    )
    .body("GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"),
    malformed(
        "a length that is none",
        post2!(("content-length", "+5")),
        "9110 8.6",
        "digits, and nothing else",
    )
    .body("hello"),
    malformed(
        "a length in hexadecimal",
        post2!(("content-length", "0x5")),
        "9110 8.6",
        "digits, and nothing else",
    )
    .body("hello"),
    malformed(
        "a list of lengths",
        post2!(("content-length", "5, 5")),
        "9110 8.6",
        "readers differ in which one counts",
    )
    .body("hello")
    .either(),
    malformed(
        "two lengths that differ",
        post2!(("content-length", "5"), ("content-length", "6")),
        "9110 8.6",
        "readers differ in which one counts",
    )
    .body("hello"),
    passes(
        "two lengths alike",
        post2!(("content-length", "5"), ("content-length", "5")),
        "9110 8.6",
        "> POST /x HTTP/1.1\n+ content-length: 5\n= hello",
        "one of them goes on",
    )
    .body("hello")
    .either(),
    malformed(
        "a length past 63 bits",
        post2!(("content-length", "9223372036854775808")),
        "9110 8.6",
        "numbers overflow",
    )
    .body("hello"),
];
