//! RFC 9112, 6 to 8: where answers end.

use super::{CARELESS, FINE, HIDDEN, LENGTH, NEXT, REFUSED};
use crate::reply::{Reply, bad, broken, passes};

pub const ROWS: &[Reply] = &[
    passes(
        "another answer behind",
        concat!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine", evil!()),
        "9112 9.2",
        FINE,
        NEXT,
    ),
    passes(
        "two lengths alike",
        ok!("content-length: 4\r\ncontent-length: 4\r\n", "fine"),
        "9110 8.6",
        FINE,
        "one of them is passed on",
    )
    .either(),
    bad(
        "a list of lengths alike",
        ok!("content-length: 4, 4\r\n", "fine"),
        "9110 8.6",
        "refused, or taken for one",
    )
    .either(),
    passes(
        "extensions of chunks",
        ok!(
            "transfer-encoding: chunked\r\n",
            "4;a=b\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 7.1.1",
        FINE,
        "not passed on",
    ),
    passes(
        "chunks that line feeds end",
        ok!("transfer-encoding: chunked\r\n", "4\nfine\n0\n\n"),
        "9112 7.1",
        FINE,
        "not the grammar, but one reading",
    )
    .lenient(REFUSED, CARELESS),
    passes(
        "a size with spaces",
        ok!(
            "transfer-encoding: chunked\r\n",
            "4  \r\nfine\r\n0 \r\n\r\n"
        ),
        "9112 7.1",
        FINE,
        "not the grammar, but one reading",
    )
    .lenient(REFUSED, CARELESS),
    passes(
        "an extension that is none",
        ok!(
            "transfer-encoding: chunked\r\n",
            "4;\"\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 7.1.1",
        FINE,
        "ignored; we frame anew",
    )
    .lenient(REFUSED, CARELESS),
    passes(
        "chunks in HTTP/1.0",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        "9112 6.1",
        FINE,
        "faulty, so closed after it",
    ),
    bad(
        "two lengths that differ",
        ok!("content-length: 4\r\ncontent-length: 5\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a list of lengths that differ",
        ok!("content-length: 4, 5\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length with a plus",
        ok!("content-length: +4\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length with a minus",
        ok!("content-length: -4\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length in hexadecimal",
        ok!("content-length: 0x4\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length with a letter",
        ok!("content-length: 4x\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "an empty length",
        ok!("content-length:\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length past 64 bits",
        ok!("content-length: 18446744073709551620\r\n", "fine"),
        "9112 6.3",
        LENGTH,
    ),
    bad(
        "a length and chunks",
        ok!(
            "content-length: 3\r\ntransfer-encoding: chunked\r\n",
            "4\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 6.3",
        "ought to be an error",
    )
    .either(),
    bad(
        "chunks and a length",
        ok!(
            "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
            "4\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 6.3",
        "ought to be an error",
    )
    .either(),
    bad(
        "an unknown coding",
        ok!("transfer-encoding: x\r\n", "fine"),
        "9112 6.3",
        HIDDEN,
    )
    .either(),
    bad(
        "gzip, chunked",
        ok!("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        "9112 6.1",
        HIDDEN,
    )
    .chosen(REFUSED, "codings other than `chunked`")
    .either(),
    bad(
        "identity",
        ok!("transfer-encoding: identity\r\n", "fine"),
        "9112 6.1",
        HIDDEN,
    )
    .either(),
    bad(
        "chunked twice",
        ok!("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        "9112 6.1",
        HIDDEN,
    ),
    bad(
        "chunked with a letter",
        ok!(
            "transfer-encoding: xchunked\r\ncontent-length: 4\r\n",
            "fine"
        ),
        "9112 6.3",
        HIDDEN,
    ),
    broken(
        "shorter than its length",
        ok!("content-length: 9\r\n", "fine"),
        "9112 8",
        "never looks whole",
    ),
    broken(
        "chunks without an end",
        ok!("transfer-encoding: chunked\r\n", "4\r\nfine\r\n"),
        "9112 8",
        "never looks whole",
    ),
    broken(
        "a chunk cut off",
        ok!("transfer-encoding: chunked\r\n", "9\r\nfine"),
        "9112 8",
        "never looks whole",
    ),
    broken(
        "chunks without the empty line",
        ok!("transfer-encoding: chunked\r\n", "4\r\nfine\r\n0\r\n"),
        "9112 8",
        "never looks whole",
    ),
    broken(
        "a size that is none",
        ok!("transfer-encoding: chunked\r\n", "4\r\nfine\r\nx\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a chunk longer than its size",
        ok!("transfer-encoding: chunked\r\n", "4\r\nfine!\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a size with a plus",
        ok!("transfer-encoding: chunked\r\n", "+4\r\nfine\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a size past 64 bits",
        ok!(
            "transfer-encoding: chunked\r\n",
            "10000000000000004\r\nfine\r\n0\r\n\r\n"
        ),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a size with a bare carriage return",
        ok!("transfer-encoding: chunked\r\n", "4\rfine\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a size with a space before",
        ok!("transfer-encoding: chunked\r\n", " 4\r\nfine\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
    broken(
        "a NUL behind a size",
        ok!("transfer-encoding: chunked\r\n", "4\0\r\nfine\r\n0\r\n\r\n"),
        "9112 7.1",
        "never looks whole",
    ),
];
