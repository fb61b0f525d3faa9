//! What the fuzz targets call: for each reader of outside input, one function
//! that takes any bytes and panics where a property does not hold. The tests
//! below replay the kept corpus, so that every run of the tests covers it.

use crate::{
    caller::Caller,
    client::KeySource,
    guard::{Guard, Limits, Refused},
    hygiene::{self, Seen},
    link::replay,
    operation::{self, Asked},
    peer::{Peer, Scheme},
    target::Target,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use plan::{CohortKey, Dialect, PathPattern};

const LIMITS: Limits = Limits {
    head_bytes: 4096,
    headers: 100,
};

/// The guard says the same however its input is split, and what it passes, a
/// reader of another make frames alike.
pub fn guard(bytes: &[u8]) {
    let (ends, refused) = ends(bytes);
    let mut whole = Guard::new(LIMITS);
    let verdict = whole.feed(bytes);
    assert_eq!(verdict.map_err(why), refused.map_err(why));
    // The input says itself how it is split.
    let mut parts = Guard::new(LIMITS);
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
        "the guard ends messages at {ends:?}, the other reader at {:?}",
        other.ends
    );
    assert!(
        verdict.is_err()
            || whole.is_in_line()
            || (other.ends.len() == ends.len() && !other.is_broken),
        "the guard passes what the other reader refuses"
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

fn why(refused: Refused) -> (crate::guard::Place, crate::guard::Malformed) {
    (refused.place, refused.why)
}

/// Where messages end, as the guard sees it, byte by byte.
fn ends(bytes: &[u8]) -> (Vec<usize>, Result<(), Refused>) {
    let mut guard = Guard::new(LIMITS);
    let mut ends = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        if let Err(refused) = guard.feed(&[*byte]) {
            return (ends, Err(refused));
        }
        if guard.is_between() {
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

/// A path is read once and for all, and no reading of it has dot segments.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(target) = Target::read(text) else {
        return;
    };
    let again = Target::read(&target.path);
    assert_eq!(
        again.as_ref(),
        Ok(&target),
        "another reading at the second time"
    );
    let lenient = target.lenient.as_deref().unwrap_or(&target.path);
    for path in [&*target.path, lenient] {
        assert!(path.starts_with('/'));
        assert!(!path.split('/').any(|part| matches!(part, "." | "..")));
        assert!(!path.bytes().any(|byte| byte.is_ascii_control()));
    }
}

/// Header fields of lines, where they are some.
fn fields(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.map(|at| (&line[..at], &line[at + 1..])) else {
            continue;
        };
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// The key of a client is a part of what it sent, and never empty. The first
/// line is the target, the others are headers.
pub fn key(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (target, lines) = bytes.split_at(end.unwrap_or(bytes.len()));
    let headers = fields(lines);
    let Ok(uri) = Uri::try_from(target) else {
        return;
    };
    let peer = Peer::new(Some(std::net::Ipv4Addr::LOCALHOST.into()), Scheme::Plain);
    let admission = crate::access::Admission::default();
    let caller = Caller {
        peer: &peer,
        admission: &admission,
        told: None,
    };
    let client = caller.client(&headers, &uri);
    let pattern = PathPattern::parse("/api/{id}/*").ok();
    for key in [
        CohortKey::Header("x-user-id".into()),
        CohortKey::Cookie("sid".into()),
        CohortKey::Path("id".into()),
        CohortKey::Query("user".into()),
    ] {
        if let Some(key) = KeySource::new(&key).find(client, pattern.as_ref()) {
            assert!(!key.is_empty());
            assert!(bytes.windows(key.len()).any(|part| part == key));
        }
    }
}

/// A head that may pass has one host, and what goes out says who came last.
pub fn head(bytes: &[u8]) {
    let mut parts = http::Request::new(()).into_parts().0;
    parts.headers = fields(bytes);
    let seen = Seen::of(&parts.headers);
    if hygiene::check(&parts).is_err() {
        return;
    }
    let host = hygiene::host(&parts.headers);
    assert!(host.is_none_or(|host| !host.bytes().any(|byte| byte.is_ascii_uppercase())));
    let hosts = parts.headers.get(header::HOST).cloned();
    let id = hygiene::correlation(&parts.headers, seen).cloned();
    let peer = Peer::new(Some(std::net::Ipv4Addr::LOCALHOST.into()), Scheme::Plain);
    hygiene::outgoing(
        &mut parts,
        seen,
        &peer,
        &id.unwrap_or(HeaderValue::from_static("id")),
    );
    let headers = &parts.headers;
    assert_eq!(headers.get(header::HOST), hosts.as_ref());
    let via: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    assert!(via.len() == 1 && via[0].as_bytes().ends_with(b"127.0.0.1"));
    for gone in [header::TRANSFER_ENCODING, header::UPGRADE] {
        assert!(!headers.contains_key(gone));
    }
    // What is said anew for the next hop.
    let te: Vec<_> = headers.get_all(header::TE).iter().collect();
    let connection: Vec<_> = headers.get_all(header::CONNECTION).iter().collect();
    let wanted = [(vec![], vec![]), (vec!["trailers"], vec!["te"])];
    assert!(wanted.contains(&(text(&te), text(&connection))));
}

fn text<'a>(values: &[&'a HeaderValue]) -> Vec<&'a str> {
    let text = |value: &&'a HeaderValue| value.to_str().unwrap_or("none");
    values.iter().map(text).collect()
}

