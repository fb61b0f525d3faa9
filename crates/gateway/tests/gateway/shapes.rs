//! Requests that some servers frame differently than others, and odd ones that
//! all frame alike.

/// A request that must be refused.
pub struct Bad {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub status: u16,
}

/// Behind each bad one: what an attacker would like to get through.
pub const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

fn bad(name: &'static str, status: u16, bytes: impl Into<Vec<u8>>) -> Bad {
    let mut bytes = bytes.into();
    bytes.extend_from_slice(SMUGGLED.as_bytes());
    Bad {
        name,
        bytes,
        status,
    }
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /x HTTP/1.1\r\nhost: a\r\n{fields}\r\n{body}")
}

fn get(fields: &str) -> String {
    format!("GET /x HTTP/1.1\r\nhost: a\r\n{fields}\r\n")
}

const TE: &str = "transfer-encoding: chunked\r\n";

/// Those whose head gives them away: nothing of them may reach an upstream.
pub fn bad_heads() -> Vec<Bad> {
    let mut all = lengths_and_encodings();
    all.extend(lines_and_names());
    all.extend(request_lines());
    all
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn lengths_and_encodings() -> Vec<Bad> {
    let zero = "0\r\n\r\n";
    let named = [
        ("CL.TE", format!("content-length: 6\r\n{TE}")),
        ("TE.CL", format!("{TE}content-length: 3\r\n")),
        ("CL.TE, length 0", format!("content-length: 0\r\n{TE}")),
        (
            "CL.TE, TE hidden",
            "content-length: 5\r\nTransfer-Encoding: xchunked\r\n".into(),
        ),
        (
            "two lengths that differ",
            "content-length: 5\r\ncontent-length: 6\r\n".into(),
        ),
        (
            "two lengths alike",
            "content-length: 5\r\ncontent-length: 5\r\n".into(),
        ),
        (
            "two lengths, one with another case",
            "content-length: 5\r\nCONTENT-LENGTH: 5\r\n".into(),
        ),
        ("a list of lengths", "content-length: 5, 5\r\n".into()),
        ("a list of one length", "content-length: 5,\r\n".into()),
        ("length with a plus", "content-length: +5\r\n".into()),
        ("length with a minus", "content-length: -5\r\n".into()),
        (
            "length with a space in it",
            "content-length: 0 5\r\n".into(),
        ),
        ("length in hex", "content-length: 0x5\r\n".into()),
        ("length with a point", "content-length: 5.0\r\n".into()),
        ("length with an exponent", "content-length: 5e0\r\n".into()),
        (
            "length with an underscore",
            "content-length: 0_5\r\n".into(),
        ),
        ("quoted length", "content-length: \"5\"\r\n".into()),
        ("empty length", "content-length:\r\n".into()),
        (
            "length past 63 bits",
            "content-length: 9223372036854775808\r\n".into(),
        ),
        (
            "length past 64 bits",
            "content-length: 18446744073709551621\r\n".into(),
        ),
        (
            "length with other digits",
            "content-length: \u{665}\r\n".into(),
        ),
        ("TE.TE", format!("{TE}{TE}")),
        (
            "TE.TE, one of them unknown",
            format!("{TE}transfer-encoding: x\r\n"),
        ),
        (
            "TE.TE, the unknown one first",
            format!("transfer-encoding: x\r\n{TE}"),
        ),
        ("TE identity", "transfer-encoding: identity\r\n".into()),
        ("TE gzip", "transfer-encoding: gzip\r\n".into()),
        (
            "TE gzip, chunked",
            "transfer-encoding: gzip, chunked\r\n".into(),
        ),
        (
            "TE chunked, identity",
            "transfer-encoding: chunked, identity\r\n".into(),
        ),
        (
            "TE chunked, chunked",
            "transfer-encoding: chunked, chunked\r\n".into(),
        ),
        (
            "TE with a comma before",
            "transfer-encoding: ,chunked\r\n".into(),
        ),
        (
            "TE with a parameter",
            "transfer-encoding: chunked;q=1\r\n".into(),
        ),
        ("TE quoted", "transfer-encoding: \"chunked\"\r\n".into()),
        (
            "TE with a letter before",
            "transfer-encoding: xchunked\r\n".into(),
        ),
        (
            "TE with a letter behind",
            "transfer-encoding: chunkedx\r\n".into(),
        ),
        ("TE cut short", "transfer-encoding: chunke\r\n".into()),
        ("TE empty", "transfer-encoding:\r\n".into()),
        (
            "TE with a vertical tab before",
            "transfer-encoding: \x0bchunked\r\n".into(),
        ),
        (
            "TE with a form feed behind",
            "transfer-encoding: chunked\x0c\r\n".into(),
        ),
        (
            "TE with a space in its name",
            "transfer-encoding : chunked\r\n".into(),
        ),
        (
            "TE with a tab in its name",
            "transfer-encoding\t: chunked\r\n".into(),
        ),
        (
            "TE on a line of its own",
            "transfer-encoding:\r\n chunked\r\n".into(),
        ),
        (
            "TE after a bare line feed",
            "x: y\ntransfer-encoding: chunked\r\n".into(),
        ),
        (
            "TE after a bare carriage return",
            "x: y\rtransfer-encoding: chunked\r\n".into(),
        ),
        ("TE after a folded line", format!("x: y\r\n\t{TE}")),
        ("TE in a fold of the first line", format!(" {TE}")),
        (
            "TE with an underscore",
            "transfer_encoding: chunked\r\n".into(),
        ),
        ("CL with an underscore", "content_length: 5\r\n".into()),
        (
            "CL with a NUL in its name",
            "content-length\0: 5\r\n".into(),
        ),
    ];
    let mut all: Vec<Bad> = named
        .into_iter()
        .map(|(name, fields)| bad(name, 400, post(&fields, zero)))
        .collect();
    let byte = |value: &[u8]| {
        let start = b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: ";
        [start, value, b"\r\n\r\n0\r\n\r\n"].concat()
    };
    all.push(bad("TE with a no-break space", 400, byte(b"\xa0chunked")));
    all.push(bad(
        "TE with a next-line character",
        400,
        byte(b"chunked\x85"),
    ));
    all.push(bad(
        "TE in HTTP/1.0",
        400,
        format!("POST /x HTTP/1.0\r\nhost: a\r\n{TE}\r\n{zero}"),
    ));
    all
}

fn lines_and_names() -> Vec<Bad> {
    let long = format!("x: {}\r\n", "y".repeat(40_000));
    let many = "x: y\r\n".repeat(201);
    [
        ("a folded header", 400, get("x: y\r\n z\r\n")),
        ("a header folded with a tab", 400, get("x: y\r\n\tz\r\n")),
        ("a fold of nothing", 400, get("x: y\r\n \r\n")),
        ("a NUL in a value", 400, get("x: y\0z\r\n")),
        ("a carriage return in a value", 400, get("x: y\rz\r\n")),
        ("two carriage returns at an end", 400, get("x: y\r\r\n")),
        ("a bell in a value", 400, get("x: \x07\r\n")),
        ("a delete in a value", 400, get("x: \x7f\r\n")),
        ("an escape in a value", 400, get("x: \x1b[0m\r\n")),
        ("a NUL in a name", 400, get("x\0y: z\r\n")),
        ("a space in a name", 400, get("x y: z\r\n")),
        ("a space before the colon", 400, get("x : z\r\n")),
        ("no colon", 400, get("x\r\n")),
        ("an empty name", 400, get(": z\r\n")),
        ("a name with an umlaut", 400, get("\u{e4}: z\r\n")),
        ("a name in brackets", 400, get("(x): z\r\n")),
        (
            "a forged address with an underscore",
            400,
            get("x_forwarded_for: 1.2.3.4\r\n"),
        ),
        ("no host", 400, "GET /x HTTP/1.1\r\n\r\n".into()),
        ("two hosts", 400, get("host: b\r\n")),
        (
            "a host that is a list",
            400,
            "GET /x HTTP/1.1\r\nhost: a, b\r\n\r\n".into(),
        ),
        (
            "a host with a user",
            400,
            "GET /x HTTP/1.1\r\nhost: u@a\r\n\r\n".into(),
        ),
        (
            "a host with a space before",
            400,
            "GET /x HTTP/1.1\r\n host: a\r\n\r\n".into(),
        ),
        (
            "bare line feeds only",
            400,
            "GET /x HTTP/1.1\nhost: a\n\n".into(),
        ),
        (
            "a bare line feed at the end",
            400,
            "GET /x HTTP/1.1\r\nhost: a\r\n\n".into(),
        ),
        (
            "a line feed, a carriage return",
            400,
            "GET /x HTTP/1.1\n\rhost: a\n\r\n\r".into(),
        ),
        ("a head too large", 431, get(&long)),
        ("too many headers", 431, get(&many)),
    ]
    .into_iter()
    .map(|(name, status, bytes)| bad(name, status, bytes))
    .collect()
}

fn request_lines() -> Vec<Bad> {
    [
        ("HTTP/0.9", "GET /x"),
        ("HTTP/0.9 with a version", "GET /x HTTP/0.9"),
        ("HTTP/1.2", "GET /x HTTP/1.2"),
        ("HTTP/1", "GET /x HTTP/1"),
        ("HTTP/1.10", "GET /x HTTP/1.10"),
        ("HTTP/2.0", "GET /x HTTP/2.0"),
        ("a version in lower case", "GET /x http/1.1"),
        ("another protocol", "GET /x HTTPS/1.1"),
        ("two spaces after the method", "GET  /x HTTP/1.1"),
        ("two spaces before the version", "GET /x  HTTP/1.1"),
        ("a space at the end", "GET /x HTTP/1.1 "),
        ("a space before", " GET /x HTTP/1.1"),
        ("a tab between", "GET\t/x HTTP/1.1"),
        ("a space in the target", "GET /x y HTTP/1.1"),
        (
            "a request line in the target",
            "GET /x HTTP/1.1 GET /y HTTP/1.1",
        ),
        ("a NUL in the target", "GET /x\0 HTTP/1.1"),
        ("a carriage return in the target", "GET /x\r HTTP/1.1"),
        ("a fragment", "GET /x#y HTTP/1.1"),
        ("a target without a slash", "GET x HTTP/1.1"),
        ("a target with another scheme", "GET ftp://a/x HTTP/1.1"),
        ("a target of another host", "GET http://b/x HTTP/1.1"),
        ("an asterisk for GET", "GET * HTTP/1.1"),
        ("CONNECT", "CONNECT a:1 HTTP/1.1"),
        ("no method", " /x HTTP/1.1"),
        ("a method with brackets", "G[T /x HTTP/1.1"),
        ("a method with a colon", "GET: /x HTTP/1.1"),
        ("HTTP/2's preface", "PRI * HTTP/2.0"),
        ("a dot segment", "GET /x/../y HTTP/1.1"),
        ("an escaped dot segment", "GET /x/%2e%2e/y HTTP/1.1"),
        ("an escaped NUL", "GET /x%00 HTTP/1.1"),
        ("a broken escape", "GET /x%2 HTTP/1.1"),
        ("an empty line too many before", "\r\n\r\nGET /x HTTP/1.1"),
        ("a bare line feed before", "\nGET /x HTTP/1.1"),
        ("garbage", "\x16\x03\x01\x02"),
    ]
    .into_iter()
    .map(|(name, line)| bad(name, 400, format!("{line}\r\nhost: a\r\n\r\n")))
    .collect()
}

/// Those with a malformed body: they fail, and are never taken for whole.
pub fn bad_bodies() -> Vec<Bad> {
    let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "y".repeat(300));
    [
        ("chunk size with a plus", "+5\r\nhello\r\n0\r\n\r\n"),
        ("chunk size with a minus", "-5\r\nhello\r\n0\r\n\r\n"),
        ("chunk size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("chunk size with a space before", " 5\r\nhello\r\n0\r\n\r\n"),
        ("chunk size with a space behind", "5 \r\nhello\r\n0\r\n\r\n"),
        ("chunk size with a tab behind", "5\t\r\nhello\r\n0\r\n\r\n"),
        ("chunk size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
        (
            "chunk size with a letter too high",
            "5g\r\nhello\r\n0\r\n\r\n",
        ),
        ("chunk size missing", "\r\nhello\r\n0\r\n\r\n"),
        (
            "chunk size of 17 digits",
            "00000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "chunk size past 64 bits",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "chunk size past 63 bits",
            "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        ("chunk size with a bare line feed", "5\nhello\r\n0\r\n\r\n"),
        (
            "chunk size with a carriage return",
            "5\rX\nhello\r\n0\r\n\r\n",
        ),
        (
            "chunk extension with a bare line feed",
            "5;x\nhello\r\n0\r\n\r\n",
        ),
        (
            "chunk extension with a carriage return",
            "5;x\ry\r\nhello\r\n0\r\n\r\n",
        ),
        ("chunk extension with a NUL", "5;\0\r\nhello\r\n0\r\n\r\n"),
        ("a chunk extension too long", long.as_str()),
        (
            "a chunk extension without a name",
            "5;\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "a chunk extension that is none",
            "5;GET /x HTTP/1.1\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "a chunk extension with an open quote",
            "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "the last chunk with an extension that is none",
            "5\r\nhello\r\n0;\r\n\r\n",
        ),
        ("chunk longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
        ("chunk ended by a bare line feed", "5\r\nhello\n0\r\n\r\n"),
        ("chunk ended by a carriage return", "5\r\nhello\r0\r\n\r\n"),
        ("chunk without an end", "5\r\nhello0\r\n\r\n"),
        ("last chunk with a bare line feed", "5\r\nhello\r\n0\n\r\n"),
        ("body ended by a bare line feed", "5\r\nhello\r\n0\r\n\n"),
        (
            "a trailer with a bare line feed",
            "5\r\nhello\r\n0\r\nx: y\n\r\n",
        ),
        (
            "a trailer that is a length",
            "5\r\nhello\r\n0\r\ncontent-length: 9\r\n\r\n",
        ),
        (
            "a trailer that is an encoding",
            "5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        (
            "a trailer that is a host",
            "5\r\nhello\r\n0\r\nhost: b\r\n\r\n",
        ),
        (
            "a trailer without a colon",
            "5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
        ),
        ("a folded trailer", "5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n"),
        ("a trailer with a NUL", "5\r\nhello\r\n0\r\nx: \0\r\n\r\n"),
    ]
    .into_iter()
    .map(|(name, body)| bad(name, 400, post(TE, body)))
    .collect()
}

/// An odd request that all frame alike.
pub struct Good {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Request lines and bodies that come out.
    pub seen: Vec<(&'static str, Vec<u8>)>,
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub fn good() -> Vec<Good> {
    let one = |name, bytes: String, line, body: &[u8]| Good {
        name,
        bytes: bytes.into(),
        seen: vec![(line, body.to_vec())],
    };
    let (get_x, post_x) = ("GET /x HTTP/1.1", "POST /x HTTP/1.1");
    let all: Vec<u8> = (0..=255).collect();
    let mut every_byte = post("content-length: 256\r\n", "").into_bytes();
    every_byte.extend_from_slice(&all);
    let mut every_byte_chunked = post(TE, "100\r\n").into_bytes();
    every_byte_chunked.extend_from_slice(&all);
    every_byte_chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    vec![
        one("plain", get(""), get_x, b""),
        one(
            "one empty line before",
            format!("\r\n{}", get("")),
            get_x,
            b"",
        ),
        one("an empty value", get("x:\r\n"), get_x, b""),
        one(
            "spaces and tabs around a value",
            get("x: \t y\t \r\n"),
            get_x,
            b"",
        ),
        one("no space before a value", get("x:y\r\n"), get_x, b""),
        one("a tab in a value", get("x: y\tz\r\n"), get_x, b""),
        one("other bytes in a value", get("x: \u{e4}\r\n"), get_x, b""),
        one("an underscore in a name", get("x_y: z\r\n"), get_x, b""),
        one(
            "all bytes that a name may have",
            get("!#$%&'*+-.^_`|~09azAZ: x\r\n"),
            get_x,
            b"",
        ),
        one(
            "exactly as many headers as may be",
            get(&"x: y\r\n".repeat(99)),
            get_x,
            b"",
        ),
        one(
            "GET with a body",
            "GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello".into(),
            get_x,
            b"hello",
        ),
        one(
            "a length of zero",
            post("content-length: 0\r\n", ""),
            post_x,
            b"",
        ),
        one(
            "a length with zeros before",
            post("content-length: 0005\r\n", "hello"),
            post_x,
            b"hello",
        ),
        one(
            "a body like a request",
            post(&format!("content-length: {}\r\n", SMUGGLED.len()), SMUGGLED),
            post_x,
            SMUGGLED.as_bytes(),
        ),
        one(
            "chunked in capitals",
            post("TRANSFER-ENCODING: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            post_x,
            b"hello",
        ),
        one("no chunk", post(TE, "0\r\n\r\n"), post_x, b""),
        one(
            "chunks with extensions",
            post(TE, "2;a\r\nhe\r\n0003;b=\"c\"\r\nllo\r\n0;d\r\n\r\n"),
            post_x,
            b"hello",
        ),
        one(
            "a size in capitals",
            post(TE, "A\r\n0123456789\r\n0\r\n\r\n"),
            post_x,
            b"0123456789",
        ),
        one(
            "a chunk like an end",
            post(TE, "5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
            post_x,
            b"0\r\n\r\n",
        ),
        one(
            "a trailer",
            post(TE, "5\r\nhello\r\n0\r\nx-checksum: 1\r\n\r\n"),
            post_x,
            b"hello",
        ),
        one(
            "an address as the target",
            "GET http://a/x HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            get_x,
            b"",
        ),
        one(
            "a method of one's own",
            "MKCOL-2 /x HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            "MKCOL-2 /x HTTP/1.1",
            b"",
        ),
        one(
            "an odd query",
            "GET /x?a=b&c=%20?/ HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            "GET /x?a=b&c=%20?/ HTTP/1.1",
            b"",
        ),
        Good {
            name: "every byte",
            bytes: every_byte,
            seen: vec![(post_x, all.clone())],
        },
        Good {
            name: "every byte, chunked",
            bytes: every_byte_chunked,
            seen: vec![(post_x, all)],
        },
        Good {
            name: "pipelined",
            bytes: [
                get(""),
                post("content-length: 2\r\n", "hi"),
                post(TE, "2\r\nho\r\n0\r\n\r\n"),
                get(""),
            ]
            .concat()
            .into(),
            seen: vec![
                (get_x, vec![]),
                (post_x, b"hi".to_vec()),
                (post_x, b"ho".to_vec()),
                (get_x, vec![]),
            ],
        },
    ]
}
