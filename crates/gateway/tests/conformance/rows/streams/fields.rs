//! RFC 9113, 8.2: fields and trailers.

use super::{HOP, OTHERWISE, REFUSED, SPLIT};
use crate::stream::{Gets, Stream, malformed, passes};

pub const ROWS: &[Stream] = &[
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
