//! RFC 9113, 8: what passes.

use super::{GET, PATHS};
use crate::stream::{Stream, passes};

pub const ROWS: &[Stream] = &[
    passes(
        "plain",
        get2!(),
        "9113 8.3.1",
        "> GET /x HTTP/1.1\n+ host: a",
        "a request",
    ),
    passes(
        "fields",
        get2!(("x-y", "z"), ("accept", "*/*")),
        "9113 8.2",
        "> GET /x HTTP/1.1\n+ x-y: z\n+ accept: */*",
        "as they came",
    ),
    passes(
        "Latin-1 in a value",
        get2!(("x", "\u{e4}")),
        "9110 5.5",
        "> GET /x HTTP/1.1\n+ x: \u{e4}",
        "opaque data",
    ),
    passes(
        "crumbs of a cookie",
        get2!(
            ("cookie", "a=b"),
            ("cookie", "c=d"),
            ("x", "y"),
            ("cookie", "e=f")
        ),
        "9113 8.2.3",
        "> GET /x HTTP/1.1\n+ cookie: a=b; c=d; e=f",
        "joined before HTTP/1 sees them",
    ),
    passes(
        "TE: trailers",
        get2!(("te", "trailers")),
        "9113 8.2.2",
        GET,
        "the only value",
    ),
    passes(
        "a body with its length",
        post2!(("content-length", "5")),
        "9113 8.1.1",
        "> POST /x HTTP/1.1\n+ content-length: 5\n= hello",
        "a body",
    )
    .body("hello"),
    passes(
        "a body without a length",
        post2!(),
        "9113 8.1",
        "> POST /x HTTP/1.1\n= hello",
        "framed for HTTP/1",
    )
    .body("hello"),
    passes(
        "an empty body",
        post2!(),
        "9113 8.1",
        "> POST /x HTTP/1.1",
        "no body",
    )
    .body(""),
    passes(
        "a body that is a request",
        post2!(),
        "9113 8.1",
        "> POST /x HTTP/1.1\n= GET /smuggled HTTP/1.1{crlf}host: a{crlf}{crlf}",
        "a body is bytes (H2.CL, H2.TE, H2.0)",
    )
    .body("GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"),
    passes(
        "GET with a body",
        get2!(),
        "9110 9.3.1",
        "> GET /x HTTP/1.1\n+ connection: close\n= hello",
        "nothing may follow it",
    )
    .body("hello"),
    passes(
        "trailers",
        post2!(),
        "9113 8.1",
        "> POST /x HTTP/1.1\n= hello\n- x-sum",
        "dropped: servers of HTTP/1 have run them as requests",
    )
    .body("hello")
    .trailers(&[("x-sum", "1")]),
    passes(
        "trailers that say who asks",
        post2!(("x-role", "user")),
        "9110 6.5.1",
        "> POST /x HTTP/1.1\n+ x-role: user\n= hello\n- x-real",
        "never merged into the head",
    )
    .body("hello")
    .trailers(&[("x-role", "admin"), ("x-real", "1")]),
    passes(
        "an expectation",
        post2!(("expect", "100-continue")),
        "9110 10.1.1",
        "> POST /x HTTP/1.1\n- expect\n= hello",
        "asked for by us",
    )
    .body("hello")
    .either(),
    passes(
        "an escaped path",
        path2!("/%78?a=%zz"),
        "9113 8.3.1",
        "> GET /x?a=%zz HTTP/1.1",
        "as over HTTP/1",
    )
    .lenient(PATHS, "The query is neither read nor changed"),
    passes(
        "a port",
        authority2!("a:8080"),
        "9113 8.3.1",
        "> GET /x HTTP/1.1\n+ host: a:8080",
        "as it came",
    ),
    passes(
        "a host that is the authority",
        get2!(("host", "a")),
        "9113 8.3.1",
        "> GET /x HTTP/1.1\n+ host: a",
        "one of them goes on",
    ),
    passes(
        "a host instead of the authority",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/x"),
            ("host", "a"),
        ],
        "9113 8.3.1",
        "> GET /x HTTP/1.1\n+ host: a",
        "allowed",
    ),
    passes(
        "a method of one's own",
        &[
            (":method", "MKCOL-2"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9110 9.1",
        "> MKCOL-2 /x HTTP/1.1",
        "the origin's business",
    ),
    passes(
        "who the client says that it is",
        get2!(
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=1.2.3.4")
        ),
        "7239 8.1",
        "> GET /x HTTP/1.1\n+ x-forwarded-for: 127.0.0.1\n+ x-forwarded-proto: http\n- forwarded",
        "the gateway says it",
    ),
    passes(
        "a priority",
        get2!(("priority", "u=1")),
        "9218 5",
        GET,
        "a hint",
    ),
];
