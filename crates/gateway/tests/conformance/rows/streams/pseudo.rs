//! RFC 9113, 8.3: `:method`, `:scheme`, and which pseudo-headers there are.

use super::{PSEUDO, REFUSED, SPLIT};
use crate::stream::{Gets, Stream, malformed, passes};

pub const ROWS: &[Stream] = &[
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
];
