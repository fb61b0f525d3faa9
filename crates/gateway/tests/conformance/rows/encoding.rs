//! RFC 9112, 6.1 and 6.3: `Transfer-Encoding`.

use super::{HELLO, POST, REFUSED};
use crate::row::{Row, passed, refused};

const BOTH: &str = "the classic of request smuggling; it ought to be an error";
const FINAL: &str = "chunked is not the last coding, so that the end is not known";
const UNKNOWN: &str = "a coding that we do not know: where it ends is not ours to say";
const HIDDEN: &str = "who recognises it and who does not read different bodies";
const ONE: &str = "`Transfer-Encoding` other than one `chunked`";

const fn bad(name: &'static str, sent: &'static str, why: &'static str) -> Row {
    refused(name, sent, "9112 6.3", why)
}

/// Chunks that say nothing, with this field.
macro_rules! te {
    ($value:literal) => {
        concat!(
            "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding:",
            $value,
            "\r\n\r\n0\r\n\r\n"
        )
    };
}

pub const ROWS: &[Row] = &[
    passed("chunked", chunks!("5\r\nhello\r\n0\r\n\r\n"), "9112 6.1", HELLO, "a body in chunks"),
    passed("in capitals", post!("TRANSFER-ENCODING: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n"), "9112 7", HELLO, "codings have no case"),
    passed("white space around", te!(" \t chunked \t"), "9110 5.5", POST, "not part of the value"),
    passed("no space", te!("chunked"), "9112 5.1", POST, "it is optional"),
    bad("CL.TE", post!("content-length: 6\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\nG"), BOTH).either(),
    bad("TE.CL", post!("transfer-encoding: chunked\r\ncontent-length: 3\r\n", "8\r\nSMUGGLED\r\n0\r\n\r\n"), BOTH).either(),
    bad("a length of zero beside it", post!("content-length: 0\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), BOTH).either(),
    bad("a length in other letters beside it", post!("CONTENT-length: 5\r\nTransfer-Encoding: Chunked\r\n", "0\r\n\r\n"), BOTH).either(),
    bad("a length that is none beside it", post!("content-length: x\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), BOTH),
    bad("a length, and it hidden", post!("content-length: 5\r\ntransfer-encoding: xchunked\r\n", "0\r\n\r\n"), HIDDEN),
    bad("GET with both", "GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", BOTH).either(),
    bad("TE.TE", post!("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), "chunked twice"),
    bad("TE.TE, an unknown one behind", post!("transfer-encoding: chunked\r\ntransfer-encoding: x\r\n", "0\r\n\r\n"), FINAL),
    bad("TE.TE, an unknown one first", post!("transfer-encoding: x\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), UNKNOWN),
    bad("TE.TE, identity behind", post!("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\n"), FINAL),
    bad("TE.TE, an empty one behind", post!("transfer-encoding: chunked\r\ntransfer-encoding:\r\n", "0\r\n\r\n"), HIDDEN)
        .stricter(REFUSED, ONE),
    bad("identity", te!(" identity"), UNKNOWN),
    bad("gzip", te!(" gzip"), FINAL),
    bad("gzip, chunked", te!(" gzip, chunked"), UNKNOWN),
    bad("chunked, gzip", te!(" chunked, gzip"), FINAL),
    bad("chunked, identity", te!(" chunked, identity"), FINAL),
    bad("identity, chunked", te!(" identity, chunked"), UNKNOWN),
    bad("chunked, chunked", te!(" chunked, chunked"), "chunked twice"),
    bad("a comma first", te!(" ,chunked"), "an empty element of a list says nothing").stricter(REFUSED, ONE),
    bad("a comma last", te!(" chunked,"), "an empty element of a list says nothing").stricter(REFUSED, ONE),
    bad("a parameter", te!(" chunked;q=1"), "chunked has none"),
    bad("an empty parameter", te!(" chunked;"), "chunked has none"),
    bad("quoted", te!(" \"chunked\""), HIDDEN),
    bad("in apostrophes", te!(" 'chunked'"), HIDDEN),
    bad("a letter before", te!(" xchunked"), HIDDEN),
    bad("a letter behind", te!(" chunkedx"), HIDDEN),
    bad("cut short", te!(" chunke"), HIDDEN),
    bad("a word before", te!(" x chunked"), HIDDEN),
    bad("a word behind", te!(" chunked x"), HIDDEN),
    bad("a hyphen within", te!(" chun-ked"), HIDDEN),
    bad("empty", te!(""), HIDDEN).either(),
    bad("a colon before", te!(": chunked"), HIDDEN),
    bad("a vertical tab before", te!(" \x0bchunked"), HIDDEN),
    bad("a form feed behind", te!(" chunked\x0c"), HIDDEN),
    bad("a NUL behind", te!(" chunked\0"), HIDDEN),
    bad("a NUL before", te!("\0chunked"), HIDDEN),
    bad("a no-break space before", te!(" \u{a0}chunked"), HIDDEN),
    bad("a next-line character behind", te!(" chunked\u{85}"), HIDDEN),
    bad("a byte of no meaning before", te!(" \u{ff}chunked"), HIDDEN),
    bad("a long s", te!(" chun\u{c5}\u{bf}ed"), HIDDEN),
    bad("on a line of its own", te!("\r\n chunked"), HIDDEN).either(),
    bad("folded within", te!(" chun\r\n ked"), HIDDEN),
    refused("a space before its colon", post!("transfer-encoding : chunked\r\n", "0\r\n\r\n"), "9112 5.1", HIDDEN),
    refused("a tab before its colon", post!("transfer-encoding\t: chunked\r\n", "0\r\n\r\n"), "9112 5.1", HIDDEN),
    refused("a space before its name", post!(" transfer-encoding: chunked\r\n", "0\r\n\r\n"), "9112 5.2", HIDDEN).either(),
    refused("a space within its name", post!("transfer encoding: chunked\r\n", "0\r\n\r\n"), "9110 5.1", HIDDEN),
    refused("a NUL in its name", post!("transfer\0-encoding: chunked\r\n", "0\r\n\r\n"), "9110 5.1", HIDDEN),
    refused("a hyphen of UTF-8", post!("transfer\u{e2}\u{80}\u{90}encoding: chunked\r\n", "0\r\n\r\n"), "9110 5.1", HIDDEN),
    refused("behind a bare line feed", post!("x: y\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), "9112 2.2", HIDDEN).either(),
    refused("behind a bare carriage return", post!("x: y\rtransfer-encoding: chunked\r\n", "0\r\n\r\n"), "9112 2.2", HIDDEN).either(),
    refused("behind a folded line", post!("x: y\r\n\ttransfer-encoding: chunked\r\n", "0\r\n\r\n"), "9112 5.2", HIDDEN).either(),
    refused("an underscore in its name", post!("transfer_encoding: chunked\r\n", "0\r\n\r\n"), "9110 5.1", "WSGI, Rack and PHP take it for the other")
        .stricter(REFUSED, "`transfer_encoding`"),
    passed(
        "of a name that only looks like it",
        post!("x-transfer-encoding: chunked\r\ncontent-length: 5\r\n", "hello"),
        "9110 5.1",
        HELLO,
        "another field",
    ),
    passed(
        "Content-Encoding",
        post!("content-encoding: chunked\r\ncontent-length: 5\r\n", "hello"),
        "9110 8.4",
        "> POST /x HTTP/1.1\n+ content-encoding: chunked\n= hello",
        "of the content, not of the message",
    ),
];
