//! RFC 6265bis: cookies that clients bring.

use super::{GET, REFUSED};
use crate::row::{Row, passed, refused};

const LENIENT: &str = "what a server makes of it is its own business: it passes as it came";

pub const ROWS: &[Row] = &[
    passed(
        "one",
        get!("cookie: a=b\r\n"),
        "6265bis 4.2",
        "> GET /x HTTP/1.1\n+ cookie: a=b",
        LENIENT,
    ),
    passed(
        "two in one field",
        get!("cookie: a=b; c=d\r\n"),
        "6265bis 4.2",
        "> GET /x HTTP/1.1\n+ cookie: a=b; c=d",
        LENIENT,
    ),
    passed(
        "two fields",
        get!("cookie: a=b\r\ncookie: c=d\r\n"),
        "6265bis 5.8",
        "> GET /x HTTP/1.1\n+ cookie: a=b\n+ cookie: c=d",
        "clients ought to send one; each passes",
    ),
    passed(
        "one name twice",
        get!("cookie: a=b; a=c\r\n"),
        "6265bis 5.8",
        "> GET /x HTTP/1.1\n+ cookie: a=b; a=c",
        "of two paths: the longer comes first",
    ),
    passed(
        "no name",
        get!("cookie: =b\r\n"),
        "6265bis 5.6",
        "> GET /x HTTP/1.1\n+ cookie: =b",
        LENIENT,
    ),
    passed(
        "no value",
        get!("cookie: a=\r\n"),
        "6265bis 4.2",
        "> GET /x HTTP/1.1\n+ cookie: a=",
        LENIENT,
    ),
    passed(
        "no equals sign",
        get!("cookie: a\r\n"),
        "6265bis 5.6",
        "> GET /x HTTP/1.1\n+ cookie: a",
        LENIENT,
    ),
    passed(
        "several equals signs",
        get!("cookie: a=b=c==\r\n"),
        "6265bis 5.6",
        "> GET /x HTTP/1.1\n+ cookie: a=b=c==",
        LENIENT,
    ),
    passed("empty", get!("cookie:\r\n"), "6265bis 4.2", GET, LENIENT),
    passed(
        "semicolons only",
        get!("cookie: ;;;\r\n"),
        "6265bis 4.2",
        "> GET /x HTTP/1.1\n+ cookie: ;;;",
        LENIENT,
    ),
    passed(
        "no space behind a semicolon",
        get!("cookie: a=b;c=d\r\n"),
        "6265bis 4.2",
        "> GET /x HTTP/1.1\n+ cookie: a=b;c=d",
        LENIENT,
    ),
    passed(
        "a quoted value",
        get!("cookie: a=\"b; c\"\r\n"),
        "6265bis 4.1.1",
        "> GET /x HTTP/1.1\n+ cookie: a=\"b; c\"",
        "quotes mean nothing; Python thinks otherwise",
    ),
    passed(
        "a comma",
        get!("cookie: a=b, c=d\r\n"),
        "6265bis 4.1.1",
        "> GET /x HTTP/1.1\n+ cookie: a=b, c=d",
        LENIENT,
    ),
    passed(
        "$Version",
        get!("cookie: $Version=1; a=b\r\n"),
        "6265bis 4.2",
        "> GET /x HTTP/1.1\n+ cookie: $Version=1; a=b",
        "Java reads it the old way: not ours",
    ),
    passed(
        "a letter of Latin-1",
        get!("cookie: a=\u{e4}\r\n"),
        "6265bis 5.6",
        "> GET /x HTTP/1.1\n+ cookie: a=\u{e4}",
        LENIENT,
    ),
    passed(
        "a space in a value",
        get!("cookie: a=b c\r\n"),
        "6265bis 5.6",
        "> GET /x HTTP/1.1\n+ cookie: a=b c",
        LENIENT,
    ),
    passed(
        "a tab in a value",
        get!("cookie: a=b\tc\r\n"),
        "6265bis 5.6",
        "> GET /x HTTP/1.1\n+ cookie: a=b\tc",
        LENIENT,
    ),
    passed(
        "JSON",
        get!("cookie: a={\"b\":[1,2]}\r\n"),
        "6265bis 5.6",
        "> GET /x HTTP/1.1\n+ cookie: a={\"b\":[1,2]}",
        LENIENT,
    ),
    passed(
        "__Host- and __Secure-",
        get!("cookie: __Host-a=b; __Secure-c=d\r\n"),
        "6265bis 4.1.3",
        "> GET /x HTTP/1.1\n+ cookie: __Host-a=b; __Secure-c=d",
        LENIENT,
    ),
    passed(
        "16 KiB",
        get!("cookie: a={b*16000}\r\n"),
        "6265bis 6.1",
        "> GET /x HTTP/1.1\n+ cookie: a={b*16000}",
        "50 of 4,096 bytes ought to be borne; a head has a bound",
    )
    .chosen(REFUSED, "head-bytes: 32KiB"),
    passed(
        "a hundred in one",
        get!("cookie: {a=b; *100}c=d\r\n"),
        "6265bis 6.1",
        GET,
        "50 ought to be borne",
    ),
    refused(
        "a NUL",
        get!("cookie: a=b\0\r\n"),
        "6265bis 5.6",
        "a control character",
    )
    .either(),
    refused(
        "a carriage return",
        get!("cookie: a=b\rset-cookie: c=d\r\n"),
        "6265bis 5.6",
        "a control character",
    )
    .either(),
    passed(
        "Cookie2",
        get!("cookie2: $Version=\"1\"\r\n"),
        "6265bis 9",
        "> GET /x HTTP/1.1\n+ cookie2: $Version=\"1\"",
        "a field of old",
    ),
    passed(
        "Set-Cookie in a request",
        get!("set-cookie: a=b\r\n"),
        "6265bis 4.1",
        "> GET /x HTTP/1.1\n+ set-cookie: a=b",
        "a field without a meaning there",
    ),
];
