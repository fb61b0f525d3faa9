//! RFC 9112, 3 and 2.2: the line that begins a request, and how lines end.

use super::{GET, REFUSED};
use crate::row::{Answer, Row, passed, refused};

const WORDS: &str = "parsing on white space is allowed, and readers differ in what that is";
const ENDS: &str = "a line may be taken to end at a line feed alone, and readers differ in it";

pub const ROWS: &[Row] = &[
    passed("plain", get!(""), "9112 3", GET, "a request"),
    passed(
        "pipelined",
        concat!(
            get!(""),
            post!("content-length: 2\r\n", "hi"),
            post!("transfer-encoding: chunked\r\n", "2\r\nho\r\n0\r\n\r\n"),
            get!("")
        ),
        "9112 9.3.2",
        "> GET /x HTTP/1.1\n> POST /x HTTP/1.1\n= hi\n> POST /x HTTP/1.1\n= ho\n> GET /x HTTP/1.1",
        "answered in the order in which they came",
    ),
    passed(
        "one empty line before",
        concat!("\r\n", get!("")),
        "9112 2.2",
        GET,
        "at least one ought to be ignored",
    ),
    refused(
        "two empty lines before",
        concat!("\r\n\r\n", get!("")),
        "9112 2.2",
        "one ought to be ignored, more may be anything",
    )
    .either(),
    refused(
        "a bare line feed before",
        concat!("\n", get!("")),
        "9112 2.2",
        ENDS,
    )
    .either(),
    refused(
        "a carriage return before",
        concat!("\r", get!("")),
        "9112 2.2",
        ENDS,
    )
    .either(),
    refused(
        "bare line feeds only",
        "GET /x HTTP/1.1\nhost: a\n\n",
        "9112 2.2",
        ENDS,
    )
    .either(),
    refused(
        "the first line ends with a bare line feed",
        "GET /x HTTP/1.1\nhost: a\r\n\r\n",
        "9112 2.2",
        ENDS,
    )
    .either(),
    refused(
        "the head ends with a bare line feed",
        "GET /x HTTP/1.1\r\nhost: a\r\n\n",
        "9112 2.2",
        ENDS,
    )
    .either(),
    refused(
        "a line feed, then a carriage return",
        "GET /x HTTP/1.1\n\rhost: a\n\r\n\r",
        "9112 2.2",
        "neither is a line's end",
    ),
    refused(
        "a carriage return for each end",
        "GET /x HTTP/1.1\rhost: a\r\r",
        "9112 2.2",
        "a bare carriage return is invalid, or a space",
    ),
    refused(
        "two carriage returns before a line feed",
        "GET /x HTTP/1.1\r\r\nhost: a\r\n\r\n",
        "9112 2.2",
        "a bare carriage return is invalid, or a space",
    )
    .either(),
    refused(
        "white space before the first field",
        "GET /x HTTP/1.1\r\n host: a\r\n\r\n",
        "9112 2.2",
        "refused, or the line is skipped: then the request is another one",
    )
    .either(),
    refused(
        "an empty line of white space before the first field",
        "GET /x HTTP/1.1\r\n \r\nhost: a\r\n\r\n",
        "9112 2.2",
        "refused, or the line is skipped",
    )
    .either(),
    refused(
        "two spaces after the method",
        first!("GET  /x HTTP/1.1"),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "two spaces before the version",
        first!("GET /x  HTTP/1.1"),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "a space at the end",
        first!("GET /x HTTP/1.1 "),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "a space before",
        first!(" GET /x HTTP/1.1"),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "a tab at the end",
        first!("GET /x HTTP/1.1\t"),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "a tab after the method",
        first!("GET\t/x HTTP/1.1"),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "a tab before the version",
        first!("GET /x\tHTTP/1.1"),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "a vertical tab between",
        first!("GET\x0b/x HTTP/1.1"),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "a form feed between",
        first!("GET\x0c/x HTTP/1.1"),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "a carriage return between",
        first!("GET\r/x HTTP/1.1"),
        "9112 3",
        WORDS,
    )
    .either(),
    refused(
        "a no-break space between",
        first!("GET\u{a0}/x HTTP/1.1"),
        "9112 3",
        "it is no white space of HTTP",
    ),
    refused(
        "no method",
        first!(" /x HTTP/1.1"),
        "9112 3",
        "not the grammar",
    ),
    refused(
        "no target",
        first!("GET HTTP/1.1"),
        "9112 3",
        "not the grammar",
    ),
    refused(
        "an empty target",
        first!("GET  HTTP/1.1"),
        "9112 3",
        "not the grammar",
    ),
    refused("a method alone", first!("GET"), "9112 3", "not the grammar"),
    refused(
        "HTTP/0.9",
        "GET /x\r\n",
        "9112 3",
        "a request without a version has no head at all",
    ),
    refused(
        "four words",
        first!("GET /x y HTTP/1.1"),
        "9112 3",
        "a target with white space must not be mended: its readers differ",
    ),
    refused(
        "a request line in the target",
        first!("GET /x HTTP/1.1 GET /y HTTP/1.1"),
        "9112 3",
        "as above: who reads to the first version sees another request",
    ),
    refused(
        "the beginning of TLS",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n",
        "9112 3",
        "a client that takes us for a TLS server",
    ),
    refused(
        "a status line",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "9112 3",
        "an answer is no request",
    ),
    refused(
        "a NUL first",
        concat!("\0", get!("")),
        "9112 3",
        "not the grammar",
    ),
    refused(
        "a byte order mark first",
        concat!("\u{ef}\u{bb}\u{bf}", get!("")),
        "9112 2.2",
        "bytes are not characters of an encoding",
    ),
    passed(
        "a line of 8,000 bytes",
        "GET /x?{y*7980} HTTP/1.1\r\nhost: a\r\n\r\n",
        "9112 3",
        "> GET /x?{y*7980} HTTP/1.1",
        "so many ought to be borne",
    ),
    refused(
        "a line longer than a head may be",
        "GET /x?{y*70000} HTTP/1.1\r\nhost: a\r\n\r\n",
        "9112 3",
        "longer than we wish to parse: 414, or 431",
    )
    .answered(Answer::Ends(431))
    .chosen(REFUSED, "a head above `head-bytes`"),
    refused(
        "a method without an end",
        "{A*70000}",
        "9112 3",
        "longer than any method: 501, or 431",
    )
    .answered(Answer::Ends(431))
    .chosen(REFUSED, "a head above `head-bytes`"),
    refused(
        "the end in the first line",
        "GET /x HT{end}",
        "9112 8",
        "an incomplete request: an answer is optional",
    )
    .answered(Answer::Breaks)
    .either(),
    refused(
        "the end in a field",
        "GET /x HTTP/1.1\r\nhost: a\r\nx: {end}",
        "9112 8",
        "an incomplete request: an answer is optional",
    )
    .answered(Answer::Breaks)
    .either(),
];
