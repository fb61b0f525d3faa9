//! Answers that are kept for the time when both sides are down.
//!
//! Only where the plan asks for it, and only what a shared cache may keep:
//! `GET`, 200, no cookie set, not private, the same for all clients or kept
//! for one ([`Key`]). What comes is kept beside its way to the
//! client, never in it: where it gets too large, it is dropped.

use crate::base::{
    header_class::{Forwarding, HeaderClass},
    hop_by_hop,
};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request,
    response::Parts,
};
use plan::Degraded;
use protocol::Side;
use quick_cache::{
    OptionsBuilder, Weighter,
    sync::{Cache as Entries, DefaultLifecycle},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

const DEGRADED: HeaderName = HeaderName::from_static("x-banyan-degraded");

/// One answer may take up this part of the whole: one large answer must not
/// push out all others.
const PART_MAX: u64 = 8;

/// Answers of which the store makes room at once; it grows with what comes.
const ENTRIES: usize = 256;

/// What says who a client is. Answers to such requests are kept only where
/// they say that they are for everybody.
const CREDENTIALS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
];

/// Answers may differ by these, and each is kept.
const CHOSEN: [HeaderName; 2] = [header::ACCEPT, header::ACCEPT_ENCODING];

/// Whether upstreams build links or choose pages by what a proxy in front says under
/// this name, which may let its clients say any value: an answer made so must not be
/// served to other clients (cache poisoning). The client's address alone is none of it.
fn is_addressing(name: &HeaderName) -> bool {
    let class = HeaderClass::of(name.as_str().as_bytes());
    matches!(
        class,
        HeaderClass::Forwarding(Forwarding::Host | Forwarding::Proto | Forwarding::Rest)
    )
}

/// The answers kept of one upstream.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: Entries<Box<[u8]>, Arc<Kept>, Size, std::hash::RandomState>,
    settings: Degraded,
    /// Bytes of answers that are still coming in.
    coming: AtomicU64,
    pub(crate) served: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    headers: HeaderMap,
    body: Bytes,
    at: Instant,
}

#[derive(Debug, Clone)]
struct Size;

impl Weighter<Box<[u8]>, Arc<Kept>> for Size {
    fn weight(&self, key: &Box<[u8]>, kept: &Arc<Kept>) -> u64 {
        let headers = kept.headers.iter();
        let headers: usize = headers
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        (key.len() + headers + kept.body.len() + size_of::<Kept>()) as u64
    }
}

/// What a kept answer answers.
#[derive(Debug)]
pub(crate) struct Key {
    text: Box<[u8]>,
    /// Whether the answer may be for one client only.
    pub(crate) is_personal: bool,
}

/// An answer that comes in and may be kept.
pub(crate) struct Tee {
    cache: Arc<Cache>,
    key: Key,
    headers: HeaderMap,
    body: BytesMut,
}

impl Cache {
    pub(crate) fn new(settings: Degraded) -> Arc<Self> {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(ENTRIES)
            .weight_capacity(settings.bytes.0)
            // Each shard gets a share of the bytes: one, so that large answers
            // fit. It is asked once per request, where it is on.
            .shards(1)
            .build();
        let entries = match options {
            Ok(options) => Entries::with_options(
                options,
                Size,
                std::hash::RandomState::new(),
                DefaultLifecycle::default(),
            ),
            Err(_) => Entries::with(
                ENTRIES,
                settings.bytes.0,
                Size,
                std::hash::RandomState::new(),
                DefaultLifecycle::default(),
            ),
        };
        Arc::new(Self {
            entries,
            settings,
            coming: AtomicU64::new(0),
            served: AtomicU64::new(0),
        })
    }

