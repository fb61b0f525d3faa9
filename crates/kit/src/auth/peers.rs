//! Tokens that services show each other: signed, for one minute, for one
//! service, for one method and path (claims as in RFC 9449). Whoever reads one
//! on its way can repeat that very request for a minute, and nothing else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use super::caller::Peer;
use super::token::{self, BadToken, ExpectedClaims};
use crate::settings::Secrets;

/// How long a token is good. A request that takes longer to arrive is refused.
const LIFETIME: Duration = Duration::from_mins(1);

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
    /// Method and path of the one request that it is for.
    htm: String,
    htu: String,
}

/// Makes and verifies them. All services share the secrets, so each could
/// name itself another: they keep out whoever is no service.
#[derive(Debug, Clone)]
pub struct PeerTokens {
    own_name: &'static str,
    secrets: Option<Secrets>,
}

impl PeerTokens {
    /// For this service. Without secrets none is made, and none is good.
    pub fn new(own_name: &'static str, secrets: Option<Secrets>) -> Self {
        Self { own_name, secrets }
    }

    /// A token for a request to another service; `None` without secrets.
    pub fn sign(&self, audience: &str, method: &Method, path: &str) -> Option<String> {
        let secret = self.secrets.as_ref()?.first()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let claims = Claims {
            iss: self.own_name.to_owned(),
            aud: audience.to_owned(),
            iat: now,
            exp: now + LIFETIME.as_secs(),
            htm: method.to_string(),
            htu: path.to_owned(),
        };
        let key = EncodingKey::from_secret(secret.expose().as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).ok()
    }

    /// Who signed it, if it is for this request to this service.
    pub fn verify(&self, token: &str, method: &Method, path: &str) -> Result<Peer, BadToken> {
        let header = token::header_of(token)?;
        if header.algorithm != Algorithm::HS256 {
            return Err(BadToken::Algorithm);
        }
        let expected = ExpectedClaims {
            issuer: None,
            audience: Some(self.own_name),
        };
        let mut outcome = Err(BadToken::Signature);
        for secret in self.secrets.iter().flat_map(Secrets::iter) {
            let key = DecodingKey::from_secret(secret.expose().as_bytes());
            outcome = token::claims::<Claims>(token, &key, Algorithm::HS256, expected);
            if !matches!(outcome, Err(BadToken::Signature)) {
                break;
            }
        }
        let claims = outcome?;
        if claims.exp.saturating_sub(claims.iat) > LIFETIME.as_secs() {
            return Err(BadToken::Malformed);
        }
        if claims.htm != method.as_str() || claims.htu != path {
            return Err(BadToken::Request);
        }
        Ok(Peer {
            service: claims.iss,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::Setting;

    fn tokens(name: &'static str, secrets: &str) -> PeerTokens {
        PeerTokens::new(name, Secrets::parse(secrets))
    }

    #[test]
    fn a_token_is_for_one_request_to_one_service() {
        let auth = tokens("auth", "new,old");
        let made = auth.sign("analytics", &Method::POST, "/events").unwrap();
        let verified = |who: &PeerTokens, method: &Method, path| who.verify(&made, method, path);
        let analytics = tokens("analytics", "new");
        let peer = verified(&analytics, &Method::POST, "/events").unwrap();
        assert_eq!(peer.service, "auth");
        let wrong = [
            (&analytics, Method::GET, "/events", BadToken::Request),
            (&analytics, Method::POST, "/event", BadToken::Request),
            (
                &tokens("auth", "new"),
                Method::POST,
                "/events",
                BadToken::Audience,
            ),
            (
                &tokens("analytics", "old"),
                Method::POST,
                "/events",
                BadToken::Signature,
            ),
            (
                &tokens("analytics", ""),
                Method::POST,
                "/events",
                BadToken::Signature,
            ),
        ];
        for (who, method, path, bad) in wrong {
            assert_eq!(verified(who, &method, path), Err(bad));
        }
        // Whoever has both secrets already takes both.
        let both = tokens("analytics", "newer,new");
        assert!(verified(&both, &Method::POST, "/events").is_ok());
    }

    #[test]
    fn without_secrets_nothing_is_signed() {
        assert_eq!(
            tokens("auth", "").sign("analytics", &Method::GET, "/"),
            None
        );
    }

    proptest! {
        #[test]
        fn nothing_else_is_taken(token: String, at in 0..200usize, byte in 32..127u8) {
            let auth = tokens("auth", "secret");
            prop_assert!(auth.verify(&token, &Method::GET, "/").is_err());
            let made = auth.sign("auth", &Method::GET, "/").unwrap();
            let mut changed = made.clone().into_bytes();
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(
                auth.verify(&changed, &Method::GET, "/").is_ok(),
                changed == made
            );
        }
    }
}
