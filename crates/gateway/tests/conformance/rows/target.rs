//! RFC 9112, 3.2, and RFC 3986: what is asked for.

use super::{GET, PATHS, REFUSED};
use crate::row::{Answer, Row, passed, refused};

const ALONE: Answer = Answer::Refuses(400);

const DOTS: &str = "Segments `.` and `..` are refused with 400";
const BROKEN: &str = "Broken escapes, `%00`, `%0a` and `%0d` are refused";
const ODD_BYTES: &str =
    "not of the grammar, but browsers and programs send it, and it has one reading";
const LITERAL: &str = "what servers differ in passes untouched where no route hangs on it";
const RESOLVED: &str = "clients resolve them; who sends them is after what a server makes of them";
const FORMS: &str = "targets other than `/…`, `http://…`, `OPTIONS *`";

pub const ROWS: &[Row] = &[
    passed(
        "the root",
        first!("GET / HTTP/1.1"),
        "9112 3.2.1",
        "> GET / HTTP/1.1",
        "a path",
    ),
    passed(
        "an empty query",
        first!("GET /x? HTTP/1.1"),
        "3986 3.4",
        "> GET /x? HTTP/1.1",
        "not the same as none",
    ),
    passed(
        "an odd query",
        first!("GET /x?a=b&c=%20?/:@ HTTP/1.1"),
        "3986 3.4",
        "> GET /x?a=b&c=%20?/:@ HTTP/1.1",
        "the query is the application's",
    ),
    passed(
        "dots in a query",
        first!("GET /x?p=/../y HTTP/1.1"),
        "3986 3.4",
        "> GET /x?p=/../y HTTP/1.1",
        "segments are those of the path",
    ),
    passed(
        "a broken escape in a query",
        first!("GET /x?a=%2&b=%zz HTTP/1.1"),
        "3986 2.1",
        "> GET /x?a=%2&b=%zz HTTP/1.1",
        "not of the grammar; the query decides nothing here",
    )
    .lenient(PATHS, "The query is neither read nor changed"),
    passed(
        "all that a path may have",
        first!("GET /x-._~!$&'()*+,;=:@/y HTTP/1.1"),
        "3986 3.3",
        "> GET /x-._~!$&'()*+,;=:@/y HTTP/1.1",
        LITERAL,
    ),
    passed(
        "two slashes first",
        first!("GET //x HTTP/1.1"),
        "3986 3.3",
        "> GET //x HTTP/1.1",
        LITERAL,
    ),
    passed(
        "two slashes within",
        first!("GET /x//y HTTP/1.1"),
        "3986 3.3",
        "> GET /x//y HTTP/1.1",
        LITERAL,
    ),
    passed(
        "a slash last",
        first!("GET /x/ HTTP/1.1"),
        "3986 3.3",
        "> GET /x/ HTTP/1.1",
        LITERAL,
    ),
    passed(
        "parameters",
        first!("GET /x;a=b/y HTTP/1.1"),
        "3986 3.3",
        "> GET /x;a=b/y HTTP/1.1",
        LITERAL,
    ),
    passed(
        "an escaped slash",
        first!("GET /x%2fy HTTP/1.1"),
        "3986 2.2",
        "> GET /x%2fy HTTP/1.1",
        LITERAL,
    ),
    passed(
        "an escaped backslash",
        first!("GET /x%5Cy HTTP/1.1"),
        "3986 2.1",
        "> GET /x%5Cy HTTP/1.1",
        LITERAL,
    ),
    passed(
        "an escaped escape",
        first!("GET /x%252fy HTTP/1.1"),
        "3986 2.4",
        "> GET /x%252fy HTTP/1.1",
        "decoded once, never twice",
    ),
    passed(
        "an escaped umlaut",
        first!("GET /x%C3%A4 HTTP/1.1"),
        "3986 2.5",
        "> GET /x%C3%A4 HTTP/1.1",
        LITERAL,
    ),
    passed(
        "an escaped byte of no text",
        first!("GET /x%ff HTTP/1.1"),
        "3986 2.1",
        "> GET /x%ff HTTP/1.1",
        LITERAL,
    ),
    passed(
        "escapes of what needs none",
        first!("GET /%78%2d%7E HTTP/1.1"),
        "3986 6.2.2.2",
        "> GET /x-~ HTTP/1.1",
        "equivalent: matched and forwarded as one text",
    ),
    passed(
        "dots that are no segment",
        first!("GET /x..y/.z/... HTTP/1.1"),
        "3986 3.3",
        "> GET /x..y/.z/... HTTP/1.1",
        "names with dots",
    ),
    refused(
        "a segment of two dots",
        first!("GET /x/../y HTTP/1.1"),
        "3986 6.2.2.3",
        RESOLVED,
    )
    .answered(ALONE)
    .stricter(PATHS, DOTS),
    refused(
        "a segment of a dot",
        first!("GET /./x HTTP/1.1"),
        "3986 6.2.2.3",
        RESOLVED,
    )
    .answered(ALONE)
    .stricter(PATHS, DOTS),
    refused(
        "two dots at the end",
        first!("GET /x/.. HTTP/1.1"),
        "3986 6.2.2.3",
        RESOLVED,
    )
    .answered(ALONE)
    .stricter(PATHS, DOTS),
    refused(
        "escaped dots",
        first!("GET /x/%2e%2E/y HTTP/1.1"),
        "3986 6.2.2.2",
        RESOLVED,
    )
    .answered(ALONE)
    .stricter(PATHS, "also escaped (`%2e`)"),
    refused(
        "dots and parameters",
        first!("GET /x/..;a=b/y HTTP/1.1"),
        "3986 3.3",
        RESOLVED,
    )
    .answered(ALONE)
    .stricter(PATHS, "or with parameters (`..;x`)"),
    refused(
        "dots behind an escaped slash",
        first!("GET /x%2f..%2fy HTTP/1.1"),
        "3986 2.2",
        RESOLVED,
    )
    .answered(ALONE)
    .stricter(PATHS, "behind an escaped or a back slash"),
    refused(
        "an escaped NUL",
        first!("GET /x%00 HTTP/1.1"),
        "3986 2.1",
        "servers end the name there",
    )
    .answered(ALONE)
    .stricter(PATHS, BROKEN),
    refused(
        "an escaped line end",
        first!("GET /x%0d%0ahost:%20b HTTP/1.1"),
        "3986 2.1",
        "who decodes it into a head of its own has another head",
    )
    .answered(ALONE)
    .stricter(PATHS, BROKEN),
    passed(
        "an escaped delete",
        first!("GET /x%7f HTTP/1.1"),
        "3986 2.1",
        "> GET /x%7f HTTP/1.1",
        "it ends neither a line nor a text",
    ),
    refused(
        "an escape of one digit",
        first!("GET /x%2 HTTP/1.1"),
        "3986 2.1",
        "not the grammar",
    )
    .answered(ALONE),
    refused(
        "an escape of no digits",
        first!("GET /x%zz HTTP/1.1"),
        "3986 2.1",
        "not the grammar",
    )
    .answered(ALONE),
    refused(
        "a percent sign alone",
        first!("GET /x% HTTP/1.1"),
        "3986 2.1",
        "not the grammar",
    )
    .answered(ALONE),
    refused(
        "an escape of %u",
        first!("GET /x%u002e HTTP/1.1"),
        "3986 2.1",
        "IIS alone knew it",
    )
    .answered(ALONE),
    refused(
        "a fragment",
        first!("GET /x#y HTTP/1.1"),
        "9112 3.2",
        "parsers further on drop it in silence, and match another path",
    ),
    refused(
        "an escaped path with a fragment in its query",
        first!("GET /x?a#b HTTP/1.1"),
        "9112 3.2",
        "as above",
    ),
    refused(
        "a NUL",
        first!("GET /x\0 HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    refused(
        "a tab",
        first!("GET /x\ty HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    refused(
        "a carriage return",
        first!("GET /x\ry HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    refused(
        "a delete",
        first!("GET /x\x7f HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    refused(
        "an escape character",
        first!("GET /x\x1b HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    passed(
        "brackets",
        first!("GET /<x> HTTP/1.1"),
        "9112 3.2",
        "> GET /<x> HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "a quote",
        first!("GET /\"x\" HTTP/1.1"),
        "9112 3.2",
        "> GET /\"x\" HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "a quote in a query",
        first!("GET /x?q=\"<a>\" HTTP/1.1"),
        "9112 3.2",
        "> GET /x?q=\"<a>\" HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "a letter of Latin-1",
        first!("GET /x\u{e4} HTTP/1.1"),
        "9112 3.2",
        "> GET /x%E4 HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "a letter of UTF-8",
        first!("GET /x\u{c3}\u{a4} HTTP/1.1"),
        "9112 3.2",
        "> GET /x\u{c3}\u{a4} HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "a letter of Latin-1 in a query",
        first!("GET /x?q=\u{e4} HTTP/1.1"),
        "9112 3.2",
        "> GET /x?q=\u{e4} HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "braces",
        first!("GET /{x} HTTP/1.1"),
        "9112 3.2",
        "> GET /{x} HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "a bar",
        first!("GET /x|y HTTP/1.1"),
        "9112 3.2",
        "> GET /x|y HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "a caret",
        first!("GET /x^y HTTP/1.1"),
        "9112 3.2",
        "> GET /x^y HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "a backquote",
        first!("GET /x`y HTTP/1.1"),
        "9112 3.2",
        "> GET /x`y HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "a backslash",
        first!("GET /x\\y HTTP/1.1"),
        "9112 3.2",
        "> GET /x\\y HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "square brackets",
        first!("GET /x[0]?a[]=1 HTTP/1.1"),
        "9112 3.2",
        "> GET /x[0]?a[]=1 HTTP/1.1",
        ODD_BYTES,
    )
    .either(),
    passed(
        "an address",
        first!("GET http://a/x HTTP/1.1"),
        "9112 3.2.2",
        "> GET /x HTTP/1.1\n+ host: a",
        "every server must take it",
    ),
    passed(
        "an address with a scheme in capitals",
        first!("GET HTTP://a/x HTTP/1.1"),
        "3986 3.1",
        GET,
        "schemes have no case",
    ),
    passed(
        "an address without a path",
        first!("GET http://a HTTP/1.1"),
        "9112 3.2.1",
        "> GET / HTTP/1.1",
        "an empty path is /",
    ),
    passed(
        "an address with a query only",
        first!("GET http://a?y HTTP/1.1"),
        "9112 3.2.1",
        "> GET /?y HTTP/1.1",
        "an empty path is /",
    ),
    passed(
        "an address with the scheme's port",
        first!("GET http://a:80/x HTTP/1.1"),
        "9110 4.2.3",
        GET,
        "the same as without",
    ),
    passed(
        "an address with a host in capitals",
        first!("GET http://A/x HTTP/1.1"),
        "3986 6.2.2.1",
        GET,
        "hosts have no case",
    ),
    refused(
        "an address of another host",
        first!("GET http://b/x HTTP/1.1"),
        "9112 3.2.2",
        "the target's host counts; but routes, caches and logs go by either",
    )
    .answered(ALONE)
    .stricter(REFUSED, "one that differs from the target's"),
    refused(
        "an address with another port",
        first!("GET http://a:81/x HTTP/1.1"),
        "9112 3.2.2",
        "as above",
    )
    .answered(ALONE)
    .stricter(REFUSED, "one that differs from the target's"),
    refused(
        "an address with a user",
        first!("GET http://u@a/x HTTP/1.1"),
        "9110 4.2.4",
        "it makes one host look like another",
    )
    .answered(ALONE),
    refused(
        "an address without a host",
        first!("GET http:///x HTTP/1.1"),
        "9110 4.2.1",
        "an empty host is invalid",
    )
    .answered(ALONE),
    refused(
        "an address with a port only",
        first!("GET http://:80/x HTTP/1.1"),
        "9110 4.2.1",
        "an empty host is invalid",
    )
    .answered(ALONE),
    refused(
        "an address with one slash",
        first!("GET http:/a/x HTTP/1.1"),
        "9112 3.2.2",
        "no authority",
    )
    .answered(ALONE),
    refused(
        "an address with a bad port",
        first!("GET http://a:x/x HTTP/1.1"),
        "3986 3.2.3",
        "a port has digits",
    )
    .answered(ALONE),
    refused(
        "an address of two schemes",
        first!("GET http://http://a/x HTTP/1.1"),
        "3986 3.2",
        "`http` with an empty port is no host of ours",
    )
    .answered(ALONE)
    .either(),
    refused(
        "an address with a fragment",
        first!("GET http://a/x#y HTTP/1.1"),
        "9112 3.2.2",
        "as in a path",
    ),
    refused(
        "an address with a backslash",
        first!("GET http://a\\b/x HTTP/1.1"),
        "3986 3.2.2",
        "browsers read another host",
    )
    .answered(ALONE),
    refused(
        "an address with dots",
        first!("GET http://a/../x HTTP/1.1"),
        "3986 6.2.2.3",
        RESOLVED,
    )
    .answered(ALONE)
    .stricter(PATHS, DOTS),
    refused(
        "an address of https",
        first!("GET https://a/x HTTP/1.1"),
        "9110 7.4",
        "not over this connection: it is for somebody else",
    )
    .answered(ALONE)
    .either(),
    refused(
        "an address of ftp",
        first!("GET ftp://a/x HTTP/1.1"),
        "9110 7.1",
        "a proxy's business",
    )
    .answered(ALONE)
    .either(),
    refused(
        "an address of a file",
        first!("GET file:///x HTTP/1.1"),
        "9110 7.1",
        "nobody's business",
    )
    .answered(ALONE)
    .either(),
    refused(
        "an asterisk for GET",
        first!("GET * HTTP/1.1"),
        "9112 3.2.4",
        "it is for OPTIONS",
    ),
    refused(
        "no slash",
        first!("GET x HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    refused(
        "a host and a port",
        first!("GET a:1 HTTP/1.1"),
        "9112 3.2.3",
        "it is for CONNECT",
    ),
    refused(
        "a host and a path",
        first!("GET a/x HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    refused(
        "a query only",
        first!("GET ?x HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    refused(
        "a dot and a slash",
        first!("GET ./x HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    refused(
        "an at sign and a host",
        first!("GET @b/x HTTP/1.1"),
        "9112 3.2",
        "an upstream's address put together with it would be another one",
    ),
    refused(
        "a backslash for the slash",
        first!("GET \\x HTTP/1.1"),
        "9112 3.2",
        "not the grammar",
    ),
    refused(
        "an asterisk and more",
        first!("OPTIONS *x HTTP/1.1"),
        "9112 3.2.4",
        FORMS,
    ),
];