/// A body has one reading: written anew by another reader, it asks for the same,
/// and what it asks for stands in it. The first line is the target's query.
pub fn operation(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (query, body) = bytes.split_at(end.unwrap_or(bytes.len()));
    let body = body.get(1..).unwrap_or_default();
    let mut target = b"/x?".to_vec();
    target.extend_from_slice(query);
    let Ok(uri) = Uri::try_from(target) else {
        return;
    };
    let mut head = http::Request::new(()).into_parts().0;
    head.method = http::Method::POST;
    head.uri = uri;
    for dialect in [Dialect::Json("method".into()), Dialect::GraphQl] {
        let Ok(asked) = operation::read(&dialect, &head, body) else {
            continue;
        };
        // It refuses more than must be: numbers out of range, halves of letters.
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
            continue;
        };
        let anew = operation::read(&dialect, &head, value.to_string().as_bytes());
        assert_eq!(anew, Ok(asked.clone()));
        if let (Dialect::Json(field), Asked::These(operations)) = (&dialect, asked) {
            let objects = match &value {
                serde_json::Value::Array(all) => &all[..],
                one => std::slice::from_ref(one),
            };
            let names: Vec<_> = operations.into_iter().map(|one| one.name).collect();
            let wanted = objects
                .iter()
                .map(|one| one[field].as_str().map(str::to_owned));
            assert_eq!(names, wanted.collect::<Vec<_>>());
        }
    }
}

/// No plan makes the parser panic, and every error says something.
pub fn plan(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Err(error) = plan::Plan::parse(text, |name| Some(name.to_lowercase()))
    {
        assert!(!error.to_string().is_empty());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::{fs, path::Path};

    fn replay(name: &str, target: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/corpus")
            .join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(&corpus).unwrap() {
            let path = entry.unwrap().path();
            // Seen where a panic follows.
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", corpus.display());
    }

    #[test]
    fn the_corpus_holds() {
        replay("guard", super::guard);
        replay("answer", super::answer);
        replay("target", super::target);
        replay("key", super::key);
        replay("head", super::head);
        replay("operation", super::operation);
        replay("plan", super::plan);
    }

    proptest! {
        #[test]
        fn answers_have_one_reading(
            any: Vec<u8>,
            lines in "HTTP/1.[01] (200|204|304|100)( OK)?\r\n((content-length: [0-9]|transfer-encoding: chunked|connection: close|x: y)\r\n){0,3}\r\n[0-3]?(;x)?\r\n[a-c]{0,3}\r\n0?\r?\n\r\n",
        ) {
            super::answer(&any);
            super::answer(lines.as_bytes());
        }

        #[test]
        fn bodies_of_operations_have_one_reading(
            any: Vec<u8>,
            rpc in r#"\[?(\{("(method|Method|id|m\\u0065thod|me)":("a.b"|1|null|\[\]),?){0,3}\},?){0,3}\]?"#,
            graphql in r"(query|mutation|subscription|fragment F on Q)?( A)? ?[{}()a-c.:F@#\n]{0,30}",
        ) {
            super::operation(&any);
            super::operation(format!("\n{rpc}").as_bytes());
            let body = serde_json::json!({ "query": graphql });
            super::operation(format!("\n{body}").as_bytes());
        }
    }
}
