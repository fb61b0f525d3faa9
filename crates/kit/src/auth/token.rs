//! JSON web tokens (RFC 7519), verified by keys whose algorithm we know: what
//! the token asks for decides nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longer ones are none of ours.
pub(super) const TOKEN_BYTES_MAX: usize = 8 << 10;

/// By how much clocks may differ.
pub(super) const LEEWAY_SECONDS: u64 = 10;

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// No token, or one without a claim that it needs.
    #[error("The token is malformed.")]
    Malformed,
    /// `none`, unknown, or another one than the key's.
    #[error("The token's algorithm is not one that is taken here.")]
    Algorithm,
    /// By no known key, or changed afterwards.
    #[error("The token's signature is wrong.")]
    Signature,
    /// No longer valid.
    #[error("The token has expired.")]
    Expired,
    /// Not valid so far.
    #[error("The token is not valid yet.")]
    NotYet,
    /// By another issuer.
    #[error("The token's issuer is another.")]
    Issuer,
    /// For another audience.
    #[error("The token is for another audience.")]
    Audience,
    /// For another method or path.
    #[error("The token was made for another request.")]
    Request,
    /// It may be good, but cannot be verified now.
    #[error("The keys that tokens are verified by cannot be read at the moment.")]
    KeysUnavailable,
}

impl BadToken {
    /// The kind of its problem.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Malformed => "token-malformed",
            Self::Algorithm => "token-algorithm",
            Self::Signature => "token-signature",
            Self::Expired => "token-expired",
            Self::NotYet => "token-not-yet",
            Self::Issuer => "token-issuer",
            Self::Audience => "token-audience",
            Self::Request => "token-request",
            Self::KeysUnavailable => "keys-unavailable",
        }
    }
}

/// What a token must say beside having a good signature.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ExpectedClaims<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) audience: Option<&'a str>,
}

/// The head of a token, before anything of it is believed.
#[derive(Debug)]
pub(super) struct TokenHeader {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

pub(super) fn header_of(token: &str) -> Result<TokenHeader, BadToken> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(BadToken::Malformed);
    }
    match jsonwebtoken::decode_header(token) {
        // RFC 7515, 4.1.11: none of the extensions that it demands is known here.
        Ok(header) if header.crit.is_some() => Err(BadToken::Malformed),
        Ok(header) => Ok(TokenHeader {
            algorithm: header.alg,
            key_id: header.kid,
        }),
        Err(_) if asks_for_unknown_algorithm(token) => Err(BadToken::Algorithm),
        Err(_) => Err(BadToken::Malformed),
    }
}

/// `none` is no algorithm to the library, as any other word it does not know.
fn asks_for_unknown_algorithm(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    serde_json::from_slice(&header).is_ok_and(|header: Value| header["alg"].is_string())
}

/// The claims, if all is good.
pub(super) fn claims<C: DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    expected: ExpectedClaims<'_>,
) -> Result<C, BadToken> {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp"]);
    if let Some(issuer) = expected.issuer {
        validation.set_issuer(&[issuer]);
        validation.required_spec_claims.insert("iss".to_owned());
    }
    match expected.audience {
        Some(audience) => {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        None => validation.validate_aud = false,
    }
    match jsonwebtoken::decode(token, key, &validation) {
        Ok(decoded) => Ok(decoded.claims),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => BadToken::Signature,
            ErrorKind::InvalidAlgorithm => BadToken::Algorithm,
            ErrorKind::ExpiredSignature => BadToken::Expired,
            ErrorKind::ImmatureSignature => BadToken::NotYet,
            ErrorKind::InvalidIssuer => BadToken::Issuer,
            ErrorKind::InvalidAudience => BadToken::Audience,
            ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => BadToken::Issuer,
            ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => BadToken::Audience,
            _ => BadToken::Malformed,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::KINDS;

    #[test]
    fn every_fault_is_documented() {
        for bad in [
            BadToken::Malformed,
            BadToken::Algorithm,
            BadToken::Signature,
            BadToken::Expired,
            BadToken::NotYet,
            BadToken::Issuer,
            BadToken::Audience,
            BadToken::Request,
            BadToken::KeysUnavailable,
        ] {
            let kind = bad.kind();
            assert!(KINDS.iter().any(|(_, known, _)| *known == kind), "{kind}");
        }
    }
}
