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

/// The plan has checked the names.
pub(crate) fn names(all: &[String]) -> Vec<HeaderName> {
    all.iter().filter_map(|name| name.parse().ok()).collect()
}

/// A part of a query, decoded.
pub(super) fn decode(text: &str) -> Cow<'_, [u8]> {
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

/// Takes parameters out of a target.
pub(super) fn remove_parameters(uri: &mut Uri, hidden: &[String]) {
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
    fn parameters_go_and_the_others_stay() {
        let without = |uri: &str| {
            let mut uri: Uri = uri.parse().unwrap();
            remove_parameters(&mut uri, &["apikey".to_owned()]);
            uri.to_string()
        };
        assert_eq!(without("/x?a=1&apikey=s%2Bt+u&b"), "/x?a=1&b");
        assert_eq!(without("/x?apikey=1"), "/x");
        assert_eq!(without("/x?xapikey=1"), "/x?xapikey=1");
        assert_eq!(*decode("s%2Bt+u%2"), *b"s+t u%2");
    }
}
