//! RFC 9113, 8.3.1: `:authority` and `Host`.

use super::SPLIT;
use crate::stream::{Stream, malformed};

pub const ROWS: &[Stream] = &[
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
];
