//! RFC 9112, 3.2, and RFC 9110, 7.2: `Host`.

use super::{GET, REFUSED};
use crate::row::{Answer, Row, passed, refused};

/// A request with this `Host`.
macro_rules! host {
    ($host:literal) => {
        concat!("GET /x HTTP/1.1\r\nhost:", $host, "\r\n\r\n")
    };
}

const ALONE: Answer = Answer::Refuses(400);
const INVALID: &str = "an invalid value must be refused: routes and links hang on it";
const COMMA: &str = "one that is no host and port";

const fn bad(name: &'static str, sent: &'static str) -> Row {
    refused(name, sent, "9112 3.2", INVALID).answered(ALONE)
}

const fn good(name: &'static str, sent: &'static str, seen: &'static str) -> Row {
    passed(
        name,
        sent,
        "9110 7.2",
        seen,
        "a host, as the client wrote it",
    )
}

pub const ROWS: &[Row] = &[
    refused(
        "none",
        "GET /x HTTP/1.1\r\n\r\n",
        "9112 3.2",
        "HTTP/1.1 must have one",
    )
    .answered(ALONE),
    refused(
        "none, with an address",
        "GET http://a/x HTTP/1.1\r\n\r\n",
        "9112 3.2",
        "also where the target has one",
    )
    .answered(ALONE),
    refused(
        "two",
        get!("host: b\r\n"),
        "9112 3.2",
        "more than one must be refused",
    )
    .answered(ALONE),
    refused(
        "two alike",
        get!("host: a\r\n"),
        "9112 3.2",
        "more than one must be refused",
    )
    .answered(ALONE),
    refused(
        "two, far apart and in other letters",
        get!("x: y\r\nHOST: b\r\n"),
        "9112 3.2",
        "more than one must be refused",
    )
    .answered(ALONE),
    refused(
        "two, one of them empty",
        get!("host:\r\n"),
        "9112 3.2",
        "more than one must be refused",
    )
    .answered(ALONE),
    bad("empty", host!("")).either(),
    bad("spaces", host!("  \t")).either(),
    bad("a port only", host!(" :80")),
    bad("a space within", host!(" a b")),
    bad("a tab within", host!(" a\tb")),
    bad("a list", host!(" a, b")),
    bad("a comma", host!(" a,b")).stricter(REFUSED, COMMA),
    bad("a user", host!(" u@a")),
    bad("a user and a password", host!(" u:p@a")),
    bad("a scheme", host!(" http://a")),
    bad("a path", host!(" a/b")),
    bad("a backslash", host!(" a\\b")),
    bad("a query", host!(" a?b")),
    bad("a fragment", host!(" a#b")),
    bad("a port of letters", host!(" a:x")),
    bad("a port with a sign", host!(" a:+80")),
    bad("two ports", host!(" a:1:2")),
    bad("a port past 16 bits", host!(" a:65536")).stricter(REFUSED, COMMA),
    bad("a bracket left open", host!(" [::1")),
    bad("an address of IPv6 without brackets", host!(" ::1")),
    bad("brackets and more", host!(" [::1]b")),
    bad("no address in brackets", host!(" [a]")),
    bad("an address with a zone", host!(" [fe80::1%25eth0]")).either(),
    bad("an umlaut", host!(" \u{e4}")),
    bad("a quote", host!(" a\"b")),
    bad("an angle bracket", host!(" a<b")),
    bad("a bar", host!(" a|b")),
    bad("a caret", host!(" a^b")),
    bad("a broken escape", host!(" a%2")),
    good(
        "plain",
        host!(" a"),
        "> GET /x HTTP/1.1\n+ host: a\n+ x-forwarded-host: a",
    ),
    good("without a space", host!("a"), GET),
    good(
        "spaces around",
        host!(" \t a \t"),
        "> GET /x HTTP/1.1\n+ host: a",
    ),
    good(
        "in capitals",
        host!(" A.Example"),
        "> GET /x HTTP/1.1\n+ host: A.Example",
    ),
    good(
        "a port",
        host!(" a:8080"),
        "> GET /x HTTP/1.1\n+ host: a:8080",
    ),
    good(
        "an empty port",
        host!(" a:"),
        "> GET /x HTTP/1.1\n+ host: a:",
    ),
    good(
        "a dot at the end",
        host!(" a."),
        "> GET /x HTTP/1.1\n+ host: a.",
    ),
    good(
        "an underscore",
        host!(" a_b"),
        "> GET /x HTTP/1.1\n+ host: a_b",
    ),
    good(
        "an address",
        host!(" 127.0.0.1:80"),
        "> GET /x HTTP/1.1\n+ host: 127.0.0.1:80",
    ),
    good(
        "an address of IPv6",
        host!(" [::1]:80"),
        "> GET /x HTTP/1.1\n+ host: [::1]:80",
    ),
    good(
        "an escape",
        host!(" a%20b"),
        "> GET /x HTTP/1.1\n+ host: a%20b",
    ),
    good(
        "all that a name may have",
        host!(" a-._~!$&'()*+;=b"),
        "> GET /x HTTP/1.1\n+ host: a-._~!$&'()*+;=b",
    ),
    good(
        "punycode",
        host!(" xn--4ca"),
        "> GET /x HTTP/1.1\n+ host: xn--4ca",
    ),
    refused(
        "behind a folded line",
        "GET /x HTTP/1.1\r\nx: y\r\n host: b\r\nhost: a\r\n\r\n",
        "9112 5.2",
        "who does not fold sees two",
    )
    .either(),
    refused(
        "a space before the colon",
        "GET /x HTTP/1.1\r\nhost : a\r\n\r\n",
        "9112 5.1",
        "must be refused",
    ),
    refused(
        "a space before the name",
        "GET /x HTTP/1.1\r\nx: y\r\n host: a\r\n\r\n",
        "9112 5.2",
        "folded, there is none",
    )
    .either(),
    passed(
        "another one in X-Forwarded-Host",
        get!("x-forwarded-host: evil\r\n"),
        "7239 8.1",
        "> GET /x HTTP/1.1\n+ host: a\n+ x-forwarded-host: a",
        "a client's word on it makes links to a host of its own",
    ),
    passed(
        "another one in X-Host, X-Original-Host and Forwarded",
        get!("x-host: evil\r\nx-original-host: evil\r\nforwarded: host=evil\r\n"),
        "7239 8.1",
        "> GET /x HTTP/1.1\n+ host: a\n- x-host\n- x-original-host\n- forwarded",
        "as above",
    ),
    passed(
        "another path in X-Original-URL and X-Rewrite-URL",
        get!("x-original-url: /admin\r\nx-rewrite-url: /admin\r\n"),
        "9110 7.1",
        "> GET /x HTTP/1.1\n- x-original-url\n- x-rewrite-url",
        "what was matched is served",
    ),
];
