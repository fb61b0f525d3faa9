//! Where messages end: requests as clients send them, answers, and what a
//! proxy in front says before either.

use crate::{
    transport::{
        http1::{policy::Limits, replay::Replay},
        proxy_protocol::{self, HEADER_BYTES_MAX, Parsed},
    },
    upstream::http1::replay,
};

const LIMITS: Limits = Limits {
    head_bytes: 4096,
    headers: 100,
};

/// The reader says the same however its input is split, and what it takes, a reader
/// of another make frames alike.
pub fn http1(bytes: &[u8]) {
    let mut parts = Replay::new(LIMITS);
    let refused = bytes
        .chunks(1)
        .map(|byte| parts.feed(byte))
        .last()
        .flatten();
    let mut whole = Replay::new(LIMITS);
    let verdict = whole.feed(bytes);
    assert_eq!((verdict, &whole.ends), (refused, &parts.ends));
    // The input says itself how it is split.
    let mut parts = Replay::new(LIMITS);
    let (mut rest, mut seed) = (bytes, bytes.len());
    let mut split = None;
    while !rest.is_empty() && split.is_none() {
        seed = seed.wrapping_mul(31).wrapping_add(usize::from(rest[0]));
        let (part, more) = rest.split_at(rest.len().min(1 + seed % 40));
        split = parts.feed(part);
        rest = more;
    }
    assert_eq!((split, &parts.ends), (verdict, &whole.ends));
    // The other one does not take all of these in a target, and they frame nothing.
    let is_odd = |byte: &u8| !byte.is_ascii() || b"<>\"`".contains(byte);
    let plain = |byte: &u8| if is_odd(byte) { b'x' } else { *byte };
    let other = reference(&bytes.iter().map(plain).collect::<Vec<_>>());
    let ends = &whole.ends;
    assert!(
        other.ends.starts_with(ends),
        "the reader ends messages at {ends:?}, the other one at {:?}",
        other.ends
    );
    assert!(
        verdict.is_some()
            || !whole.is_between()
            || (other.ends.len() == ends.len() && !other.is_broken),
        "the reader takes what the other one refuses"
    );
}

/// An upstream's answers are the same however their bytes are split.
pub fn answer(bytes: &[u8]) {
    let whole = replay::answers([bytes]);
    for step in [1, 1 + bytes.len() % 37] {
        assert_eq!(
            replay::answers(bytes.chunks(step)),
            whole,
            "in parts of {step}"
        );
    }
}

#[derive(Default)]
struct Reference {
    ends: Vec<usize>,
    is_broken: bool,
}

/// What a reader says that is built on httparse, lenient as it is.
fn reference(bytes: &[u8]) -> Reference {
    let mut said = Reference::default();
    let mut at = 0;
    loop {
        match reference_message(&bytes[at..]) {
            Ok(Some(length)) => {
                at += length;
                said.ends.push(at);
            }
            Ok(None) => return said,
            Err(()) => {
                said.is_broken = true;
                return said;
            }
        }
    }
}

/// The length of one message; `None` where it has not ended.
fn reference_message(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).map_err(drop)? else {
        return Ok(None);
    };
    let values = |name: &str| -> Vec<&[u8]> {
        let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        let all = request.headers.iter().filter(named);
        all.map(|header| header.value).collect()
    };
    match (
        &values("content-length")[..],
        &values("transfer-encoding")[..],
    ) {
        ([], []) => Ok(Some(head)),
        ([length], []) => {
            let length = std::str::from_utf8(length).map_err(drop)?;
            let length: usize = length.trim().parse().map_err(drop)?;
            Ok(Some(head.saturating_add(length)).filter(|end| *end <= bytes.len()))
        }
        ([], [coding]) if coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => {
            Ok(reference_chunks(&bytes[head..])?.map(|length| head + length))
        }
        _ => Err(()),
    }
}

fn reference_chunks(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let mut at = 0;
    loop {
        let httparse::Status::Complete((line, size)) =
            httparse::parse_chunk_size(&bytes[at..]).map_err(drop)?
        else {
            return Ok(None);
        };
        at += line;
        if size == 0 {
            let mut trailers = [httparse::EMPTY_HEADER; 128];
            let parsed = httparse::parse_headers(&bytes[at..], &mut trailers).map_err(drop)?;
            return Ok(match parsed {
                httparse::Status::Complete((length, _)) => Some(at + length),
                httparse::Status::Partial => None,
            });
        }
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| at.checked_add(size));
        let Some(end) = end.filter(|end| *end + 2 <= bytes.len()) else {
            return Ok(None);
        };
        if bytes[end..end + 2] != *b"\r\n" {
            return Err(());
        }
        at = end + 2;
    }
}

/// A PROXY header is read alike however its bytes come, and ends within them.
pub fn proxy(bytes: &[u8]) {
    let said = proxy_protocol::parse(bytes);
    match said {
        Ok(Parsed::Partial) => assert!(bytes.len() < HEADER_BYTES_MAX),
        Ok(Parsed::Whole(length, _)) => {
            assert!(length <= bytes.len());
            for end in 0..length {
                let part = proxy_protocol::parse(&bytes[..end]);
                assert_eq!(part, Ok(Parsed::Partial), "the first {end} bytes");
            }
            assert_eq!(proxy_protocol::parse(&bytes[..length]), said);
        }
        Err(_) => {}
    }
}
