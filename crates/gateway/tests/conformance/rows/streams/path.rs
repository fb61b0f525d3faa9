//! RFC 9113, 8.3.1: `:path`.

use super::{OTHERWISE, PATHS, SPLIT};
use crate::stream::{Gets, Stream, malformed, passes};

pub const ROWS: &[Stream] = &[
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
];
