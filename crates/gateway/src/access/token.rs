//! JSON web tokens (RFC 7519), verified.
//!
//! Which key and so which algorithm verifies a token is decided by what the
//! plan or the issuer's key set says, never by what the token asks for: a
//! token whose header names another algorithm than its key's, or `none`, is
//! refused. Pure: the time comes in.

use super::{
    identity::{Credential, Identity},
    key_set::{KeySet, Verifier},
};
use crate::base::denial::BadToken;
use jsonwebtoken::{Algorithm, DecodingKey, dangerous::insecure_decode_claims};
use plan::{CREDENTIAL_BYTES_MAX, Consumer, Jwt, JwtAlgorithm, JwtCredential};
use serde_json::Value;
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::Arc,
};
use subtle::ConstantTimeEq;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::key_set::Claims;
/// Tokens that a worker remembers as verified; the slot of a token is decided
/// by its hash, so that a flood of tokens costs verifications and no memory.
const REMEMBERED: usize = 1024;

/// Longer tokens are verified each time: with the bound above, this bounds what
/// is remembered to 2 MiB of tokens and some times that of claims.
const REMEMBERED_BYTES_MAX: usize = 2 << 10;

/// The consumers' token credentials, by their keys.
pub(crate) struct Credentials(HashMap<String, Known>);

struct Known {
    /// By whether its secret is read as base64, where that can be.
    plain: Verifier,
    base64: Option<Verifier>,
    credential: Arc<Credential>,
}

impl Credentials {
    /// Fails on a key that is none, with the name of its consumer and why.
    pub(crate) fn new(consumers: &BTreeMap<String, Consumer>) -> Result<Self, (String, String)> {
        let mut all = HashMap::new();
        for (name, consumer) in consumers {
            for one in &consumer.jwt {
                let known = Known::new(name, one, &consumer.groups)
                    .map_err(|error| (name.clone(), error.to_string()))?;
                all.insert(one.key.clone(), known);
            }
        }
        Ok(Self(all))
    }
}

impl Known {
    fn new(
        consumer: &str,
        one: &JwtCredential,
        groups: &[String],
    ) -> Result<Self, jsonwebtoken::errors::Error> {
        let algorithm = algorithm(one.algorithm);
        let text = one.secret.expose_text();
        let key = match one.algorithm {
            JwtAlgorithm::Hs256 | JwtAlgorithm::Hs384 | JwtAlgorithm::Hs512 => {
                DecodingKey::from_secret(text.as_bytes())
            }
            JwtAlgorithm::Rs256 | JwtAlgorithm::Rs384 | JwtAlgorithm::Rs512 => {
                DecodingKey::from_rsa_pem(text.as_bytes())?
            }
            JwtAlgorithm::Es256 | JwtAlgorithm::Es384 => DecodingKey::from_ec_pem(text.as_bytes())?,
        };
        let base64 = one.algorithm.is_symmetric().then(|| {
            let key = DecodingKey::from_base64_secret(text).ok()?;
            Some(Verifier::new(key, algorithm))
        });
        Ok(Self {
            plain: Verifier::new(key, algorithm),
            base64: base64.flatten(),
            credential: Arc::new(Credential::new(consumer, &one.key, groups)),
        })
    }
}

fn algorithm(name: JwtAlgorithm) -> Algorithm {
    match name {
        JwtAlgorithm::Hs256 => Algorithm::HS256,
        JwtAlgorithm::Hs384 => Algorithm::HS384,
        JwtAlgorithm::Hs512 => Algorithm::HS512,
        JwtAlgorithm::Rs256 => Algorithm::RS256,
        JwtAlgorithm::Rs384 => Algorithm::RS384,
        JwtAlgorithm::Rs512 => Algorithm::RS512,
        JwtAlgorithm::Es256 => Algorithm::ES256,
        JwtAlgorithm::Es384 => Algorithm::ES384,
    }
}

/// A token whose signature is good, and between when it is.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) who: Rc<Identity>,
    not_before: Option<u64>,
    expires: Option<u64>,
}

/// Why there is no verdict, or a bad one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unverified {
    Bad(BadToken),
    /// It names a key that the issuer may have published meanwhile.
    UnknownToIssuer,
}

