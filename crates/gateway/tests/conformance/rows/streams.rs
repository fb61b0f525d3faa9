//! RFC 9113, 8: requests over HTTP/2 for an upstream of HTTP/1.

use super::{OTHERWISE, PATHS, REFUSED};
use crate::stream::Stream;

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

mod authority;
mod fields;
mod lengths;
mod path;
mod plain;
mod pseudo;

pub const STREAMS: &[(&str, &[Stream])] = &[
    ("plain", plain::ROWS),
    ("fields", fields::ROWS),
    ("lengths", lengths::ROWS),
    ("path", path::ROWS),
    ("authority", authority::ROWS),
    ("pseudo", pseudo::ROWS),
];
