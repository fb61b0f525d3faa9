//! RFC 9110, 7.8: `Upgrade`, towards an upstream that does not switch.

use super::HELLO;
use crate::row::{Row, passed, refused};

const H2C: &str = "behind it an upstream would take requests that nobody here looks at";

pub const ROWS: &[Row] = &[
    passed(
        "Upgrade that Connection does not name",
        get!("upgrade: websocket\r\n"),
        "9110 7.8",
        "> GET /x HTTP/1.1\n- upgrade",
        "for one connection only, and not asked for there",
    ),
    passed(
        "Connection without Upgrade",
        get!("connection: upgrade\r\n"),
        "9110 7.8",
        "> GET /x HTTP/1.1\n- upgrade\n- connection",
        "nothing to upgrade to",
    ),
    passed(
        "an empty Upgrade",
        get!("connection: upgrade\r\nupgrade:\r\n"),
        "9110 7.8",
        "> GET /x HTTP/1.1",
        "nothing to upgrade to",
    ),
    passed(
        "h2c",
        get!(
            "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
        ),
        "9113 3.1",
        "> GET /x HTTP/1.1\n- upgrade\n- http2-settings",
        H2C,
    ),
    passed(
        "h2c in other letters",
        get!("Connection: Upgrade\r\nUpgrade: H2C\r\n"),
        "9113 3.1",
        "> GET /x HTTP/1.1\n- upgrade",
        H2C,
    ),
    passed(
        "h2c in a list",
        get!("connection: upgrade\r\nupgrade: websocket, h2c\r\n"),
        "9110 7.8",
        "> GET /x HTTP/1.1",
        H2C,
    )
    .either(),
    passed(
        "TLS",
        get!("connection: upgrade\r\nupgrade: TLS/1.0\r\n"),
        "9110 7.8",
        "> GET /x HTTP/1.1",
        "a server may ignore it",
    )
    .either(),
    passed(
        "HTTP/2.0",
        get!("connection: upgrade\r\nupgrade: HTTP/2.0\r\n"),
        "9110 7.8",
        "> GET /x HTTP/1.1",
        H2C,
    )
    .either(),
    passed(
        "a body",
        post!(
            "connection: upgrade\r\nupgrade: x\r\ncontent-length: 5\r\n",
            "hello"
        ),
        "9110 7.8",
        HELLO,
        "read before anything switches",
    )
    .either(),
    refused(
        "two Upgrades in a fold",
        get!("connection: upgrade\r\nupgrade: x\r\n h2c\r\n"),
        "9112 5.2",
        "refused, or unfolded",
    )
    .either(),
];