impl From<BadToken> for Unverified {
    fn from(bad: BadToken) -> Self {
        Self::Bad(bad)
    }
}

/// Verifies a token, all but its times.
pub(crate) fn verify(
    token: &[u8],
    rule: &Jwt,
    credentials: &Credentials,
    set: Option<&KeySet>,
) -> Result<Verified, Unverified> {
    if token.len() > CREDENTIAL_BYTES_MAX {
        return Err(BadToken::Malformed.into());
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| BadToken::Malformed)?;
    if header.crit.is_some() {
        // RFC 7515, 4.1.11: none of its extensions is known here, and an empty list is none.
        return Err(BadToken::Critical.into());
    }
    let said: Claims = insecure_decode_claims(token).map_err(|_| BadToken::Malformed)?;
    let key = said.get(&rule.key_claim).and_then(Value::as_str);
    let known = key.and_then(|key| credentials.0.get(key));
    let (claims, credential) = match (known, set) {
        (Some(known), _) => {
            let verifier = if rule.secrets_are_base64 {
                known.base64.as_ref().unwrap_or(&known.plain)
            } else {
                &known.plain
            };
            let credential = Some(Arc::clone(&known.credential));
            (verifier.claims(token)?, credential)
        }
        (None, Some(set)) if rule.jwks => {
            let verifier = set
                .find(header.kid.as_deref())
                .ok_or(Unverified::UnknownToIssuer)?;
            (verifier.claims(token)?, None)
        }
        (None, _) => return Err(BadToken::UnknownKey.into()),
    };
    check(&claims, rule)?;
    Ok(Verified {
        not_before: date(&claims, "nbf")?,
        expires: date(&claims, "exp")?,
        who: Identity::new(credential, claims),
    })
}

fn check(claims: &Claims, rule: &Jwt) -> Result<(), BadToken> {
    let missing = |name: &String| claims.get(name).is_none_or(Value::is_null);
    if rule.required.iter().any(missing) {
        return Err(BadToken::Missing);
    }
    let named = |value: &Value, wanted: &[String]| {
        value
            .as_str()
            .is_some_and(|text| wanted.iter().any(|one| one == text))
    };
    let issuer = claims.get("iss").unwrap_or(&Value::Null);
    if !rule.issuers.is_empty() && !named(issuer, &rule.issuers) {
        return Err(BadToken::Issuer);
    }
    let audience = claims.get("aud").unwrap_or(&Value::Null);
    let ours = match audience {
        Value::Array(all) => all.iter().any(|one| named(one, &rule.audiences)),
        one => named(one, &rule.audiences),
    };
    if !rule.audiences.is_empty() && !ours {
        return Err(BadToken::Audience);
    }
    Ok(())
}

/// A `NumericDate` in whole seconds. Anything else there is no date.
fn date(claims: &Claims, name: &str) -> Result<Option<u64>, BadToken> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let whole = value.as_u64();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "fractions are cut off, and the cast saturates"
            )]
            let cut = || {
                value
                    .as_f64()
                    .filter(|date| *date >= 0.0)
                    .map(|date| date as u64)
            };
            whole.or_else(cut).map(Some).ok_or(BadToken::Malformed)
        }
    }
}

impl Verified {
    /// Whether its times are good now.
    pub(crate) fn timely(&self, rule: &Jwt, now: u64) -> Result<(), BadToken> {
        let leeway = rule.leeway.as_secs();
        if self
            .expires
            .is_some_and(|end| end.saturating_add(leeway) <= now)
        {
            return Err(BadToken::Expired);
        }
        if self
            .not_before
            .is_some_and(|begin| begin > now.saturating_add(leeway))
        {
            return Err(BadToken::NotYet);
        }
        let Some(longest) = rule.lifetime_max else {
            return Ok(());
        };
        let latest = now.saturating_add(longest.as_secs()).saturating_add(leeway);
        if self.expires.is_none_or(|end| end > latest) {
            return Err(BadToken::TooLong);
        }
        Ok(())
    }
}

/// Tokens that were verified before, of one worker.
pub(crate) struct Remembered {
    seed: u64,
    slots: RefCell<Vec<Option<Slot>>>,
}