    /// The key of a request that can be answered from here. `client` is what
    /// the extraction knows the client by: others do not get its answers.
    pub(crate) fn key(parts: &request::Parts, client: Option<&[u8]>) -> Option<Key> {
        let headers = &parts.headers;
        if parts.method != Method::GET
            || headers.contains_key(header::RANGE)
            || says(headers, &["no-store"])
        {
            return None;
        }
        let mut text = Vec::new();
        let mut add = |part: &[u8]| {
            // Lengths first: no two lists of parts give the same text.
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part);
        };
        add(headers.get(header::HOST).map_or(b"", HeaderValue::as_bytes));
        // With `?`, by which an empty query is told from none.
        let target = parts.uri.path_and_query();
        add(target.map_or("", |target| target.as_str()).as_bytes());
        add(client.unwrap_or_default());
        let values = |name| {
            let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
            values.collect::<Vec<_>>().join(&b","[..])
        };
        for name in &CHOSEN {
            add(&values(name));
        }
        let addressing = headers.keys().filter(|name| is_addressing(name));
        let mut addressing: Vec<&HeaderName> = addressing.collect();
        addressing.sort_unstable_by_key(|name| name.as_str());
        for name in addressing {
            add(name.as_str().as_bytes());
            add(&values(name));
        }
        Some(Key {
            text: text.into_boxed_slice(),
            is_personal: CREDENTIALS.iter().any(|name| headers.contains_key(name)),
        })
    }

    /// What keeps an answer on its way, where it may be kept. `head` is the
    /// upstream's.
    pub(crate) fn tee(self: &Arc<Self>, key: Key, side: Side, head: &Parts) -> Option<Tee> {
        if !may_be_kept(head.status, &head.headers, key.is_personal) {
            return None;
        }
        let mut kept = Parts::clone(head);
        hop_by_hop::sanitize_response(&mut kept, side);
        Some(Tee {
            cache: Arc::clone(self),
            key,
            headers: kept.headers,
            body: BytesMut::new(),
        })
    }

    /// The answer kept for a request, where it is young enough.
    pub(crate) fn find(&self, key: &Key) -> Option<Response<Bytes>> {
        let kept = self.entries.get(&*key.text)?;
        let age = kept.at.elapsed();
        if age > self.settings.age {
            self.entries.remove(&*key.text);
            return None;
        }
        self.served.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(kept.body.clone());
        let headers = response.headers_mut();
        headers.clone_from(&kept.headers);
        let before = kept.headers.get(header::AGE).and_then(seconds).unwrap_or(0);
        headers.insert(
            header::AGE,
            HeaderValue::from(before.saturating_add(age.as_secs())),
        );
        headers.insert(DEGRADED, HeaderValue::from_static("1"));
        Some(response)
    }
}

impl Tee {
    /// A part has come. Whether it still may be kept.
    pub(crate) fn add(&mut self, part: &[u8]) -> bool {
        let settings = self.cache.settings;
        let most = settings.bytes.0 / PART_MAX;
        let size = part.len() as u64;
        if self.body.len() as u64 + size > most {
            return false;
        }
        // Entered as soon as it is in the body, so that dropping gives it back.
        let coming = self.cache.coming.fetch_add(size, Ordering::Relaxed);
        self.body.extend_from_slice(part);
        coming + size <= settings.bytes.0
    }

    /// All of it has come.
    pub(crate) fn finish(mut self) {
        let kept = Kept {
            headers: std::mem::take(&mut self.headers),
            body: Bytes::copy_from_slice(&self.body),
            at: Instant::now(),
        };
        let key = std::mem::take(&mut self.key.text);
        self.cache.entries.insert(key, Arc::new(kept));
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        let size = self.body.len() as u64;
        self.cache.coming.fetch_sub(size, Ordering::Relaxed);
    }
}

/// RFC 9111, 3, without what it lets caches decide.
fn may_be_kept(status: StatusCode, headers: &HeaderMap, is_personal: bool) -> bool {
    let chosen = |name: &str| {
        CHOSEN
            .iter()
            .any(|chosen| name.eq_ignore_ascii_case(chosen.as_str()))
    };
    status == StatusCode::OK
        && !headers.contains_key(header::SET_COOKIE)
        && !headers.contains_key(header::TRAILER)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !says(
            headers,
            &[
                "private",
                "no-store",
                "no-cache",
                "must-revalidate",
                "proxy-revalidate",
            ],
        )
        && (!is_personal || says(headers, &["public"]))
        && tokens(headers, &header::VARY).all(chosen)
}

/// Whether `Cache-Control` holds one of these.
fn says(headers: &HeaderMap, wanted: &[&str]) -> bool {
    tokens(headers, &header::CACHE_CONTROL).any(|token| {
        let name = token.split('=').next().unwrap_or_default();
        wanted
            .iter()
            .any(|wanted| name.trim_end().eq_ignore_ascii_case(wanted))
    })
}

