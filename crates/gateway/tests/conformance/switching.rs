//! RFC 9110, 7.8: who asks to upgrade and goes on at once, as if it were agreed. Only
//! where the upstream has switched does anything else than whole requests pass.

use crate::{
    bed::Bed,
    client::{Pieces, exchange},
    message::{Body, Message, answers, requests},
    text::{Step, bytes},
    upstream::DEADLINE,
};

struct Case {
    name: &'static str,
    /// The fields of the first request, behind which another one follows at once.
    fields: &'static str,
    reply: &'static str,
    /// The first answer.
    status: u16,
    /// Whether the bytes behind the request reach the upstream as they are.
    is_opaque: bool,
}

const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n";
const BAD_VERSION: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 777\r\nsec-websocket-key: x\r\n";
const H2C: &str = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";

const SWITCHES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

const fn case(name: &'static str, fields: &'static str, reply: &'static str, status: u16) -> Case {
    Case {
        name,
        fields,
        reply,
        status,
        is_opaque: false,
    }
}

const CASES: &[Case] = &[
    Case {
        is_opaque: true,
        ..case("switched", WEBSOCKET, SWITCHES, 101)
    },
    case(
        "declined as if nothing were",
        WEBSOCKET,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nfine",
        200,
    ),
    case(
        "declined for its version",
        BAD_VERSION,
        "HTTP/1.1 426 Upgrade Required\r\nconnection: close\r\nsec-websocket-version: 13\r\ncontent-length: 0\r\n\r\n",
        426,
    ),
    case(
        "declined with an Upgrade",
        WEBSOCKET,
        "HTTP/1.1 200 OK\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 4\r\n\r\nfine",
        200,
    ),
    case(
        "declined as not found",
        WEBSOCKET,
        "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        404,
    ),
    case(
        "declined without a length",
        WEBSOCKET,
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        400,
    ),
    case(
        "continued, then declined",
        WEBSOCKET,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        400,
    ),
    case(
        "switched to what nobody asked for",
        "connection: upgrade\r\n",
        SWITCHES,
        502,
    ),
    case("switched without being asked", "", SWITCHES, 502),
    case(
        "switched for an Upgrade that Connection does not name",
        "upgrade: websocket\r\n",
        SWITCHES,
        502,
    ),
    case(
        "switched to h2c",
        H2C,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        502,
    ),
];

const BEHIND: &str = "GET /behind HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[test]
fn only_a_switched_connection_is_opaque() {
    let bed = Bed::start();
    for case in CASES {
        bed.upstream.answer(&bytes(case.reply));
        let first = format!("GET /x HTTP/1.1\r\nhost: a\r\n{}\r\n{BEHIND}", case.fields);
        let steps = [Step::Send(bytes(&first)), Step::End];
        let got = exchange(bed.gateway.local_addr(), &steps, Pieces::Whole, DEADLINE);
        let (got, _) = answers(&got, Body::Framed);
        let status = got
            .iter()
            .map(Message::status)
            .find(|status| *status != 100);
        assert_eq!(status, Some(case.status), "{}", case.name);
        let connections = bed.upstream.take();
        for connection in &connections {
            let (all, rest) = requests(&connection.bytes);
            let is_opaque = all.len() > 1 || !rest.is_empty();
            assert!(!is_opaque || case.is_opaque, "{}: {all:?}", case.name);
        }
    }
}
