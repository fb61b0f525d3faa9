//! RFC 9112, 7.1: chunks.

use super::{HELLO, POST, REFUSED};
use crate::row::{Answer, Row, passed, refused};

const SIZE: &str = "a size is hexadecimal digits: readers differ in what they make of the rest";
const EXTENSION: &str = "readers differ in where the line, and so the body, ends";
const LINE: &str = "chunks end with both characters: who takes one for the end reads another body";
const DIGITS: &str = "chunk sizes with anything but hexadecimal digits, or more than 16";

const fn bad(name: &'static str, sent: &'static str, why: &'static str) -> Row {
    refused(name, sent, "9112 7.1", why).in_part()
}

pub const ROWS: &[Row] = &[
    passed(
        "none",
        chunks!("0\r\n\r\n"),
        "9112 7.1",
        POST,
        "an empty body",
    ),
    passed(
        "two",
        chunks!("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        "9112 7.1",
        HELLO,
        "one body",
    ),
    passed(
        "a size in capitals",
        chunks!("A\r\n0123456789\r\n0\r\n\r\n"),
        "9112 7.1",
        "> POST /x HTTP/1.1\n= 0123456789",
        "digits have no case",
    ),
    passed(
        "a size in small letters",
        chunks!("a\r\n0123456789\r\n0\r\n\r\n"),
        "9112 7.1",
        "> POST /x HTTP/1.1\n= 0123456789",
        "digits have no case",
    ),
    passed(
        "a size with zeros before",
        chunks!("0005\r\nhello\r\n0\r\n\r\n"),
        "9112 7.1",
        HELLO,
        "digits",
    ),
    passed(
        "many zeros for the last",
        chunks!("5\r\nhello\r\n0000\r\n\r\n"),
        "9112 7.1",
        HELLO,
        "one or more zeros",
    ),
    passed(
        "a chunk like an end",
        chunks!("5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        "9112 7.1",
        "> POST /x HTTP/1.1\n= 0{crlf}{crlf}",
        "a chunk is bytes",
    ),
    passed(
        "what comes next",
        concat!(
            chunks!("5\r\nhello\r\n0\r\n\r\n"),
            "GET /next HTTP/1.1\r\nhost: a\r\n\r\n"
        ),
        "9112 7.1",
        "> POST /x HTTP/1.1\n= hello\n> GET /next HTTP/1.1",
        "a request of its own",
    ),
    passed(
        "an extension",
        chunks!("5;a\r\nhello\r\n0\r\n\r\n"),
        "9112 7.1.1",
        HELLO,
        "ignored, and not passed on",
    ),
    passed(
        "an extension with a value",
        chunks!("5;a=b\r\nhello\r\n0;c=d\r\n\r\n"),
        "9112 7.1.1",
        HELLO,
        "ignored, and not passed on",
    ),
    passed(
        "an extension with a quoted value",
        chunks!("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"),
        "9112 7.1.1",
        HELLO,
        "ignored, and not passed on",
    ),
    passed(
        "several extensions",
        chunks!("5;a;b=c;d=\"e\"\r\nhello\r\n0\r\n\r\n"),
        "9112 7.1.1",
        HELLO,
        "ignored, and not passed on",
    ),
    passed(
        "white space in an extension",
        chunks!("5;a = b\r\nhello\r\n0\r\n\r\n"),
        "9112 7.1.1",
        HELLO,
        "bad, but allowed",
    )
    .either(),
    bad(
        "white space before an extension",
        chunks!("5 ;a=b\r\nhello\r\n0\r\n\r\n"),
        "bad, but allowed; servers have taken it for another size",
    )
    .stricter(REFUSED, DIGITS),
    bad(
        "an extension without a name",
        chunks!("5;\r\nhello\r\n0\r\n\r\n"),
        EXTENSION,
    ),
    bad(
        "an extension of a value only",
        chunks!("5;=b\r\nhello\r\n0\r\n\r\n"),
        EXTENSION,
    ),
    bad(
        "an extension that is none",
        chunks!("5;GET /x HTTP/1.1\r\nhello\r\n0\r\n\r\n"),
        EXTENSION,
    ),
    bad(
        "an extension with an open quote",
        chunks!("5;a=\"b\r\nhello\r\n0\r\n\r\n"),
        EXTENSION,
    ),
    bad(
        "an extension on the last that is none",
        chunks!("5\r\nhello\r\n0;\r\n\r\n"),
        EXTENSION,
    ),
    bad(
        "an extension with a bare line feed",
        chunks!("5;x\nhello\r\n0\r\n\r\n"),
        "readers end the line there, or not (CVE-2025-55315)",
    ),
    bad(
        "an extension with a bare carriage return",
        chunks!("5;x\ry\r\nhello\r\n0\r\n\r\n"),
        "as above",
    ),
    bad(
        "an extension with a NUL",
        chunks!("5;\0\r\nhello\r\n0\r\n\r\n"),
        EXTENSION,
    ),
    bad(
        "an extension too long",
        chunks!("5;{a*300}\r\nhello\r\n0\r\n\r\n"),
        "their length ought to be bounded",
    )
    .either(),
    bad(
        "many extensions",
        chunks!("5{;a=b*100}\r\nhello\r\n0\r\n\r\n"),
        "their length ought to be bounded",
    )
    .either(),
    bad("a plus", chunks!("+5\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad("a minus", chunks!("-5\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad("0x", chunks!("0x5\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad("an underscore", chunks!("0_5\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad(
        "a letter too high",
        chunks!("5g\r\nhello\r\n0\r\n\r\n"),
        SIZE,
    ),
    bad("a space before", chunks!(" 5\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad("a space behind", chunks!("5 \r\nhello\r\n0\r\n\r\n"), SIZE),
    bad("a tab behind", chunks!("5\t\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad("a point", chunks!("5.0\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad("a NUL behind", chunks!("5\0\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad("a comma", chunks!("5,0\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad(
        "a digit of another script",
        chunks!("\u{d9}\u{a5}\r\nhello\r\n0\r\n\r\n"),
        SIZE,
    ),
    bad("missing", chunks!("\r\nhello\r\n0\r\n\r\n"), SIZE),
    bad(
        "17 digits",
        chunks!("00000000000000005\r\nhello\r\n0\r\n\r\n"),
        "large sizes are to be expected, and numbers overflow",
    )
    .stricter(REFUSED, DIGITS),
    bad(
        "past 64 bits",
        chunks!("10000000000000005\r\nhello\r\n0\r\n\r\n"),
        "cut to 64 bits it is 5",
    ),
    bad(
        "past 63 bits",
        chunks!("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        "with a sign it is -1",
    ),
    bad(
        "past 32 bits",
        chunks!("100000005\r\nhello\r\n0\r\n\r\n{end}"),
        "cut to 32 bits it is 5; here the body is not whole",
    )
    .answered(Answer::Breaks),
    bad(
        "a size with a bare line feed",
        chunks!("5\nhello\r\n0\r\n\r\n"),
        LINE,
    ),
    bad(
        "a size with a bare carriage return",
        chunks!("5\rhello\r\n0\r\n\r\n"),
        LINE,
    ),
    bad(
        "longer than its size",
        chunks!("4\r\nhello\r\n0\r\n\r\n"),
        LINE,
    ),
    bad(
        "shorter than its size",
        chunks!("6\r\nhello\r\n0\r\n\r\n"),
        LINE,
    ),
    bad(
        "ended by a bare line feed",
        chunks!("5\r\nhello\n0\r\n\r\n"),
        LINE,
    ),
    bad(
        "ended by a bare carriage return",
        chunks!("5\r\nhello\r0\r\n\r\n"),
        LINE,
    ),
    bad("without an end", chunks!("5\r\nhello0\r\n\r\n"), LINE),
    bad(
        "ended by two other characters",
        chunks!("5\r\nhelloXX0\r\n\r\n"),
        "some skip two bytes whatever they are",
    ),
    bad(
        "the last with a bare line feed",
        chunks!("5\r\nhello\r\n0\n\r\n"),
        LINE,
    ),
    bad(
        "the body ended by a bare line feed",
        chunks!("5\r\nhello\r\n0\r\n\n"),
        LINE,
    ),
    bad(
        "the body ended by a bare carriage return",
        chunks!("5\r\nhello\r\n0\r\n\rX"),
        LINE,
    ),
    bad(
        "the end of the connection before the last",
        chunks!("5\r\nhello\r\n{end}"),
        "an incomplete message must not be taken for a whole one",
    )
    .answered(Answer::Breaks),
    bad(
        "the end of the connection in a chunk",
        chunks!("9\r\nhello{end}"),
        "an incomplete message must not be taken for a whole one",
    )
    .answered(Answer::Breaks),
    bad(
        "the end of the connection before the empty line",
        chunks!("5\r\nhello\r\n0\r\n{end}"),
        "an incomplete message must not be taken for a whole one",
    )
    .answered(Answer::Breaks),
    bad("a length for chunks", chunks!("hello{end}"), SIZE).answered(Answer::Breaks),
];
