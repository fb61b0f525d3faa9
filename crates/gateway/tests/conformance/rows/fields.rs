//! RFC 9112, 5, and RFC 9110, 5: fields.

use super::{GET, REFUSED};
use crate::row::{Answer, Row, passed, refused};

const NAME: &str = "a name is a token";
const FOLD: &str = "refused, or unfolded: readers differ in which";
const VALUE: &str = "refused, or a space: readers differ, and some end the value there";
const ALIAS: &str = "CGI and its heirs take it for the one that is trusted";
const ALIASES: &str = "`content_length`, `transfer_encoding`, `x_forwarded_…`";

pub const ROWS: &[Row] = &[
    passed(
        "an empty value",
        get!("x:\r\n"),
        "9110 5.5",
        "> GET /x HTTP/1.1\n+ x: ",
        "a value may be empty",
    ),
    passed(
        "white space around a value",
        get!("x: \t y\t \r\n"),
        "9112 5.1",
        "> GET /x HTTP/1.1\n+ x: y",
        "not part of it",
    ),
    passed(
        "no space before a value",
        get!("x:y\r\n"),
        "9112 5.1",
        "> GET /x HTTP/1.1\n+ x: y",
        "it is optional",
    ),
    passed(
        "a tab in a value",
        get!("x: y\tz\r\n"),
        "9110 5.5",
        "> GET /x HTTP/1.1\n+ x: y\tz",
        "allowed within",
    ),
    passed(
        "a letter of Latin-1 in a value",
        get!("x: \u{e4}\r\n"),
        "9110 5.5",
        "> GET /x HTTP/1.1\n+ x: \u{e4}",
        "opaque data",
    ),
    passed(
        "every byte above 127 in a value",
        get!("x: \u{80}\u{a0}\u{ff}\r\n"),
        "9110 5.5",
        "> GET /x HTTP/1.1\n+ x: \u{80}\u{a0}\u{ff}",
        "opaque data",
    ),
    passed(
        "a colon in a value",
        get!("x: y: z\r\n"),
        "9112 5",
        "> GET /x HTTP/1.1\n+ x: y: z",
        "the first one counts",
    ),
    passed(
        "a quote left open",
        get!("x: \"y\r\n"),
        "9110 5.6.4",
        "> GET /x HTTP/1.1\n+ x: \"y",
        "what a value means is its reader's business",
    ),
    passed(
        "twice",
        get!("x: 1\r\nX: 2\r\n"),
        "9110 5.3",
        "> GET /x HTTP/1.1\n+ x: 1\n+ x: 2",
        "each as it came, in order",
    ),
    passed(
        "all bytes that a name may have",
        get!("!#$%&'*+-.^_`|~09azAZ: x\r\n"),
        "9110 5.1",
        "> GET /x HTTP/1.1\n+ !#$%&'*+-.^_`|~09azAZ: x",
        NAME,
    ),
    passed(
        "an underscore",
        get!("x_y: z\r\n"),
        "9110 5.1",
        "> GET /x HTTP/1.1\n+ x_y: z",
        NAME,
    ),
    passed(
        "a name in its own letters",
        get!("X-Odd-CASE: v\r\n"),
        "9110 5.1",
        "> GET /x HTTP/1.1\n~ X-Odd-CASE: v",
        "names have no case; a few old servers think otherwise",
    ),
    passed(
        "a name of one letter",
        get!("x: y\r\n"),
        "9110 5.1",
        GET,
        NAME,
    ),
    passed(
        "a long name",
        get!("{x*1000}: y\r\n"),
        "9110 5.4",
        "> GET /x HTTP/1.1\n+ {x*1000}: y",
        "within the head's bound",
    ),
    passed(
        "a large value",
        get!("x: {y*20000}\r\n"),
        "9110 5.4",
        "> GET /x HTTP/1.1\n+ x: {y*20000}",
        "within the head's bound",
    )
    .chosen(REFUSED, "head-bytes: 32KiB"),
    passed(
        "200 of them",
        get!("{x: y\r\n*199}"),
        "9110 5.4",
        GET,
        "as many as `headers` says",
    ),
    refused(
        "201 of them",
        get!("{x: y\r\n*200}"),
        "9110 5.4",
        "more than `headers` says",
    )
    .answered(Answer::Ends(431))
    .chosen(REFUSED, "more headers than `headers`")
    .either(),
    refused(
        "a head too large",
        get!("x: {y*70000}\r\n"),
        "9110 5.4",
        "more than `head-bytes`",
    )
    .answered(Answer::Ends(431))
    .chosen(REFUSED, "a head above `head-bytes`")
    .either(),
    refused(
        "a name without an end",
        "GET /x HTTP/1.1\r\nhost: a\r\n{x*70000}",
        "9110 5.4",
        "more than `head-bytes`",
    )
    .answered(Answer::Ends(431))
    .chosen(REFUSED, "a head above `head-bytes`")
    .either(),
    refused(
        "a space before the colon",
        get!("x : z\r\n"),
        "9112 5.1",
        "must be refused: it has hidden fields",
    ),
    refused(
        "a tab before the colon",
        get!("x\t: z\r\n"),
        "9112 5.1",
        "must be refused: it has hidden fields",
    ),
    refused("a space in a name", get!("x y: z\r\n"), "9110 5.1", NAME),
    refused("an empty name", get!(": z\r\n"), "9110 5.1", NAME),
    refused("no colon", get!("x\r\n"), "9112 5", "not the grammar"),
    refused("a line of spaces", get!("x: y\r\n  \r\n"), "9112 5.2", FOLD).either(),
    refused("a NUL in a name", get!("x\0y: z\r\n"), "9110 5.1", NAME),
    refused("a delete in a name", get!("x\x7f: z\r\n"), "9110 5.1", NAME),
    refused(
        "an umlaut in a name",
        get!("\u{e4}: z\r\n"),
        "9110 5.1",
        NAME,
    ),
    refused(
        "UTF-8 in a name",
        get!("x\u{c3}\u{a4}: z\r\n"),
        "9110 5.1",
        NAME,
    ),
    refused("parentheses", get!("(x): z\r\n"), "9110 5.1", NAME),
    refused("an angle bracket", get!("<x: z\r\n"), "9110 5.1", NAME),
    refused("an at sign", get!("x@y: z\r\n"), "9110 5.1", NAME),
    refused("a comma", get!("x,y: z\r\n"), "9110 5.1", NAME),
    refused("a semicolon", get!("x;y: z\r\n"), "9110 5.1", NAME),
    refused("a backslash", get!("x\\y: z\r\n"), "9110 5.1", NAME),
    refused("a quoted name", get!("\"x\": z\r\n"), "9110 5.1", NAME),
    refused("a slash", get!("x/y: z\r\n"), "9110 5.1", NAME),
    refused("square brackets", get!("x[y]: z\r\n"), "9110 5.1", NAME),
    refused("a question mark", get!("x?: z\r\n"), "9110 5.1", NAME),
    refused("an equals sign", get!("x=y: z\r\n"), "9110 5.1", NAME),
    refused("braces", get!("{x}: z\r\n"), "9110 5.1", NAME),
    refused(
        "a colon first",
        get!(":x: z\r\n"),
        "9110 5.1",
        "as HTTP/2 writes its own",
    ),
    refused(
        "a request line for a field",
        get!("GET /y HTTP/1.1\r\n"),
        "9112 5",
        "not the grammar",
    ),
    refused(
        "folded with a space",
        get!("x: y\r\n z\r\n"),
        "9112 5.2",
        FOLD,
    )
    .either(),
    refused(
        "folded with a tab",
        get!("x: y\r\n\tz\r\n"),
        "9112 5.2",
        FOLD,
    )
    .either(),
    refused(
        "folded twice",
        get!("x: y\r\n z\r\n z\r\n"),
        "9112 5.2",
        FOLD,
    )
    .either(),
    refused(
        "a fold before the value",
        get!("x:\r\n y\r\n"),
        "9112 5.2",
        FOLD,
    )
    .either(),
    refused(
        "a fold before the colon",
        get!("x\r\n : y\r\n"),
        "9112 5",
        "a line without a colon",
    ),
    refused("a NUL in a value", get!("x: y\0z\r\n"), "9110 5.5", VALUE).either(),
    refused(
        "a carriage return in a value",
        get!("x: y\rz\r\n"),
        "9110 5.5",
        VALUE,
    )
    .either(),
    refused(
        "two carriage returns at an end",
        get!("x: y\r\r\n"),
        "9110 5.5",
        VALUE,
    )
    .either(),
    refused(
        "a field behind a carriage return",
        get!("x: y\rcookie: z\r\n"),
        "9110 5.5",
        VALUE,
    )
    .either(),
    refused(
        "a field behind a line feed",
        get!("x: y\ncookie: z\r\n"),
        "9112 2.2",
        "a line may end there, or not",
    )
    .either(),
    refused(
        "a bell in a value",
        get!("x: \x07\r\n"),
        "9110 5.5",
        "invalid; may be kept where it does no harm",
    )
    .either(),
    refused(
        "a delete in a value",
        get!("x: \x7f\r\n"),
        "9110 5.5",
        "as above",
    )
    .either(),
    refused(
        "an escape in a value",
        get!("x: \x1b[0m\r\n"),
        "9110 5.5",
        "as above: terminals show logs",
    )
    .either(),
    refused(
        "a vertical tab in a value",
        get!("x: y\x0bz\r\n"),
        "9110 5.5",
        "as above",
    )
    .either(),
    refused(
        "an alias of X-Forwarded-For",
        get!("x_forwarded_for: 1.2.3.4\r\n"),
        "9110 5.1",
        ALIAS,
    )
    .stricter(REFUSED, ALIASES),
    refused(
        "an alias of X-Forwarded-For, half spelled",
        get!("x-forwarded_for: 1.2.3.4\r\n"),
        "9110 5.1",
        ALIAS,
    )
    .stricter(REFUSED, ALIASES),
    refused(
        "an alias of X-Real-IP",
        get!("x.real.ip: 1.2.3.4\r\n"),
        "9110 5.1",
        ALIAS,
    )
    .stricter(REFUSED, "`x.real.ip` as well"),
    refused(
        "an alias of X-Consumer-Username",
        get!("x_consumer_username: root\r\n"),
        "9110 5.1",
        ALIAS,
    )
    .stricter(REFUSED, "`x_consumer_…`"),
    refused(
        "an alias of X-Banyan-Identity",
        get!("X_Banyan_Identity: root\r\n"),
        "9110 5.1",
        ALIAS,
    )
    .stricter(REFUSED, "`x_banyan_…`"),
    refused(
        "an alias of Content-Length",
        get!("content_length: 5\r\n"),
        "9110 5.1",
        ALIAS,
    )
    .stricter(REFUSED, ALIASES),
    refused(
        "an alias of Transfer-Encoding",
        get!("Transfer_Encoding: chunked\r\n"),
        "9110 5.1",
        ALIAS,
    )
    .stricter(REFUSED, ALIASES),
    passed(
        "who the client says that it is",
        get!("x-forwarded-for: 1.2.3.4\r\nx-real-ip: 1.2.3.4\r\nx-consumer-username: root\r\n"),
        "7239 8.1",
        "> GET /x HTTP/1.1\n+ x-forwarded-for: 127.0.0.1\n+ x-real-ip: 127.0.0.1\n- x-consumer-username",
        "the gateway says it",
    ),
    passed(
        "addresses by other names",
        get!(
            "client-ip: 1.2.3.4\r\ntrue-client-ip: 1.2.3.4\r\ncf-connecting-ip: 1.2.3.4\r\nforwarded: for=1.2.3.4\r\n"
        ),
        "7239 8.1",
        "> GET /x HTTP/1.1\n- client-ip\n- true-client-ip\n- cf-connecting-ip\n- forwarded",
        "as above",
    ),
    passed(
        "ranges by the thousand",
        get!("range: bytes={0-,*1000}0-\r\n"),
        "9110 14.2",
        GET,
        "the origin may ignore it",
    ),
    passed(
        "shellshock",
        get!("user-agent: () { :; }; echo x\r\n"),
        "9110 5.5",
        "> GET /x HTTP/1.1\n+ user-agent: () { :; }; echo x",
        "a value is data",
    ),
];