struct Slot {
    token: Box<[u8]>,
    rule: usize,
    /// Of the issuer's keys: a key that was taken back verifies nothing.
    generation: u64,
    verified: Verified,
}

impl Remembered {
    pub(crate) fn new() -> Self {
        Self {
            // Unpredictable, so that nobody can aim at another one's slot.
            seed: uuid::Uuid::new_v4().as_u64_pair().0,
            slots: RefCell::default(),
        }
    }

    fn slot(&self, token: &[u8], rule: usize) -> usize {
        let hash = xxh3_64_with_seed(token, self.seed ^ rule as u64);
        usize::try_from(hash % REMEMBERED as u64).unwrap_or(0)
    }

    /// What is remembered of this very token.
    pub(crate) fn find(&self, token: &[u8], rule: usize, generation: u64) -> Option<Verified> {
        let slots = self.slots.borrow();
        let slot = slots.get(self.slot(token, rule))?.as_ref()?;
        let same = slot.rule == rule
            && slot.generation == generation
            && bool::from(slot.token.ct_eq(token));
        same.then(|| slot.verified.clone())
    }

    pub(crate) fn keep(&self, token: &[u8], rule: usize, generation: u64, verified: &Verified) {
        if token.len() > REMEMBERED_BYTES_MAX {
            return;
        }
        let mut slots = self.slots.borrow_mut();
        if slots.is_empty() {
            slots.resize_with(REMEMBERED, || None);
        }
        slots[self.slot(token, rule)] = Some(Slot {
            token: token.into(),
            rule,
            generation,
            verified: verified.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::replay;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use plan::Secret;
    use proptest::prelude::*;
    use serde_json::json;
    use std::time::Duration;

    fn credentials() -> Credentials {
        let one = |key: &str, algorithm, secret: &str| JwtCredential {
            key: key.to_owned(),
            algorithm,
            secret: Secret::new(secret).unwrap(),
        };
        let shop = Consumer {
            jwt: vec![
                one("shop", JwtAlgorithm::Hs256, "c2VjcmV0"),
                one("longer", JwtAlgorithm::Hs512, "other"),
            ],
            ..Consumer::default()
        };
        Credentials::new(&BTreeMap::from([("shop".to_owned(), shop)])).unwrap()
    }

    fn rule() -> Jwt {
        Jwt {
            lifetime_max: None,
            ..replay::rule()
        }
    }

    fn token(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
        encode(
            &Header::new(algorithm),
            claims,
            &EncodingKey::from_secret(secret),
        )
        .unwrap()
    }

    fn verdict(token: &str, rule: &Jwt) -> Result<(), Unverified> {
        let verified = verify(token.as_bytes(), rule, &credentials(), None)?;
        verified.timely(rule, 1000).map_err(Unverified::Bad)
    }

    #[test]
    fn the_key_decides_the_algorithm() {
        let claims = json!({"iss": "shop"});
        let good = token(Algorithm::HS256, b"c2VjcmV0", &claims);
        assert_eq!(verdict(&good, &rule()), Ok(()));
        let other = token(Algorithm::HS512, b"c2VjcmV0", &claims);
        assert_eq!(verdict(&other, &rule()), Err(BadToken::Algorithm.into()));
        let wrong = token(Algorithm::HS256, b"guess", &claims);
        assert_eq!(verdict(&wrong, &rule()), Err(BadToken::Signature.into()));
        let based = Jwt {
            secrets_are_base64: true,
            ..rule()
        };
        assert_eq!(verdict(&good, &based), Err(BadToken::Signature.into()));
        assert_eq!(
            verdict(&token(Algorithm::HS256, b"secret", &claims), &based),
            Ok(())
        );
        // {"alg":"none"} and {"alg":"None"}, without and with a signature.
        let body = good.split('.').nth(1).unwrap();
        for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIn0"] {
            for end in ["", "c2ln"] {
                let none = format!("{header}.{body}.{end}");
                assert_eq!(
                    verdict(&none, &rule()),
                    Err(BadToken::Malformed.into()),
                    "{none}"
                );
            }
        }
        let nobody = token(Algorithm::HS256, b"c2VjcmV0", &json!({"iss": "nobody"}));
        assert_eq!(verdict(&nobody, &rule()), Err(BadToken::UnknownKey.into()));
        let listed = token(Algorithm::HS256, b"c2VjcmV0", &json!({"iss": ["shop"]}));
        assert_eq!(verdict(&listed, &rule()), Err(BadToken::UnknownKey.into()));
    }

    #[test]
    fn what_a_token_demands_and_nobody_knows_is_refused() {
        let claims = json!({"iss": "shop"});
        for critical in [
            vec!["exp"],
            vec!["b64"],
            vec!["https://x.example/y"],
            vec![],
        ] {
            let mut header = Header::new(Algorithm::HS256);
            header.crit = Some(critical.into_iter().map(str::to_owned).collect());
            let token = encode(&header, &claims, &EncodingKey::from_secret(b"c2VjcmV0")).unwrap();
            assert_eq!(verdict(&token, &rule()), Err(BadToken::Critical.into()));
        }
    }

    #[test]
    fn claims_are_obeyed() {
        let rule = Jwt {
            issuers: vec!["shop".to_owned()],
            audiences: vec!["api".to_owned()],
            required: vec!["exp".to_owned()],
            lifetime_max: Some(Duration::from_secs(100)),
            ..rule()
        };
        for (claims, wanted) in [
            (json!({"exp": 1050, "aud": "api"}), Ok(())),
            (json!({"exp": 1050.9, "aud": ["x", "api"]}), Ok(())),
            (json!({"exp": 996, "aud": "api"}), Ok(())),
            (json!({"exp": 995, "aud": "api"}), Err(BadToken::Expired)),
            (json!({"exp": 1050, "nbf": 1005, "aud": "api"}), Ok(())),
            (
                json!({"exp": 1050, "nbf": 1006, "aud": "api"}),
                Err(BadToken::NotYet),
            ),
            (json!({"exp": 1106, "aud": "api"}), Err(BadToken::TooLong)),
            (json!({"aud": "api"}), Err(BadToken::Missing)),
            (json!({"exp": null, "aud": "api"}), Err(BadToken::Missing)),
            (
                json!({"exp": "1050", "aud": "api"}),
                Err(BadToken::Malformed),
            ),
            (json!({"exp": -1, "aud": "api"}), Err(BadToken::Malformed)),
            (json!({"exp": 1050}), Err(BadToken::Audience)),
            (json!({"exp": 1050, "aud": ["x"]}), Err(BadToken::Audience)),
        ] {
            let mut claims = claims;
            claims["iss"] = "shop".into();
            let token = token(Algorithm::HS256, b"c2VjcmV0", &claims);
            assert_eq!(
                verdict(&token, &rule),
                wanted.map_err(Unverified::Bad),
                "{claims}"
            );
        }
        let other = Jwt {
            issuers: vec!["bank".to_owned()],
            ..rule
        };
        let token = token(
            Algorithm::HS256,
            b"c2VjcmV0",
            &json!({"iss": "shop", "exp": 1050}),
        );
        assert_eq!(verdict(&token, &other), Err(BadToken::Issuer.into()));
    }

    #[test]
    fn what_is_remembered_is_this_very_token_for_this_rule() {
        let remembered = Remembered::new();
        let token = token(Algorithm::HS256, b"c2VjcmV0", &json!({"iss": "shop"}));
        let token = token.as_bytes();
        let verified = verify(token, &rule(), &credentials(), None).unwrap();
        remembered.keep(token, 1, 7, &verified);
        assert!(remembered.find(token, 1, 7).is_some());
        assert!(remembered.find(token, 2, 7).is_none());
        assert!(remembered.find(token, 1, 8).is_none());
        assert!(remembered.find(&token[1..], 1, 7).is_none());
        remembered.keep(&vec![0; REMEMBERED_BYTES_MAX + 1], 1, 7, &verified);
        assert!(
            remembered
                .find(&vec![0; REMEMBERED_BYTES_MAX + 1], 1, 7)
                .is_none()
        );
    }

    proptest! {
        #[test]
        fn no_text_is_good_or_panics(text in "[a-zA-Z0-9_.-]{0,80}|(eyJ[a-zA-Z0-9]{0,20}\\.){2}x") {
            prop_assert!(verdict(&text, &rule()).is_err());
        }
    }
}
