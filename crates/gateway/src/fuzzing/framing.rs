//! Where messages end: requests as the validator sees them, answers, and what a
//! proxy in front says before either.

use crate::{
    transport::{
        http1_validator::framing::{Limits, Refused, Validator},
        proxy_protocol::{self, HEADER_BYTES_MAX, Parsed},
    },
    upstream::http1::replay,
};

const LIMITS: Limits = Limits {
    head_bytes: 4096,
    headers: 100,
};

/// The validator says the same however its input is split, and what it passes, a
/// reader of another make frames alike.
pub fn http1(bytes: &[u8]) {
    let (ends, refused) = ends(bytes);
    let mut whole = Validator::new(LIMITS);
    let verdict = whole.feed(bytes);
    assert_eq!(verdict.map_err(why), refused.map_err(why));
    // The input says itself how it is split.
    let mut parts = Validator::new(LIMITS);
    let (mut rest, mut seed) = (bytes, bytes.len());
    let mut split = Ok(());
    while !rest.is_empty() && split.is_ok() {
        seed = seed.wrapping_mul(31).wrapping_add(usize::from(rest[0]));
        let (part, more) = rest.split_at(rest.len().min(1 + seed % 40));
        split = parts.feed(part);
        rest = more;
    }
    assert_eq!(split.map_err(why), verdict.map_err(why));
    let other = reference(bytes);
    assert!(
        other.ends.starts_with(&ends),
        "the validator ends messages at {ends:?}, the other reader at {:?}",
        other.ends
    );
    assert!(
        verdict.is_err()
            || whole.is_in_line()
            || (other.ends.len() == ends.len() && !other.is_broken),
        "the validator passes what the other reader refuses"
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

fn why(
    refused: Refused,
) -> (
    crate::transport::http1_validator::framing::MessagePart,
    crate::transport::http1_validator::Malformed,
) {
    (refused.place, refused.why)
}

/// Where messages end, as the validator sees it, byte by byte.
fn ends(bytes: &[u8]) -> (Vec<usize>, Result<(), Refused>) {
    let mut validator = Validator::new(LIMITS);
    let mut ends = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        if let Err(refused) = validator.feed(&[*byte]) {
            return (ends, Err(refused));
        }
        if validator.is_between() {
            ends.push(at + 1);
        }
    }
    (ends, Ok(()))
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
