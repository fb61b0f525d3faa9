//! Tokens and keys read from bytes alone.

use super::{
    key_set::KeySet,
    token::{Credentials, verify},
};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use plan::{Consumer, Jwt, JwtAlgorithm, JwtCredential, Secret};
use std::{collections::BTreeMap, time::Duration};

/// The key that tokens name, and what it signs with.
const KEY: &str = "shop";
const SECRET: &str = "a secret of the shop";

/// Verifies bytes as a token, and their first line and the rest as a header and
/// claims that the right key has signed; says whether those are believed.
pub(crate) fn token(bytes: &[u8]) -> bool {
    let Some(credentials) = credentials() else {
        return false;
    };
    let rule = rule();
    assert!(verify(bytes, &rule, &credentials, None).is_err());
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (header, claims) = bytes.split_at(end.unwrap_or(bytes.len()));
    let encoded = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encoded(header), encoded(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    let token = format!("{signed}.{}", encoded(signature.as_ref()));
    let Ok(verified) = verify(token.as_bytes(), &rule, &credentials, None) else {
        return false;
    };
    let json = |part: &[u8]| serde_json::from_slice::<serde_json::Value>(part).unwrap_or_default();
    assert_eq!(json(header)["alg"], "HS256");
    assert_eq!(json(claims)[&rule.key_claim], KEY);
    for now in [0, 1, u64::MAX] {
        let _ = verified.timely(&rule, now);
    }
    true
}

/// Reads a key set as an issuer publishes it.
pub(crate) fn keys(bytes: &[u8]) {
    if let Err(error) = KeySet::parse(bytes, 1) {
        assert!(!error.to_string().is_empty());
    }
}

fn credentials() -> Option<Credentials> {
    let credential = JwtCredential {
        key: KEY.to_owned(),
        algorithm: JwtAlgorithm::Hs256,
        secret: Secret::new(SECRET).ok()?,
    };
    let shop = Consumer {
        jwt: vec![credential],
        ..Consumer::default()
    };
    Credentials::new(&BTreeMap::from([(KEY.to_owned(), shop)])).ok()
}

/// What is asked of them.
pub(super) fn rule() -> Jwt {
    Jwt {
        headers: vec!["authorization".to_owned()],
        query: Vec::new(),
        cookies: Vec::new(),
        key_claim: "iss".to_owned(),
        issuers: Vec::new(),
        audiences: Vec::new(),
        required: Vec::new(),
        leeway: Duration::from_secs(5),
        lifetime_max: Some(Duration::from_hours(1)),
        secrets_are_base64: false,
        jwks: true,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_right_key_signs_is_believed() {
        let claims = br#"{"iss":"shop","exp":2000}"#;
        let after = |header: &[u8]| super::token(&[header, b"\n", claims].concat());
        assert!(after(br#"{"alg":"HS256","typ":"JWT"}"#));
        assert!(!after(br#"{"alg":"none"}"#));
        assert!(!after(br#"{"alg":"HS512"}"#));
    }
}
