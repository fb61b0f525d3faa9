//! Known clients: `consumers`.

use crate::base::{Environment, FileLoader, Located, PlanError, Secret, Text, parse, plain};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

/// A name becomes part of headers and of Redis' keys.
const CONSUMER_NAME_BYTES_MAX: usize = 128;

/// A known client.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsumerFile {
    /// API keys, as `${VARIABLE}`.
    #[serde(default)]
    pub(crate) keys: Vec<Text>,
    /// What its tokens are verified by.
    #[serde(default)]
    pub(crate) jwt: Vec<Located<JwtCredentialFile>>,
    /// Groups that `groups:` of a policy may ask for.
    #[serde(default)]
    pub(crate) groups: Vec<Text>,
}

/// What a consumer's tokens are verified by.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct JwtCredentialFile {
    /// Value of the token's key claim (`iss` by default).
    pub(crate) key: Text,
    /// HS256 (default), RS256, ES256, ...
    #[serde(default)]
    pub(crate) algorithm: Option<Text>,
    /// Shared secret for `HS...`, as `${VARIABLE}`.
    #[serde(default)]
    pub(crate) secret: Option<Text>,
    /// Public key in PEM for the others.
    #[serde(default)]
    pub(crate) public_key: Option<Text>,
    /// File with it, beside the plan.
    #[serde(default)]
    pub(crate) public_key_file: Option<Text>,
}

/// A known client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consumer {
    /// Its API keys.
    pub keys: Vec<Secret>,
    /// What its tokens are verified by.
    pub jwt: Vec<JwtCredential>,
    /// Its groups.
    pub groups: Vec<String>,
}

/// What a consumer's tokens are verified by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtCredential {
    /// The value of the token's key claim (`iss` by default).
    pub key: String,
    /// The only algorithm that is accepted.
    pub algorithm: JwtAlgorithm,
    /// A shared secret for `HS...`, a public key in PEM for the others.
    pub secret: Secret,
}

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 7518, 3.1, says what they are")]
pub enum JwtAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
}

impl JwtAlgorithm {
    /// Parses `HS256` and its like.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            _ => {
                return Err(format!(
                    "`{text}` is no algorithm that is verified here: \
                     write HS256, RS256, ES256, or HS384, HS512, RS384, RS512, ES384"
                ));
            }
        })
    }

    /// Whether both sides hold the same secret.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// What a consumer may be called.
pub(crate) fn consumer_name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if (1..=CONSUMER_NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(plain)
        && text.trim() == text
    {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a consumer's name is 1 to {CONSUMER_NAME_BYTES_MAX} visible ASCII characters"
        ))
    }
}

pub(super) fn resolve(
    file: ConsumerFile,
    environment: Environment<'_>,
    files: &FileLoader<'_>,
) -> Result<Consumer, PlanError> {
    let secret = |text: &Text| parse(text, environment, some_secret);
    Ok(Consumer {
        keys: file.keys.iter().map(secret).collect::<Result<_, _>>()?,
        jwt: file
            .jwt
            .into_iter()
            .map(|one| credential(one, environment, files))
            .collect::<Result<_, _>>()?,
        groups: file
            .groups
            .iter()
            .map(|group| plain(group, environment))
            .collect::<Result<_, _>>()?,
    })
}

fn some_secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() {
        Err("a secret is empty".to_owned())
    } else {
        Secret::new(text)
    }
}

fn credential(
    located: Located<JwtCredentialFile>,
    environment: Environment<'_>,
    files: &FileLoader<'_>,
) -> Result<JwtCredential, PlanError> {
    let Located { value: file, at } = located;
    let algorithm = match &file.algorithm {
        Some(text) => parse(text, environment, JwtAlgorithm::parse)?,
        None => JwtAlgorithm::Hs256,
    };
    let secret = match (&file.secret, &file.public_key, &file.public_key_file) {
        (Some(secret), None, None) if algorithm.is_symmetric() => {
            parse(secret, environment, some_secret)?
        }
        (None, Some(key), None) if !algorithm.is_symmetric() => {
            parse(key, environment, some_secret)?
        }
        (None, None, Some(path)) if !algorithm.is_symmetric() => {
            let path = plain(path, environment)?;
            let text = files.read(&path).map_err(|why| PlanError::at(at, why))?;
            Secret::new(&text).map_err(|why| PlanError::at(at, why))?
        }
        _ => {
            return Err(PlanError::at(at, "a credential has not exactly one key").remedy(
                "Write `secret` for HS256, `public-key` or `public-key-file` for RS256 and ES256",
            ));
        }
    };
    Ok(JwtCredential {
        key: plain(&file.key, environment)?,
        algorithm,
        secret,
    })
}

/// One key means one consumer.
pub(crate) fn keys_once(consumers: &BTreeMap<String, Consumer>) -> Result<(), PlanError> {
    let mut keys = HashSet::new();
    let mut issuers = HashSet::new();
    for (name, consumer) in consumers {
        // Neither the key nor whose else it is: the message may be logged.
        if consumer.keys.iter().any(|key| !keys.insert(key.expose())) {
            return Err(
                PlanError::whole(format!("a key of consumer `{name}` is there twice"))
                    .remedy("Give every consumer keys of its own"),
            );
        }
        if let Some(twice) = consumer.jwt.iter().find(|one| !issuers.insert(&one.key)) {
            return Err(PlanError::whole(format!(
                "two token credentials have the key `{}`, one of them of consumer `{name}`",
                twice.key
            ))
            .remedy("Give each a key of its own"));
        }
    }
    Ok(())
}
