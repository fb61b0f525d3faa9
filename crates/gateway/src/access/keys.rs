//! API keys: whose is it?
//!
//! Keys are looked up by their HMAC under a key that is drawn at start. How
//! long that takes depends on nothing that the client can choose towards a
//! known key, and the keys themselves are not kept.

use super::identity::Credential;
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use plan::{CREDENTIAL_BYTES_MAX, Consumer};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The part of a tag that the map is searched by.
type Prefix = [u8; 16];

/// The known keys.
pub(crate) struct KeyRing {
    secret: hmac::Key,
    known: HashMap<Prefix, (hmac::Tag, Arc<Credential>)>,
}

impl KeyRing {
    pub(crate) fn new(consumers: &BTreeMap<String, Consumer>) -> Self {
        let mut seed = [0; 32];
        for half in seed.chunks_mut(16) {
            half.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &seed);
        let mut known = HashMap::new();
        for (name, consumer) in consumers {
            for (number, key) in consumer.keys.iter().enumerate() {
                let tag = hmac::sign(&secret, key.expose());
                let credential = Credential::new(name, &format!("key-{number}"), &consumer.groups);
                known.insert(prefix(&tag), (tag, Arc::new(credential)));
            }
        }
        Self { secret, known }
    }

    /// Whose key it is.
    pub(crate) fn find(&self, key: &[u8]) -> Option<&Arc<Credential>> {
        if key.is_empty() || key.len() > CREDENTIAL_BYTES_MAX {
            return None;
        }
        let tag = hmac::sign(&self.secret, key);
        let (known, credential) = self.known.get(&prefix(&tag))?;
        verify_slices_are_equal(known.as_ref(), tag.as_ref())
            .is_ok()
            .then_some(credential)
    }
}

fn prefix(tag: &hmac::Tag) -> Prefix {
    let mut prefix = Prefix::default();
    let length = prefix.len();
    prefix.copy_from_slice(&tag.as_ref()[..length]);
    prefix
}

/// Where keys are looked for.
#[derive(Debug)]
pub(crate) struct KeyPlaces {
    pub(crate) headers: Vec<HeaderName>,
    pub(crate) query: Vec<String>,
    pub(crate) hide: bool,
}

impl KeyPlaces {
    pub(crate) fn new(rule: &plan::Keys) -> Self {
        Self {
            headers: names(&rule.headers),
            query: rule.query.clone(),
            hide: rule.hide,
        }
    }

    /// The key that a request brings. Of several, the first counts.
    pub(crate) fn find<'a>(&self, headers: &'a HeaderMap, uri: &'a Uri) -> Option<Cow<'a, [u8]>> {
        let header = self.headers.iter().find_map(|name| headers.get(name));
        match header {
            Some(value) => Some(Cow::Borrowed(value.as_bytes())),
            None => self.query.iter().find_map(|name| parameter(uri, name)),
        }
    }

    /// Takes it out of what the upstream gets to see.
    pub(crate) fn hide(&self, headers: &mut HeaderMap, uri: &mut Uri) {
        for name in &self.headers {
            headers.remove(name);
        }
        if !self.query.is_empty() {
            remove_parameters(uri, &self.query);
        }
    }
}

/// The plan has checked the names.
pub(crate) fn names(all: &[String]) -> Vec<HeaderName> {
    all.iter().filter_map(|name| name.parse().ok()).collect()
}

/// A parameter of the query, decoded.
pub(crate) fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<Cow<'a, [u8]>> {
    uri.query()?.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = |byte: u8| char::from(byte).to_digit(16);
        match (byte, rest) {
            (b'%', [high, low, after @ ..]) => {
                if let (Some(high), Some(low)) = (hex(*high), hex(*low)) {
                    bytes.push(u8::try_from(high << 4 | low).unwrap_or_default());
                    rest = after;
                } else {
                    bytes.push(b'%');
                }
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(byte),
        }
    }
    Cow::Owned(bytes)
}

fn remove_parameters(uri: &mut Uri, hidden: &[String]) {
    let Some(query) = uri.query() else { return };
    let is_hidden = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or(pair);
        hidden.iter().any(|one| one == name)
    };
    if !query.split('&').any(|pair| is_hidden(&pair)) {
        return;
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_hidden(pair)).collect();
    let text = if kept.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), kept.join("&"))
    };
    // A part of what was a target is one.
    if let Ok(shorter) = text.parse() {
        *uri = shorter;
    }
}

/// Whether the operator's key is among the headers.
pub(crate) fn operator(ring: &KeyRing, headers: &HeaderMap) -> Option<bool> {
    let key: &HeaderValue = headers.get("x-api-key")?;
    let found = ring.find(key.as_bytes());
    Some(found.is_some_and(|who| who.is_in(plan::OPERATORS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Secret;

    fn ring() -> KeyRing {
        let consumer = |keys: &[&str]| Consumer {
            keys: keys.iter().map(|key| Secret::new(key).unwrap()).collect(),
            ..Consumer::default()
        };
        KeyRing::new(&BTreeMap::from([
            ("shop".to_owned(), consumer(&["first-key", "second-key"])),
            ("bank".to_owned(), consumer(&["third-key"])),
        ]))
    }

    #[test]
    fn only_whole_keys_are_known() {
        let ring = ring();
        let who = |key: &str| {
            ring.find(key.as_bytes())
                .map(|found| found.consumer.to_string())
        };
        assert_eq!(who("second-key").as_deref(), Some("shop"));
        assert_eq!(who("third-key").as_deref(), Some("bank"));
        let long = "k".repeat(CREDENTIAL_BYTES_MAX + 1);
        for wrong in [
            "",
            "first",
            "first-keyy",
            "irst-key",
            "FIRST-KEY",
            " first-key",
            &long,
        ] {
            assert_eq!(who(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn keys_come_in_headers_or_queries_and_can_be_hidden() {
        let places = KeyPlaces {
            headers: names(&["x-api-key".to_owned()]),
            query: vec!["apikey".to_owned()],
            hide: true,
        };
        let mut headers = HeaderMap::new();
        let mut uri: Uri = "/x?a=1&apikey=s%2Bt+u&b".parse().unwrap();
        let key = |headers: &HeaderMap, uri: &Uri| places.find(headers, uri).map(Cow::into_owned);
        assert_eq!(key(&headers, &uri).as_deref(), Some(&b"s+t u"[..]));
        headers.insert("x-api-key", HeaderValue::from_static("k"));
        assert_eq!(key(&headers, &uri).as_deref(), Some(&b"k"[..]));
        places.hide(&mut headers, &mut uri);
        assert_eq!(uri, "/x?a=1&b");
        assert_eq!(key(&headers, &uri), None);
        let mut only: Uri = "/x?apikey=1".parse().unwrap();
        places.hide(&mut headers, &mut only);
        assert_eq!(only, "/x");
    }
}
