//! The published keys of a token issuer (RFC 7517).

use crate::base::denial::BadToken;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde_json::{Map, Value};

const SET_KEYS_MAX: usize = 100;

/// The claims of a token.
pub(super) type Claims = Map<String, Value>;

/// The keys, as they were read once.
pub(crate) struct KeySet {
    /// Told apart from any read earlier.
    pub(crate) generation: u64,
    pub(super) keys: Vec<(Option<String>, Verifier)>,
}

impl KeySet {
    /// Keys that cannot be used are left out; a set without any is an error.
    pub(crate) fn parse(text: &[u8], generation: u64) -> Result<Self, String> {
        let set: Value =
            serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let keys = set["keys"].as_array().ok_or("it has no `keys`")?;
        if keys.len() > SET_KEYS_MAX {
            return Err(format!("it has more than {SET_KEYS_MAX} keys"));
        }
        let usable = |key: &Value| {
            let key: Jwk = serde_json::from_value(key.clone()).ok()?;
            verifier(&key).map(|verifier| (key.common.key_id.clone(), verifier))
        };
        let keys: Vec<_> = keys.iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err("it has no key for RS256, ES256 or their like".to_owned());
        }
        Ok(Self { generation, keys })
    }

    /// The key of this id; of a token without one, the only key.
    pub(crate) fn find(&self, id: Option<&str>) -> Option<&Verifier> {
        match (id, &self.keys[..]) {
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
fn verifier(key: &Jwk) -> Option<Verifier> {
    if matches!(&key.common.public_key_use, Some(other) if *other != PublicKeyUse::Signature) {
        return None;
    }
    let said = match key.common.key_algorithm {
        None => None,
        Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
        Some(KeyAlgorithm::RS384) => Some(Algorithm::RS384),
        Some(KeyAlgorithm::RS512) => Some(Algorithm::RS512),
        Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
        Some(KeyAlgorithm::ES384) => Some(Algorithm::ES384),
        Some(_) => return None,
    };
    let fitting: &[Algorithm] = match &key.algorithm {
        AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512],
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => return None,
        },
        _ => return None,
    };
    let algorithm = said.unwrap_or(fitting[0]);
    let decoding = DecodingKey::from_jwk(key).ok()?;
    fitting
        .contains(&algorithm)
        .then(|| Verifier::new(decoding, algorithm))
}

/// A key and the one algorithm that it is for.
pub(crate) struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    pub(crate) fn new(key: DecodingKey, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        // The signature only: the claims are looked at here, with our time.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self { key, validation }
    }

    pub(super) fn claims(&self, token: &[u8]) -> Result<Claims, BadToken> {
        use jsonwebtoken::errors::ErrorKind;

        match jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation) {
            Ok(decoded) => Ok(decoded.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature => BadToken::Signature,
                ErrorKind::InvalidAlgorithm => BadToken::Algorithm,
                _ => BadToken::Malformed,
            }),
        }
    }
}
