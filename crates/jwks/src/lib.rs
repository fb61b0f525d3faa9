//! The public keys that an issuer of tokens publishes (RFC 7517), read
//! strictly.
//!
//! Pure: where a set is read from, how often, and what waits for it is the
//! caller's (`docs/decisions/0010-resilience.md` says why). It is not for
//! verifying claims either.
//!
//! `jsonwebtoken`'s own set is not used: it refuses a whole set for one key of
//! a kind that it does not know, and finds keys that are not for signatures.
//!
//! # Invariants
//!
//! 1. Only public keys for signatures are taken: a set that is published holds
//!    no secret, and one that does would verify whatever its readers sign.
//! 2. Each key verifies by one algorithm, which the set says or the kind of the
//!    key implies; what a token asks for decides nothing.
//! 3. A key that cannot be used does not spoil the others.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// Key sets hold a handful of keys.
pub const KEYS_MAX: usize = 100;

/// A key and the one algorithm that it is for.
#[derive(Clone)]
pub struct PublicKey {
    /// The key.
    pub key: DecodingKey,
    /// Its algorithm.
    pub algorithm: Algorithm,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON.
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but no key set.
    #[error("it has no `keys`")]
    NoKeys,
    /// More than a set may have.
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
    /// None that could verify a token.
    #[error("it has no key for RS256, ES256 or their like")]
    NoneUsable,
}

/// The keys of a set by their ids, as they were read once: with `K` what a
/// caller verifies by, made once per key.
pub struct KeySet<K = PublicKey>(Vec<(Option<String>, K)>);

impl<K> fmt::Debug for KeySet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(id, _)| id))
            .finish()
    }
}

impl KeySet {
    /// Keys that cannot be used are left out; a set without any is an error.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let set: Value = serde_json::from_slice(text)?;
        let keys = set["keys"].as_array().ok_or(KeySetError::NoKeys)?;
        if keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let usable = |key: &Value| {
            let key: Jwk = serde_json::from_value(key.clone()).ok()?;
            public_key(&key).map(|public| (key.common.key_id.clone(), public))
        };
        let keys: Vec<_> = keys.iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoneUsable);
        }
        Ok(Self(keys))
    }

    /// The same keys as what a caller verifies by.
    pub fn map<K>(self, make: impl Fn(PublicKey) -> K) -> KeySet<K> {
        let keys = self.0.into_iter().map(|(id, key)| (id, make(key)));
        KeySet(keys.collect())
    }
}

impl<K> KeySet<K> {
    /// The key of this id; of a token without one, the only key.
    pub fn find(&self, id: Option<&str>) -> Option<&K> {
        match (id, &self.0[..]) {
            (None, [(_, only)]) => Some(only),
            (None, _) => None,
            (Some(id), keys) => keys
                .iter()
                .find_map(|(known, key)| (known.as_deref() == Some(id)).then_some(key)),
        }
    }

    /// How many there are, at least one.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn public_key(key: &Jwk) -> Option<PublicKey> {
    if matches!(&key.common.public_key_use, Some(other) if *other != PublicKeyUse::Signature) {
        return None;
    }
    let fitting: &[(KeyAlgorithm, Algorithm)] = match &key.algorithm {
        AlgorithmParameters::RSA(_) => &[
            (KeyAlgorithm::RS256, Algorithm::RS256),
            (KeyAlgorithm::RS384, Algorithm::RS384),
            (KeyAlgorithm::RS512, Algorithm::RS512),
        ],
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => &[(KeyAlgorithm::ES256, Algorithm::ES256)],
            EllipticCurve::P384 => &[(KeyAlgorithm::ES384, Algorithm::ES384)],
            _ => return None,
        },
        _ => return None,
    };
    let algorithm = match key.common.key_algorithm {
        None => fitting[0].1,
        Some(said) => fitting.iter().find(|(name, _)| *name == said)?.1,
    };
    let key = DecodingKey::from_jwk(key).ok()?;
    Some(PublicKey { key, algorithm })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(keys: &str) -> Result<KeySet, KeySetError> {
        KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes())
    }

    fn ec(id: &str, more: &str) -> String {
        format!(
            r#"{{"kty":"EC","crv":"P-256","kid":"{id}",{more}
            "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}}"#
        )
    }

    #[test]
    fn only_public_keys_for_signatures_are_taken() {
        let good = set(&format!("{},{}", ec("a", ""), ec("b", r#""alg":"ES256","#))).unwrap();
        assert!(good.find(Some("a")).is_some() && good.find(Some("b")).is_some());
        assert!(good.find(Some("c")).is_none() && good.find(None).is_none());
        assert!(set(&ec("a", "")).unwrap().find(None).is_some());
        for bad in [
            ec("a", r#""use":"enc","#),
            ec("a", r#""alg":"RS256","#),
            ec("a", r#""alg":"HS256","#),
            r#"{"kty":"oct","kid":"a","alg":"HS256","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"new"}"#.to_owned(),
            String::new(),
        ] {
            assert!(matches!(set(&bad), Err(KeySetError::NoneUsable)), "{bad}");
        }
    }

    #[test]
    fn a_key_that_is_not_known_does_not_spoil_the_others() {
        let both = set(&format!(r#"{{"kty":"new"}},{}"#, ec("a", ""))).unwrap();
        assert_eq!(both.len(), 1);
        let algorithms = both.map(|public| public.algorithm);
        assert_eq!(algorithms.find(Some("a")), Some(&Algorithm::ES256));
        assert_eq!(format!("{algorithms:?}"), r#"[Some("a")]"#);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#] {
            assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = vec!["{}"; KEYS_MAX + 1].join(",");
        assert!(matches!(set(&many), Err(KeySetError::TooMany)));
    }
}
