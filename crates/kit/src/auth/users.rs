//! Users' tokens, by a secret that we share with their issuer (HS256) or by
//! the keys that it publishes (ES256, RS256 and their like).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::{Algorithm, DecodingKey};
use jwks::{KeySet, KeySetError, PublicKey};
use serde_json::{Map, Value};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;

use super::caller::User;
use super::token::{self, BadToken, ExpectedClaims, TokenHeader};
use crate::settings::{Secret, Server};

/// How long a token that names an unknown key waits for its key, and how many
/// may: more are refused at once, for anybody can make up such tokens.
const KEY_WAIT: Duration = Duration::from_secs(1);
const WAITING_MAX: usize = 16;

/// Verifies them.
#[derive(Debug)]
pub struct UserTokens {
    secrets: Vec<Secret>,
    issuer: Option<String>,
    audience: Option<String>,
    published: Option<PublishedKeys>,
}

/// The keys that the issuer publishes; a task of the server refreshes them.
#[derive(Debug)]
pub(crate) struct PublishedKeys {
    keys: ArcSwapOption<KeySet>,
    /// How often they were read, well or not.
    reads: watch::Sender<u64>,
    wanted: Notify,
    waiting: Semaphore,
    /// Whether more can come: not to the issuer itself.
    is_read: bool,
}

impl PublishedKeys {
    fn new(is_read: bool) -> Self {
        Self {
            keys: ArcSwapOption::empty(),
            reads: watch::Sender::new(0),
            wanted: Notify::new(),
            waiting: Semaphore::new(WAITING_MAX),
            is_read,
        }
    }

    /// What was read last; a failure keeps what was there.
    pub(crate) fn store(&self, keys: Option<KeySet>) {
        if let Some(keys) = keys {
            self.keys.store(Some(Arc::new(keys)));
        }
        self.reads.send_modify(|reads| *reads += 1);
    }

    /// Waits until a token has named a key that is not there. Cancel safe.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    async fn find(&self, header: &TokenHeader) -> Result<PublicKey, BadToken> {
        let key = || {
            let keys = self.keys.load();
            let found = keys
                .as_ref()
                .map(|keys| keys.find(header.key_id.as_deref()).cloned());
            found.ok_or(BadToken::KeysUnavailable)
        };
        if let Ok(Some(found)) = key() {
            return Ok(found);
        }
        if !self.is_read {
            return Err(BadToken::Signature);
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return key()?.ok_or(BadToken::Signature);
        };
        // The issuer may have published it meanwhile.
        let mut reads = self.reads.subscribe();
        reads.mark_unchanged();
        self.wanted.notify_one();
        // Late: then there is what there is.
        let _ = timeout(KEY_WAIT, reads.changed()).await;
        key()?.ok_or(BadToken::Signature)
    }
}

impl UserTokens {
    pub(crate) fn new(settings: &Server) -> Self {
        let secrets = [&settings.jwt_secret, &settings.jwt_former_secret];
        Self {
            secrets: secrets.into_iter().flatten().cloned().collect(),
            issuer: settings.jwt_issuer.clone(),
            audience: settings.jwt_audience.clone(),
            published: settings
                .jwks_url
                .is_some()
                .then(|| PublishedKeys::new(true)),
        }
    }

    /// For the issuer itself, which knows the keys that it publishes (RFC 7517)
    /// and need not read them. Without any, tokens are by secret only.
    pub fn of_issuer(settings: &Server, keys: Option<&[u8]>) -> Result<Self, KeySetError> {
        let mut tokens = Self::new(settings);
        tokens.published = match keys.map(KeySet::parse) {
            Some(keys) => {
                let published = PublishedKeys::new(false);
                published.store(Some(keys?));
                Some(published)
            }
            None => None,
        };
        Ok(tokens)
    }

    pub(crate) fn published(&self) -> Option<&PublishedKeys> {
        self.published.as_ref()
    }

    /// Whose it is, if all is good.
    pub async fn verify(&self, token: &str) -> Result<User, BadToken> {
        let header = token::header_of(token)?;
        let expected = ExpectedClaims {
            issuer: self.issuer.as_deref(),
            audience: self.audience.as_deref(),
        };
        let claims = match (header.algorithm, &self.published) {
            (Algorithm::HS256, _) if !self.secrets.is_empty() => self.by_secret(token, expected)?,
            (Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512, _) | (_, None) => {
                return Err(BadToken::Algorithm);
            }
            (_, Some(published)) => {
                let key = published.find(&header).await?;
                token::claims(token, &key.key, key.algorithm, expected)?
            }
        };
        user(claims)
    }

    fn by_secret(
        &self,
        token: &str,
        expected: ExpectedClaims<'_>,
    ) -> Result<Map<String, Value>, BadToken> {
        let mut outcome = Err(BadToken::Signature);
        for secret in &self.secrets {
            let key = DecodingKey::from_secret(secret.expose().as_bytes());
            outcome = token::claims(token, &key, Algorithm::HS256, expected);
            if !matches!(outcome, Err(BadToken::Signature)) {
                break;
            }
        }
        outcome
    }
}

fn user(claims: Map<String, Value>) -> Result<User, BadToken> {
    let subject = match claims.get("sub") {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(BadToken::Malformed),
    };
    let roles = match claims.get("roles") {
        Some(Value::Array(all)) => all
            .iter()
            .filter_map(|role| role.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    Ok(User {
        subject,
        roles,
        claims,
    })
}
