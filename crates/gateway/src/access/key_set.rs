//! The published keys of a token issuer (RFC 7517).

use crate::base::denial::BadToken;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use jwks::KeySetError;
use serde_json::{Map, Value};

/// The claims of a token.
pub(super) type Claims = Map<String, Value>;

/// The keys, as they were read once.
pub(crate) struct KeySet {
    /// Told apart from any read earlier.
    pub(crate) generation: u64,
    keys: jwks::KeySet<Verifier>,
}

impl KeySet {
    /// Keys that cannot be used are left out; a set without any is an error.
    pub(crate) fn parse(text: &[u8], generation: u64) -> Result<Self, KeySetError> {
        let keys = jwks::KeySet::parse(text)?;
        Ok(Self {
            generation,
            keys: keys.map(|public| Verifier::new(public.key, public.algorithm)),
        })
    }

    /// The key of this id; of a token without one, the only key.
    pub(crate) fn find(&self, id: Option<&str>) -> Option<&Verifier> {
        self.keys.find(id)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
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
