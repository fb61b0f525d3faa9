//! RFC 9113, 8: requests over HTTP/2 for an upstream of HTTP/1.

use super::{OTHERWISE, PATHS, REFUSED};
use crate::stream::{Gets, Stream, malformed, passes};

/// A GET with these fields.
macro_rules! get2 {
    ($($field:expr),*) => {
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/x"), $($field),*]
    };
}

/// A POST with these fields.
macro_rules! post2 {
    ($($field:expr),*) => {
        &[(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/x"), $($field),*]
    };
}

/// A GET of this path.
macro_rules! path2 {
    ($path:expr) => {
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", $path),
        ]
    };
}

/// A GET of this authority.
macro_rules! authority2 {
    ($authority:expr) => {
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", $authority),
            (":path", "/x"),
        ]
    };
}

const SPLIT: &str = "in HTTP/1 it would be another field, or another request";
const HOP: &str = "HTTP/2 has none; passed on it would frame the request anew";
const PSEUDO: &str = "each of them once, before the fields, and no others";
const GET: &str = "> GET /x HTTP/1.1";

pub const STREAMS: &[Stream] = &[
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
    malformed(
        "a line's end in a value",
        get2!(("x", "y\r\ntransfer-encoding: chunked")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "a line feed in a value",
        get2!(("x", "y\ncontent-length: 5")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "a carriage return in a value",
        get2!(("x", "y\rz")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "a NUL in a value",
        get2!(("x", "y\0z")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "a request in a value",
        get2!(("x", "y\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "a line's end in a name",
        get2!(("x\r\ny", "z")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "a field in a name",
        get2!(("x: y\r\ntransfer-encoding", "chunked")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "a colon in a name",
        get2!(("x:y", "z")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "a space in a name",
        get2!(("content-length ", "5")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "a space before a name",
        get2!((" transfer-encoding", "chunked")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed("an empty name", get2!(("", "z")), "9113 8.2.1", SPLIT),
    malformed(
        "capitals in a name",
        get2!(("X-Y", "z")),
        "9113 8.2.1",
        "names are in small letters",
    ),
    malformed(
        "a delete in a name",
        get2!(("x\x7f", "z")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed(
        "an umlaut in a name",
        get2!(("x\u{e4}", "z")),
        "9113 8.2.1",
        SPLIT,
    ),
    malformed("a NUL in a name", get2!(("x\0", "z")), "9113 8.2.1", SPLIT),
    malformed(
        "Connection",
        get2!(("connection", "close")),
        "9113 8.2.2",
        HOP,
    ),
    malformed(
        "Connection that names a field",
        get2!(("connection", "x-forwarded-for")),
        "9113 8.2.2",
        HOP,
    ),
    malformed(
        "Keep-Alive",
        get2!(("keep-alive", "timeout=5")),
        "9113 8.2.2",
        HOP,
    ),
    malformed(
        "Proxy-Connection",
        get2!(("proxy-connection", "keep-alive")),
        "9113 8.2.2",
        HOP,
    ),
    malformed(
        "Transfer-Encoding",
        post2!(("transfer-encoding", "chunked")),
        "9113 8.2.2",
        "H2.TE",
    )
    .body("0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"),
    malformed(
        "Transfer-Encoding that is none",
        post2!(("transfer-encoding", "x")),
        "9113 8.2.2",
        HOP,
    ),
    malformed(
        "Upgrade",
        get2!(("upgrade", "websocket")),
        "9113 8.2.2",
        HOP,
    ),
    malformed(
        "TE of something else",
        get2!(("te", "gzip")),
        "9113 8.2.2",
        HOP,
    ),
    malformed(
        "TE of more",
        get2!(("te", "trailers, gzip")),
        "9113 8.2.2",
        HOP,
    ),
    malformed(
        "an alias of Transfer-Encoding",
        post2!(("transfer_encoding", "chunked")),
        "9110 5.1",
        "CGI and its heirs take it for the other",
    )
    .gets(Gets::Own(400))
    .stricter(REFUSED, "`transfer_encoding`"),
    malformed(
        "an alias of X-Real-IP",
        get2!(("x_real_ip", "1.2.3.4")),
        "9110 5.1",
        "CGI and its heirs take it for the other",
    )
    .gets(Gets::Own(400))
    .stricter(REFUSED, "`x_real_ip`"),
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
    malformed(
        "a space in the path",
        path2!("/x HTTP/1.1"),
        "9113 8.3.1",
        "in HTTP/1 the version would come twice",
    ),
    malformed(
        "a request in the path",
        path2!("/x HTTP/1.1\r\nhost: b\r\n\r\nGET /smuggled"),
        "9113 8.3.1",
        SPLIT,
    ),
    malformed(
        "a line's end in the path",
        path2!("/x\r\n"),
        "9113 8.3.1",
        SPLIT,
    ),
    malformed("a tab in the path", path2!("/x\ty"), "9113 8.3.1", SPLIT),
    malformed("a NUL in the path", path2!("/x\0"), "9113 8.3.1", SPLIT),
    malformed(
        "a delete in the path",
        path2!("/x\x7f"),
        "9113 8.3.1",
        SPLIT,
    ),
    malformed("an empty path", path2!(""), "9113 8.3.1", "it must not be"),
    malformed(
        "a path without a slash",
        path2!("x"),
        "9113 8.3.1",
        "put together with an upstream's address it is another host",
    ),
    malformed(
        "an at sign first in the path",
        path2!("@evil/x"),
        "9113 8.3.1",
        "put together with an upstream's address it is another host",
    ),
    malformed(
        "an address for the path",
        path2!("http://evil/x"),
        "9113 8.3.1",
        "it is a path, and a query",
    )
    .either(),
    malformed(
        "a query for the path",
        path2!("?x"),
        "9113 8.3.1",
        "it begins with /",
    ),
    malformed(
        "an asterisk for GET",
        path2!("*"),
        "9113 8.3.1",
        "it is for OPTIONS",
    ),
    passes(
        "a fragment",
        path2!("/x#y"),
        "9113 8.3.1",
        "> GET /x HTTP/1.1",
        "dropped before anything is matched",
    )
    .lenient(OTHERWISE, "a fragment, over HTTP/2"),
    malformed(
        "dot segments",
        path2!("/x/../y"),
        "3986 6.2.2.3",
        "clients resolve them",
    )
    .gets(Gets::Own(400))
    .stricter(PATHS, "Segments `.` and `..` are refused with 400"),
    malformed(
        "a space in the method",
        &[
            (":method", "GET /smuggled HTTP/1.1"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9113 8.3.1",
        SPLIT,
    ),
    malformed(
        "a line's end in the method",
        &[
            (":method", "GET / HTTP/1.1\r\nx: y\r\n\r\nGET"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9113 8.3.1",
        SPLIT,
    ),
    malformed(
        "a method in small letters",
        &[
            (":method", "get"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9110 9.1",
        "servers take it for GET",
    )
    .gets(Gets::Own(400))
    .stricter(REFUSED, "a method that is not in capitals"),
    malformed(
        "an empty method",
        &[
            (":method", ""),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9113 8.3.1",
        "a method is a token",
    ),
    malformed(
        "TRACE",
        &[
            (":method", "TRACE"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9110 9.3.8",
        "it reads a request back",
    )
    .gets(Gets::Own(400))
    .either(),
    malformed(
        "CONNECT",
        &[(":method", "CONNECT"), (":authority", "a:1")],
        "9113 8.5",
        "a gateway is no tunnel",
    )
    .either(),
    malformed(
        "CONNECT with a path",
        &[
            (":method", "CONNECT"),
            (":scheme", "http"),
            (":authority", "a:1"),
            (":path", "/x"),
        ],
        "9113 8.5",
        "it must have none",
    ),
    malformed(
        "extended CONNECT that nobody offered",
        &[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "8441 3",
        "only once it was offered",
    ),
    malformed(
        "a space in the authority",
        authority2!("a b"),
        "9113 8.3.1",
        SPLIT,
    ),
    malformed(
        "a line's end in the authority",
        authority2!("a\r\nx: y"),
        "9113 8.3.1",
        SPLIT,
    ),
    malformed(
        "a user in the authority",
        authority2!("u@a"),
        "9113 8.3.1",
        "it must not be there",
    ),
    malformed(
        "a path in the authority",
        authority2!("a/b"),
        "9113 8.3.1",
        "a host and a port",
    ),
    malformed(
        "a list in the authority",
        authority2!("a, b"),
        "9113 8.3.1",
        "a host and a port",
    ),
    malformed(
        "a port of letters",
        authority2!("a:x"),
        "9113 8.3.1",
        "a host and a port",
    ),
    malformed(
        "an empty authority",
        authority2!(""),
        "9110 4.2.1",
        "an empty host is invalid",
    ),
    malformed(
        "no authority and no host",
        &[(":method", "GET"), (":scheme", "http"), (":path", "/x")],
        "9113 8.3.1",
        "a request of http has one",
    )
    .either(),
    malformed(
        "another host than the authority",
        get2!(("host", "b")),
        "9113 8.3.1",
        "who routes by one and serves by the other is misled",
    ),
    malformed(
        "two hosts",
        get2!(("host", "a"), ("host", "a")),
        "9112 3.2",
        "more than one",
    ),
    malformed(
        "two hosts, and no authority",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/x"),
            ("host", "a"),
            ("host", "b"),
        ],
        "9112 3.2",
        "more than one",
    ),
    malformed(
        "a list for a host",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/x"),
            ("host", "a, b"),
        ],
        "9112 3.2",
        "a host and a port",
    ),
    passes(
        "https without TLS",
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9110 7.4",
        "> GET /x HTTP/1.1\n+ x-forwarded-proto: http",
        "proxies that end TLS send it; it is not believed",
    )
    .either(),
    malformed(
        "a path in the scheme",
        &[
            (":method", "GET"),
            (":scheme", "http://evil/?"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9113 8.3.1",
        "put together with the rest it is another address",
    ),
    malformed(
        "a line's end in the scheme",
        &[
            (":method", "GET"),
            (":scheme", "http\r\nx: y"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9113 8.3.1",
        SPLIT,
    ),
    malformed(
        "an empty scheme",
        &[
            (":method", "GET"),
            (":scheme", ""),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9113 8.3.1",
        PSEUDO,
    ),
    malformed(
        "no scheme",
        &[(":method", "GET"), (":authority", "a"), (":path", "/x")],
        "9113 8.3.1",
        PSEUDO,
    ),
    malformed(
        "no method",
        &[(":scheme", "http"), (":authority", "a"), (":path", "/x")],
        "9113 8.3.1",
        PSEUDO,
    ),
    malformed(
        "no path",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a")],
        "9113 8.3.1",
        PSEUDO,
    ),
    malformed(
        "two methods",
        &[
            (":method", "GET"),
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/x"),
        ],
        "9113 8.3",
        PSEUDO,
    ),
    malformed(
        "two paths",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/x"),
            (":path", "/y"),
        ],
        "9113 8.3",
        PSEUDO,
    ),
    malformed(
        "two authorities",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a"),
            (":authority", "b"),
            (":path", "/x"),
        ],
        "9113 8.3",
        PSEUDO,
    ),
    malformed(
        "a path behind a field",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a"),
            ("x", "y"),
            (":path", "/x"),
        ],
        "9113 8.3",
        PSEUDO,
    ),
    malformed(
        "a second path behind a field",
        get2!(("x", "y"), (":path", "/y")),
        "9113 8.3",
        PSEUDO,
    ),
    malformed("a status", get2!((":status", "200")), "9113 8.3", PSEUDO),
    malformed(
        "one that nobody knows",
        get2!((":x", "y")),
        "9113 8.3",
        PSEUDO,
    ),
    passes(
        "a pseudo-header in trailers",
        post2!(),
        "9113 8.1",
        "> POST /x HTTP/1.1\n= hello",
        "dropped, as trailers are",
    )
    .body("hello")
    .trailers(&[(":path", "/y")])
    .lenient(OTHERWISE, "a pseudo-header in trailers"),
    malformed("a line's end in a trailer", post2!(), "9113 8.2.1", SPLIT)
        .body("hello")
        .trailers(&[("x", "y\r\nz: a")]),
    malformed("Connection in trailers", post2!(), "9113 8.2.2", HOP)
        .body("hello")
        .trailers(&[("connection", "close")])
        .either(),
    malformed(
        "more fields than may be",
        get2!(("x", "{y*40000}")),
        "9110 5.4",
        "bounded",
    )
    .gets(Gets::Own(431))
    .either(),
    passes(
        "a space before a value",
        get2!(("x", " y")),
        "9113 8.2.1",
        "> GET /x HTTP/1.1\n+ x: y",
        "in HTTP/1 it is not part of it",
    )
    .lenient(OTHERWISE, "white space around a value, over HTTP/2"),
    passes(
        "a tab behind a value",
        get2!(("x", "y\t")),
        "9113 8.2.1",
        "> GET /x HTTP/1.1\n+ x: y",
        "in HTTP/1 it is not part of it",
    )
    .lenient(OTHERWISE, "white space around a value, over HTTP/2"),
];
