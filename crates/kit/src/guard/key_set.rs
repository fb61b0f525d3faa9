//! The public keys of an issuer of tokens (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// Key sets hold a handful of keys.
const KEYS_MAX: usize = 100;

/// A key and the one algorithm that it is for.
#[derive(Clone)]
pub(super) struct PublicKey {
    pub(super) key: DecodingKey,
    pub(super) algorithm: Algorithm,
}

/// The keys, as they were read once.
pub(crate) struct KeySet(Vec<(Option<String>, PublicKey)>);

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(id, _)| id))
            .finish()
    }
}

impl KeySet {
    /// Keys that cannot be used are left out; a set without any is an error.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let set: Value = serde_json::from_slice(text).map_err(|_| "it is no JSON")?;
        let keys = set["keys"].as_array().ok_or("it has no `keys`")?;
        if keys.len() > KEYS_MAX {
            return Err("it has too many keys");
        }
        let usable = |key: &Value| {
            let key: Jwk = serde_json::from_value(key.clone()).ok()?;
            public_key(&key).map(|public| (key.common.key_id.clone(), public))
        };
        let keys: Vec<_> = keys.iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err("it has no key for ES256, RS256 or their like");
        }
        Ok(Self(keys))
    }

    /// The key of this id; of a token without one, the only key.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&PublicKey> {
        match (id, &self.0[..]) {
            (None, [(_, only)]) => Some(only),
            (None, _) => None,
            (Some(id), keys) => keys
                .iter()
                .find_map(|(known, key)| (known.as_deref() == Some(id)).then_some(key)),
        }
    }
}

/// Public keys for signatures only: a set that is published holds no secret,
/// and one that does would verify whatever its readers sign.
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

    fn ec(id: &str, more: &str) -> String {
        format!(
            r#"{{"kty":"EC","crv":"P-256","kid":"{id}",{more}
            "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}}"#
        )
    }

    #[test]
    fn only_public_keys_for_signatures_are_taken() {
        let set = |keys: &str| KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes());
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
            assert!(set(&bad).is_err(), "{bad}");
        }
        assert!(set(&format!(r#"{{"kty":"new"}},{}"#, ec("a", ""))).is_ok());
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#] {
            assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
