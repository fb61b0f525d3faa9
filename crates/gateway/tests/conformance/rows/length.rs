//! RFC 9112, 6.2 and 6.3, and RFC 9110, 8.6: `Content-Length`.

use super::{HELLO, POST, REFUSED};
use crate::row::{Answer, Row, passed, refused};

const GRAMMAR: &str = "digits, and nothing else: readers differ in what they make of the rest";
const DIFFER: &str = "readers differ in which one counts";

const fn bad(name: &'static str, sent: &'static str) -> Row {
    refused(name, sent, "9112 6.3", GRAMMAR)
}

pub const ROWS: &[Row] = &[
    passed(
        "of a body",
        post!("content-length: 5\r\n", "hello"),
        "9112 6.2",
        HELLO,
        "a body",
    ),
    passed(
        "zero",
        post!("content-length: 0\r\n", ""),
        "9110 8.6",
        POST,
        "no body",
    ),
    passed(
        "zeros before",
        post!("content-length: 0005\r\n", "hello"),
        "9110 8.6",
        HELLO,
        "digits",
    ),
    passed(
        "white space around",
        post!("content-length: \t 5 \t\r\n", "hello"),
        "9110 5.5",
        HELLO,
        "not part of the value",
    ),
    passed(
        "in capitals",
        post!("CONTENT-LENGTH: 5\r\n", "hello"),
        "9110 5.1",
        HELLO,
        "names have no case",
    ),
    passed(
        "zero, and what comes next",
        concat!(
            post!("content-length: 0\r\n", ""),
            "GET /next HTTP/1.1\r\nhost: a\r\n\r\n"
        ),
        "9112 6.3",
        "> POST /x HTTP/1.1\n> GET /next HTTP/1.1",
        "a request of its own (CL.0)",
    ),
    passed(
        "none, and what comes next",
        concat!(post!("", ""), "GET /next HTTP/1.1\r\nhost: a\r\n\r\n"),
        "9112 6.3",
        "> POST /x HTTP/1.1\n> GET /next HTTP/1.1",
        "a request of its own (0.CL)",
    ),
    passed(
        "shorter than what was sent",
        concat!(
            post!("content-length: 2\r\n", "hi"),
            "GET /next HTTP/1.1\r\nhost: a\r\n\r\n"
        ),
        "9112 6.3",
        "> POST /x HTTP/1.1\n= hi\n> GET /next HTTP/1.1",
        "the rest is the next request",
    ),
    refused(
        "longer than what was sent",
        post!("content-length: 9\r\n", "hello{end}"),
        "9112 8",
        "an incomplete message must not be taken for a whole one",
    )
    .answered(Answer::Breaks)
    .in_part(),
    refused(
        "two that differ",
        post!("content-length: 5\r\ncontent-length: 6\r\n", "hello"),
        "9112 6.3",
        DIFFER,
    ),
    refused(
        "two that differ, the longer one first",
        post!("content-length: 6\r\ncontent-length: 5\r\n", "hello"),
        "9112 6.3",
        DIFFER,
    ),
    refused(
        "two alike",
        post!("content-length: 5\r\ncontent-length: 5\r\n", "hello"),
        "9110 8.6",
        DIFFER,
    )
    .either(),
    refused(
        "two alike, in other letters",
        post!("content-length: 5\r\nContent-Length: 5\r\n", "hello"),
        "9110 8.6",
        DIFFER,
    )
    .either(),
    refused(
        "two alike but for zeros",
        post!("content-length: 5\r\ncontent-length: 05\r\n", "hello"),
        "9110 8.6",
        DIFFER,
    )
    .either(),
    refused(
        "a list alike",
        post!("content-length: 5, 5\r\n", "hello"),
        "9110 8.6",
        DIFFER,
    )
    .either(),
    refused(
        "a list that differs",
        post!("content-length: 5, 6\r\n", "hello"),
        "9112 6.3",
        DIFFER,
    ),
    bad("a list of one", post!("content-length: 5,\r\n", "hello")),
    bad("a comma first", post!("content-length: ,5\r\n", "hello")),
    bad("empty", post!("content-length:\r\n", "hello")),
    bad("a plus", post!("content-length: +5\r\n", "hello")),
    bad("a minus", post!("content-length: -5\r\n", "hello")),
    bad("minus zero", post!("content-length: -0\r\n", "")),
    bad("a space within", post!("content-length: 0 5\r\n", "hello")),
    bad("hexadecimal", post!("content-length: 0x5\r\n", "hello")),
    bad("octal", post!("content-length: 0o5\r\n", "hello")),
    bad(
        "a letter of sixteen",
        post!("content-length: a\r\n", "0123456789"),
    ),
    bad("a point", post!("content-length: 5.0\r\n", "hello")),
    bad("an exponent", post!("content-length: 5e0\r\n", "hello")),
    bad("an underscore", post!("content-length: 0_5\r\n", "hello")),
    bad("an apostrophe", post!("content-length: 0'5\r\n", "hello")),
    bad("quoted", post!("content-length: \"5\"\r\n", "hello")),
    bad("a parameter", post!("content-length: 5;a=b\r\n", "hello")),
    bad("a word", post!("content-length: five\r\n", "hello")),
    bad("a NUL behind", post!("content-length: 5\0\r\n", "hello")),
    bad(
        "a vertical tab before",
        post!("content-length: \x0b5\r\n", "hello"),
    ),
    bad(
        "a form feed behind",
        post!("content-length: 5\x0c\r\n", "hello"),
    ),
    bad(
        "a no-break space before",
        post!("content-length: \u{a0}5\r\n", "hello"),
    ),
    bad(
        "a superscript digit",
        post!("content-length: \u{b2}\r\n", "hi"),
    ),
    bad(
        "a digit of another script",
        post!("content-length: \u{d9}\u{a5}\r\n", "hello"),
    ),
    bad(
        "past 64 bits",
        post!("content-length: 18446744073709551621\r\n", "hello"),
    ),
    bad(
        "a hundred digits",
        post!("content-length: {9*100}\r\n", "hello"),
    ),
    bad(
        "past 63 bits",
        post!("content-length: 9223372036854775808\r\n", "hello"),
    )
    .stricter(REFUSED, "more than 63 bits"),
    refused(
        "a space before its colon",
        post!("content-length : 5\r\n", "hello"),
        "9112 5.1",
        "hidden from who takes it for part of the name (0.CL)",
    ),
    refused(
        "a NUL in its name",
        post!("content-length\0: 5\r\n", "hello"),
        "9110 5.1",
        "hidden from some (0.CL)",
    ),
    refused(
        "a no-break space before its name",
        post!("\u{a0}content-length: 5\r\n", "hello"),
        "9110 5.1",
        "hidden from some (0.CL)",
    ),
    refused(
        "a vertical tab before its name",
        post!("\x0bcontent-length: 5\r\n", "hello"),
        "9110 5.1",
        "hidden from some (0.CL)",
    ),
    refused(
        "folded into the field before",
        post!("x: y\r\n content-length: 5\r\n", "hello"),
        "9112 5.2",
        "hidden from who folds (0.CL)",
    )
    .either(),
    refused(
        "folded in its value",
        post!("content-length:\r\n 5\r\n", "hello"),
        "9112 5.2",
        "hidden from who does not fold (0.CL)",
    )
    .either(),
    refused(
        "behind a bare line feed",
        post!("x: y\ncontent-length: 5\r\n", "hello"),
        "9112 2.2",
        "hidden from who does not end a line there",
    )
    .either(),
    refused(
        "behind a bare carriage return",
        post!("x: y\rcontent-length: 5\r\n", "hello"),
        "9112 2.2",
        "hidden from who does not end a line there",
    )
    .either(),
    refused(
        "in the first line's fold",
        "POST /x HTTP/1.1\r\n content-length: 5\r\nhost: a\r\n\r\nhello",
        "9112 2.2",
        "hidden from who skips the line",
    )
    .either(),
    passed(
        "of a name that only looks like it",
        post!("x-content-length: 5\r\ncontent-lengths: 6\r\n", ""),
        "9110 5.1",
        "> POST /x HTTP/1.1\n+ content-length: 0\n+ x-content-length: 5",
        "another field",
    ),
];