/// The members of a list over all headers of this name. What cannot be read
/// counts as an unknown member.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn seconds(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use plan::ByteSize;
    use std::time::Duration;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_what_everybody_may_see_is_kept() {
        for (pairs, personal, kept) in [
            (&[][..], false, true),
            (&[("cache-control", "max-age=60")], false, true),
            (&[("vary", "Accept, accept-encoding")], false, true),
            (&[("cache-control", "Public")], true, true),
            (&[], true, false),
            (&[("set-cookie", "a=b")], false, false),
            (
                &[("cache-control", "max-age=1, PRIVATE=\"x\"")],
                false,
                false,
            ),
            (&[("cache-control", "no-store")], false, false),
            (&[("cache-control", "public, must-revalidate")], true, false),
            (&[("vary", "*")], false, false),
            (&[("vary", "accept"), ("vary", "cookie")], false, false),
            (&[("content-range", "bytes 0-1/2")], false, false),
        ] {
            let found = may_be_kept(StatusCode::OK, &headers(pairs), personal);
            assert_eq!(found, kept, "{pairs:?}");
        }
        assert!(!may_be_kept(StatusCode::NOT_FOUND, &headers(&[]), false));
    }

    fn key(method: &str, uri: &str, client: &[u8], pairs: &[(&str, &str)]) -> Option<Box<[u8]>> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Cache::key(&parts, Some(client)).map(|key| key.text)
    }

    #[test]
    fn keys_tell_apart_what_may_be_answered_apart() {
        let plain = key("GET", "/a?b", b"", &[]);
        assert_eq!(plain, key("GET", "/a?b", b"", &[("user-agent", "x")]));
        for other in [
            key("GET", "/a", b"", &[]),
            key("GET", "/a?b", b"7", &[]),
            key("GET", "/a?b", b"", &[("accept", "text/html")]),
            key("GET", "/a?b", b"", &[("host", "other")]),
            key("GET", "/a?b", b"", &[("x-forwarded-host", "other")]),
            key("GET", "/a?b", b"", &[("x-forwarded-proto", "https")]),
            key("GET", "/a?b", b"", &[("x-forwarded-scheme", "https")]),
            key("GET", "/a?b", b"", &[("x-rewrite-url", "/c")]),
            key("GET", "/a?b", b"", &[("forwarded", "host=other")]),
        ] {
            assert!(other.is_some());
            assert_ne!(other, plain);
        }
        let address = [("x-forwarded-for", "10.1.1.1"), ("x-real-ip", "10.1.1.1")];
        assert_eq!(plain, key("GET", "/a?b", b"", &address));
        let (one, other) = (("x-forwarded-port", "1"), ("x-forwarded-prefix", "/1"));
        let way = |pairs: &[_]| key("GET", "/a?b", b"", pairs);
        assert_eq!(way(&[one, other]), way(&[other, one]));
        assert_eq!(key("HEAD", "/a?b", b"", &[]), None);
        assert_eq!(key("GET", "/a?b", b"", &[("range", "bytes=0-1")]), None);
        assert_eq!(
            key("GET", "/a?b", b"", &[("cache-control", "no-store")]),
            None
        );
    }

    #[test]
    fn large_answers_are_not_kept_and_nothing_is_counted_for_ever() {
        let cache = Cache::new(Degraded {
            age: Duration::from_secs(1),
            bytes: ByteSize(8 << 10),
        });
        let tee = || Tee {
            cache: Arc::clone(&cache),
            key: Key {
                text: b"k"[..].into(),
                is_personal: false,
            },
            headers: HeaderMap::new(),
            body: BytesMut::new(),
        };
        let mut large = tee();
        assert!(large.add(&[0; 1000]));
        assert!(!large.add(&[0; 1000]));
        drop(large);
        let mut small = tee();
        assert!(small.add(b"small"));
        small.finish();
        assert_eq!(cache.coming.load(Ordering::Relaxed), 0);
        assert_eq!(cache.entries.get(&b"k"[..]).unwrap().body, b"small"[..]);
        // Many others push it out, within the bound.
        for number in 0..1000_u32 {
            let mut one = tee();
            one.key.text = number.to_le_bytes().into();
            one.add(&[0; 500]);
            one.finish();
        }
        assert!(cache.entries.weight() <= 8 << 10);
    }
}
