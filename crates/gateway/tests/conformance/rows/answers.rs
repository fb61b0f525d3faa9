//! RFC 9112, 4 to 6, and RFC 9110, 15: what an upstream answers.

use super::REFUSED;
use crate::reply::Reply;

const CARELESS: &str = "What is merely careless passes";
const STATUS: &str = "a status is three digits";
const LENGTH: &str = "readers differ in where it ends";
const HIDDEN: &str = "who recognises it and who does not read different answers";
const NEXT: &str = "what is left over must not be the next client's answer";
const FINE: &str = "> 200\n= fine";
const EMPTY: &str = "> 200";

/// An answer with these lines of fields and this body.
macro_rules! ok {
    ($fields:literal, $body:literal) => {
        concat!("HTTP/1.1 200 OK\r\n", $fields, "\r\n", $body)
    };
}

/// Another one behind it, for the next client.
macro_rules! evil {
    () => {
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    };
}

mod fields;
mod framing;
mod status;
mod to_head;

/// By what they are about, each with the method that they are to.
pub const REPLIES: &[(&str, &str, &[Reply])] = &[
    ("status", "GET", status::ROWS),
    ("fields", "GET", fields::ROWS),
    ("framing", "GET", framing::ROWS),
    ("to HEAD", "HEAD", to_head::ROWS),
];
