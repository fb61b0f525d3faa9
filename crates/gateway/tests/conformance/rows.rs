//! The rows, a file for each noun.

/// A GET with these lines of fields.
macro_rules! get {
    ($fields:literal) => {
        concat!("GET /x HTTP/1.1\r\nhost: a\r\n", $fields, "\r\n")
    };
}

/// A POST with these lines of fields and this body.
macro_rules! post {
    ($fields:literal, $body:literal) => {
        concat!("POST /x HTTP/1.1\r\nhost: a\r\n", $fields, "\r\n", $body)
    };
}

/// A POST with this body in chunks.
macro_rules! chunks {
    ($body:literal) => {
        post!("transfer-encoding: chunked\r\n", $body)
    };
}

/// A request with this first line.
macro_rules! first {
    ($line:literal) => {
        concat!($line, "\r\nhost: a\r\n\r\n")
    };
}

mod answers;
mod chunks;
mod connection;
mod cookies;
mod encoding;
mod expect;
mod fields;
mod host;
mod length;
mod methods;
mod request_line;
mod streams;
mod target;
mod trailers;
mod upgrade;
mod versions;

use crate::row::Row;

pub use answers::REPLIES;
pub use streams::STREAMS;

/// All rows, by what they are about.
pub const ALL: &[(&str, &[Row])] = &[
    ("request line", request_line::ROWS),
    ("versions", versions::ROWS),
    ("methods", methods::ROWS),
    ("target", target::ROWS),
    ("host", host::ROWS),
    ("fields", fields::ROWS),
    ("connection", connection::ROWS),
    ("cookies", cookies::ROWS),
    ("length", length::ROWS),
    ("encoding", encoding::ROWS),
    ("chunks", chunks::ROWS),
    ("trailers", trailers::ROWS),
    ("expect", expect::ROWS),
    ("upgrade", upgrade::ROWS),
];

/// Headings of `docs/gateway.md`.
const REFUSED: &str = "What is refused";
const OTHERWISE: &str = "What the RFCs would have otherwise";
const PATHS: &str = "Which path counts";

/// What the upstream gets of a plain request.
const GET: &str = "> GET /x HTTP/1.1";
const POST: &str = "> POST /x HTTP/1.1";
const HELLO: &str = "> POST /x HTTP/1.1\n= hello";
