//! Who asks, and how the upstreams are told.
//!
//! One header: `v1.<claims>.<tag>`. `<claims>` is JSON in base64url without
//! padding, `<tag>` the HMAC-SHA256 over `v1.<claims>` with the plan's secret,
//! the same way. The JSON has `iat` and `exp` (seconds), and where they are
//! known `consumer`, `credential`, `sub`, `groups` and `claims`, the claims of
//! the token that the plan chose.
//!
//! It is not bound to the request's method and path. Its one reader is the
//! upstream behind the gateway, and whoever can read it there can as well read
//! the request itself; in return a signature is made once per client and a few
//! seconds, not once per request. Its short life bounds its use elsewhere.
//!
//! What a client brings under this name, or under the names that Kong tells
//! consumers by, is always removed.

use crate::base::header_class::{HeaderClass, folds_alike};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use plan::IdentityHeader;
use serde_json::{Map, Value};
use std::{cell::RefCell, rc::Rc, sync::Arc};

/// How old a signature may be when it is sent, in seconds: so much of its life
/// is spent here.
const REUSED_SECONDS: u64 = 5;

/// A consumer's key or token credential.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) consumer: Arc<str>,
    /// The credential, as no other is called.
    pub(crate) name: Arc<str>,
    groups: Vec<String>,
}

impl Credential {
    pub(crate) fn new(consumer: &str, name: &str, groups: &[String]) -> Self {
        Self {
            consumer: consumer.into(),
            name: format!("{consumer}/{name}").into(),
            groups: groups.to_vec(),
        }
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|one| one == group)
    }
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) credential: Option<Arc<Credential>>,
    claims: Map<String, Value>,
    /// Claims as bytes, where they are numbers or booleans.
    texts: Vec<(String, Box<[u8]>)>,
    /// The last signature, and when it was made.
    signed: RefCell<Option<(u64, HeaderValue)>>,
}

impl Identity {
    pub(crate) fn new(credential: Option<Arc<Credential>>, claims: Map<String, Value>) -> Rc<Self> {
        let texts = claims
            .iter()
            .filter(|(_, value)| value.is_number() || value.is_boolean())
            .map(|(name, value)| (name.clone(), value.to_string().into_bytes().into()))
            .collect();
        Rc::new(Self {
            credential,
            claims,
            texts,
            signed: RefCell::default(),
        })
    }

    /// A claim of the token.
    pub(crate) fn claim(&self, name: &str) -> Option<&[u8]> {
        if let Some(Value::String(text)) = self.claims.get(name) {
            return Some(text.as_bytes()).filter(|text| !text.is_empty());
        }
        let mut texts = self.texts.iter();
        texts.find_map(|(found, text)| (found == name).then_some(&**text))
    }

    pub(crate) fn is_in(&self, groups: &[String]) -> bool {
        let credential = self.credential.as_ref();
        credential.is_some_and(|who| groups.iter().any(|group| who.is_in(group)))
    }
}

/// Signs identities.
pub(crate) struct Signer {
    header: HeaderName,
    key: hmac::Key,
    claims: Vec<String>,
    lifetime: u64,
}

impl Signer {
    /// None where the header's name is none, which the plan has checked.
    pub(crate) fn new(rule: &IdentityHeader) -> Option<Self> {
        Some(Self {
            header: rule.header.parse().ok()?,
            key: hmac::Key::new(hmac::HMAC_SHA256, rule.secret.expose()),
            claims: rule.claims.clone(),
            lifetime: rule.lifetime.as_secs().max(1),
        })
    }

    pub(crate) fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Who asks, for the upstream.
    pub(crate) fn signed(&self, who: &Identity, now: u64) -> HeaderValue {
        let mut signed = who.signed.borrow_mut();
        let reused = REUSED_SECONDS.min(self.lifetime / 2);
        match &*signed {
            Some((at, value)) if now >= *at && now - at <= reused => value.clone(),
            _ => {
                let value = self.sign(who, now);
                *signed = Some((now, value.clone()));
                value
            }
        }
    }

