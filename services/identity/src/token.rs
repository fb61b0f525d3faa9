//! Access tokens (RFC 7519): HS256 by the secret that services share, or ES256
//! by a key of which they see the public half (RFC 7517).

use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kit::auth::{BadToken, UserTokens};
use kit::settings::{Secret, Server};
use kit::{Problem, User};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::settings::Settings;

/// HS256 wants a secret as long as its hash (RFC 7518, 3.2): a shorter one is
/// told of, since the seeds have one, and one that can be guessed is refused.
const SECRET_BYTES_GOOD: usize = 32;
const SECRET_BYTES_MIN: usize = 16;

/// Why tokens cannot be made. No secret is repeated.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// Neither a secret nor a key.
    #[error("set JWT_SECRET_KEY, or JWT_SIGNING_KEY for tokens that others verify by a public key")]
    Nothing,
    /// The secret is short.
    #[error(
        "JWT_SECRET_KEY is shorter than {SECRET_BYTES_MIN} bytes; make one by `openssl rand -base64 48`"
    )]
    ShortSecret,
    /// The key is none.
    #[error(
        "{0} is no P-256 key in PKCS #8 (PEM); make one by \
         `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
    )]
    Key(&'static str),
}

/// What an access token says.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    sub: String,
    /// The session: it says no more once that has ended, to who asks us.
    sid: Uuid,
    roles: &'a [String],
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// Makes access tokens and verifies them.
pub(crate) struct Tokens {
    header: Header,
    key: EncodingKey,
    published: JwkSet,
    verifier: UserTokens,
    issuer: Option<String>,
    audience: Option<String>,
    lifetime: Duration,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new(server: &Server, settings: &Settings) -> Result<Self, TokensError> {
        let read = |key: &Option<Secret>, name| {
            key.as_ref()
                .map(|key| key_pair(key).ok_or(TokensError::Key(name)))
                .transpose()
        };
        let current = read(&settings.signing_key, "JWT_SIGNING_KEY")?;
        let former = read(&settings.former_signing_key, "JWT_FORMER_SIGNING_KEY")?;
        let length = server
            .jwt_secret
            .as_ref()
            .map(|secret| secret.expose().len());
        if length.is_some_and(|length| length < SECRET_BYTES_MIN) {
            return Err(TokensError::ShortSecret);
        }
        if length.is_some_and(|length| length < SECRET_BYTES_GOOD) {
            tracing::warn!(
                "JWT_SECRET_KEY is shorter than 32 bytes; make one by `openssl rand -base64 48`"
            );
        }
        let public = [&current, &former].into_iter().flatten();
        let published = JwkSet {
            keys: public.map(|(_, public)| public.clone()).collect(),
        };
        let (header, key) = match (current, &server.jwt_secret) {
            (Some((key, public)), _) => {
                let mut header = Header::new(Algorithm::ES256);
                header.kid = public.common.key_id;
                (header, key)
            }
            (None, Some(secret)) => {
                let key = EncodingKey::from_secret(secret.expose().as_bytes());
                (Header::new(Algorithm::HS256), key)
            }
            (None, None) => return Err(TokensError::Nothing),
        };
        let text = serde_json::to_vec(&published).unwrap_or_default();
        let public = (!published.keys.is_empty()).then_some(&text[..]);
        let verifier = UserTokens::of_issuer(server, public)
            .map_err(|_| TokensError::Key("JWT_SIGNING_KEY"))?;
        Ok(Self {
            header,
            key,
            published,
            verifier,
            issuer: server.jwt_issuer.clone(),
            audience: server.jwt_audience.clone(),
            lifetime: settings.access_lifetime.get(),
        })
    }

    /// The public keys; none where tokens are by secret.
    pub(crate) fn published(&self) -> &JwkSet {
        &self.published
    }

    /// A token for a session of a user.
    pub(crate) fn make(
        &self,
        user: i32,
        session: Uuid,
        roles: &[String],
    ) -> Result<String, Problem> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(0);
        let claims = Claims {
            sub: user.to_string(),
            sid: session,
            roles,
            iat: now,
            nbf: now,
            exp: now.saturating_add(lifetime),
            jti: Uuid::new_v4(),
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key).map_err(|error| {
            tracing::error!(%error, "a token cannot be signed");
            Problem::internal()
        })
    }

    /// The session that a token is for, if all is good.
    pub(crate) async fn session(&self, token: &str) -> Result<Uuid, BadToken> {
        let User { claims, .. } = self.verifier.verify(token).await?;
        let session = claims.get("sid").and_then(|sid| sid.as_str()?.parse().ok());
        session.ok_or(BadToken::Malformed)
    }
}

/// A private key, and its public half under the name that its content gives
/// it (RFC 7638).
fn key_pair(secret: &Secret) -> Option<(EncodingKey, Jwk)> {
    // Environments do not always take line ends.
    let pem = secret.expose().replace("\\n", "\n");
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).ok()?;
    let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).ok()?;
    public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256).ok()?);
    public.common.public_key_use = Some(PublicKeyUse::Signature);
    Some((key, public))
}
