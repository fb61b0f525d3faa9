//! The reader as a whole: messages one after another, in any splitting.

use super::*;
use crate::transport::http1::{
    policy::{Limits, MessagePart},
    replay::Replay,
};
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    head_bytes: 200,
    headers: 4,
};

const CHUNKED: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";

/// Feeds parts; says what was refused, and whether the reader is between messages.
fn verdict<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> (Option<(MessagePart, Malformed)>, bool) {
    let mut replay = Replay::new(LIMITS);
    let mut said = None;
    for part in parts {
        said = said.or(replay.feed(part));
    }
    (said, replay.is_between())
}

/// Judges a text whole, in single bytes and in two parts split anywhere.
#[track_caller]
fn judge(text: &str) -> (Option<(MessagePart, Malformed)>, bool) {
    let bytes = text.as_bytes();
    let whole = verdict([bytes]);
    assert_eq!(verdict(bytes.chunks(1)), whole, "by bytes: {text:?}");
    for at in 0..bytes.len() {
        let (one, two) = bytes.split_at(at);
        assert_eq!(verdict([one, two]), whole, "split at {at}: {text:?}");
    }
    whole
}

#[track_caller]
fn passes(text: &str) {
    assert_eq!(judge(text), (None, true), "{text:?}");
}

#[track_caller]
fn refuses(text: &str, place: MessagePart, why: Malformed) {
    assert_eq!(judge(text), (Some((place, why)), false), "{text:?}");
}

#[test]
fn plain_messages_pass() {
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    passes(get);
    passes(&format!("{get}\r\n{get}{get}"));
    passes("POST / HTTP/1.0\r\ncontent-length: 5\r\n\r\nhe\n\0oGET / HTTP/1.0\r\n\r\n");
    passes("POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    passes(&format!("{CHUNKED}0\r\n\r\n{get}"));
    passes(&format!(
        "{CHUNKED}5;x=y\r\n\r\n0\r\n\r\n0003\r\nabc\r\n0;z\r\nx: y\r\n\r\n{get}"
    ));
}

#[test]
fn messages_with_two_readings_are_refused() {
    for (text, why) in [
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Malformed::EmptyLines),
        ("\nGET / HTTP/1.1\r\n\r\n", Malformed::BareLf),
        ("GET / HTTP/1.1\n\r\n", Malformed::BareLf),
        ("GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n", Malformed::BareLf),
        ("GET / HTTP/1.1\r\na: b\r\n\n", Malformed::BareLf),
        ("GET / HTTP/1.1\r\na: b\rc: d\r\n\r\n", Malformed::Control),
        ("GET / HTTP/1.1\r\na: b\r\r\n\r\n", Malformed::Control),
        ("GET / HTTP/1.1\r\n a: b\r\n\r\n", Malformed::Fold),
        ("GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n", Malformed::Fold),
        (
            "GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            Malformed::OldEncoding,
        ),
        (
            "GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            Malformed::LengthAndEncoding,
        ),
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n",
            Malformed::LengthAndEncoding,
        ),
        (
            "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
            Malformed::Lengths,
        ),
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
            Malformed::Encoding,
        ),
        (
            "GET / HTTP/1.1\r\na:\r\na:\r\na:\r\na:\r\na:\r\n\r\n",
            Malformed::TooManyHeaders,
        ),
    ] {
        refuses(text, MessagePart::Head, why);
        // Nor behind a good one, which has passed by then.
        let good = "POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\nx";
        if why != Malformed::EmptyLines {
            refuses(&format!("{good}{text}"), MessagePart::Head, why);
        }
    }
}

#[test]
fn broken_bodies_are_refused() {
    for (body, why) in [
        ("5\n", Malformed::BareLf),
        ("5 \r\n", Malformed::ChunkSize),
        ("\r\n", Malformed::ChunkSize),
        ("5\r\nhello0\r\n\r\n", Malformed::ChunkEnd),
        ("5\r\nhello\n0\r\n\r\n", Malformed::ChunkEnd),
        ("5\r\nhellox\r\n", Malformed::ChunkEnd),
        ("0\r\nx: y\n\r\n", Malformed::BareLf),
        ("0\r\n\n", Malformed::BareLf),
        ("0\r\nhost: a\r\n\r\n", Malformed::Trailer),
        ("0\r\n x\r\n\r\n", Malformed::Fold),
    ] {
        refuses(&format!("{CHUNKED}{body}"), MessagePart::Body, why);
    }
}

#[test]
fn bounds_are_exact() {
    let head = |bytes: usize| {
        let bare = "GET / HTTP/1.1\r\na: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(bytes - bare))
    };
    passes(&head(200));
    refuses(&head(201), MessagePart::Head, Malformed::HeadTooLarge);
    let chunk = |bytes: usize| format!("{CHUNKED}0;{}\r\n\r\n", "x".repeat(bytes - 4));
    passes(&chunk(CHUNK_LINE_BYTES_MAX));
    let long = chunk(CHUNK_LINE_BYTES_MAX + 1);
    refuses(&long, MessagePart::Body, Malformed::ChunkExtension);
    let trailers = |count| format!("{CHUNKED}0\r\n{}\r\n", "a:\r\n".repeat(count));
    passes(&trailers(TRAILERS_MAX));
    refuses(
        &trailers(TRAILERS_MAX + 1),
        MessagePart::Body,
        Malformed::Trailers,
    );
}

proptest! {
    #[test]
    fn splitting_changes_nothing(
        parts in prop::collection::vec(prop::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "a: b\r\n", "content-length: 3\r\n",
            "transfer-encoding: chunked\r\n", "\r\n", "\n", "\r", "3\r\n", "abc", "abc\r\n",
            "0\r\n", " ", "\0", "x", ":",
        ]), 0..16),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let text = parts.concat();
        let bytes = text.as_bytes();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let split = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert_eq!(verdict(split), verdict([bytes]));
    }
}