    fn sign(&self, who: &Identity, now: u64) -> HeaderValue {
        let mut told = Map::new();
        if let Some(credential) = &who.credential {
            told.insert("consumer".to_owned(), (*credential.consumer).into());
            told.insert("credential".to_owned(), (*credential.name).into());
            told.insert("groups".to_owned(), credential.groups.clone().into());
        }
        if let Some(subject) = who.claims.get("sub") {
            told.insert("sub".to_owned(), subject.clone());
        }
        let chosen: Map<String, Value> = self
            .claims
            .iter()
            .filter_map(|name| Some((name.clone(), who.claims.get(name)?.clone())))
            .collect();
        if !chosen.is_empty() {
            told.insert("claims".to_owned(), chosen.into());
        }
        told.insert("iat".to_owned(), now.into());
        told.insert("exp".to_owned(), (now + self.lifetime).into());
        // Base64 holds no byte that a header could not.
        let claims = URL_SAFE_NO_PAD.encode(Value::from(told).to_string());
        let text = format!("v1.{claims}");
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, text.as_bytes()));
        HeaderValue::try_from(format!("{text}.{tag}")).unwrap_or(HeaderValue::from_static("v1"))
    }
}

/// Removes what only the gateway may say. One walk over the names where there
/// is none of it, which is nearly always: no name is looked up.
pub(crate) fn strip(headers: &mut HeaderMap, own: &HeaderName) {
    let own = own.as_str().as_bytes();
    let forged = |name: &&HeaderName| {
        let name = name.as_str().as_bytes();
        HeaderClass::of(name) == HeaderClass::Reserved || folds_alike(name, own)
    };
    if headers.keys().any(|name| forged(&name)) {
        let names: Vec<HeaderName> = headers.keys().filter(forged).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
}

/// Who asks, in the words of Kong.
pub(crate) fn as_kong(who: &Identity) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let consumer = who.credential.as_ref().map(|one| &*one.consumer);
    let credential = who.credential.as_ref().map(|one| &*one.name);
    let last = credential.and_then(|name| name.rsplit('/').next());
    let pairs = [
        (HeaderName::from_static("x-consumer-username"), consumer),
        (HeaderName::from_static("x-credential-identifier"), last),
    ];
    pairs
        .into_iter()
        .filter_map(|(name, text)| Some((name, HeaderValue::from_str(text?).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Secret;
    use serde_json::json;
    use std::time::Duration;

    fn signer() -> Signer {
        Signer::new(&IdentityHeader {
            header: "x-banyan-identity".to_owned(),
            secret: Secret::new("0123456789abcdef").unwrap(),
            claims: vec!["email".to_owned()],
            lifetime: Duration::from_mins(1),
        })
        .unwrap()
    }

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => panic!("no object"),
        }
    }

    #[test]
    fn a_signature_is_whole_and_reused_for_a_while() {
        let signer = signer();
        let credential = Credential::new("shop", "key-0", &["clients".to_owned()]);
        // Claims cannot break out of the header, whatever is in them.
        let claims = json!({"sub": "7", "email": "a\r\nx-admin: 1", "other": 1});
        let who = Identity::new(Some(Arc::new(credential)), map(claims));
        let at = |now| signer.signed(&who, now).to_str().unwrap().to_owned();
        let first = at(1000);
        assert_eq!(at(1005), first);
        assert_ne!(at(1006), first);
        let parts: Vec<&str> = first.split('.').collect();
        let [version, claims, tag] = parts[..] else {
            panic!("{first}")
        };
        let told: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(
            told,
            json!({
                "consumer": "shop", "credential": "shop/key-0", "groups": ["clients"],
                "sub": "7", "claims": {"email": "a\r\nx-admin: 1"}, "iat": 1000, "exp": 1060,
            })
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef");
        let text = format!("{version}.{claims}");
        let tag = URL_SAFE_NO_PAD.decode(tag).unwrap();
        assert!(hmac::verify(&key, text.as_bytes(), &tag).is_ok());
    }

    #[test]
    fn forged_identities_are_removed() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-banyan-identity",
            "X-Consumer-ID",
            "x-consumer-username",
            "x-credential-identifier",
            "x-anonymous-consumer",
            "x-authenticated-groups",
            "x-user-id",
            "x-consume",
            // As the plan calls it, in spellings that WSGI takes for it.
            "x-who",
            "x_who",
            "x.who",
        ] {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_static("f"),
            );
        }
        headers.append("x-banyan-identity", HeaderValue::from_static("twice"));
        strip(&mut headers, &HeaderName::from_static("x-who"));
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-consume", "x-user-id"]);
    }

    #[test]
    fn claims_are_keys() {
        let claims = json!({"sub": "u", "tenant": 7, "admin": true, "empty": "", "list": [1]});
        let who = Identity::new(None, map(claims));
        assert_eq!(who.claim("sub"), Some(&b"u"[..]));
        assert_eq!(who.claim("tenant"), Some(&b"7"[..]));
        assert_eq!(who.claim("admin"), Some(&b"true"[..]));
        for none in ["empty", "list", "nothing"] {
            assert_eq!(who.claim(none), None, "{none}");
        }
    }
}
