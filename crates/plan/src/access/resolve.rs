//! From the file's consumers, key sets and stores to checked ones.

use super::{
    Access, CLIENTS, Consumer, IdentityHeader, Jwks, JwksSource, JwtAlgorithm, JwtCredential,
    LimitsStore, OPERATORS,
    file::{ConsumerFile, IdentityFile, JwksFile, JwtCredentialFile, LimitsStoreFile},
};
use crate::{
    CohortKey, Extraction, Files, Keys, PlanError, Policies, Secret, Store,
    file::GatewayFile,
    located::{Located, Position},
    policy::{address_block, header_name, resolve as policies},
    resolve::{Environment, Text, parse, time_or},
};
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};
use url::Url;

/// The variables of the environment that hold keys without a plan.
const OPERATOR_KEY: &str = "GATEWAY_API_KEY";
const CLIENT_KEYS: &str = "ALLOWED_API_KEYS";

/// Short secrets are guessed offline, from one signed header.
const IDENTITY_SECRET_BYTES_MIN: usize = 16;

/// A name becomes part of headers and of Redis' keys.
const CONSUMER_NAME_BYTES_MAX: usize = 128;

/// Issuers publish a key well before they sign with it.
const REFRESH: Duration = Duration::from_mins(5);

/// Longer than any request waits to be sent, held ones included.
const LIFETIME: Duration = Duration::from_mins(1);

/// A Redis in the same network answers in less than one millisecond.
const STORE_WAIT: Duration = Duration::from_millis(100);

/// Takes what belongs to access out of the gateway's section.
pub(crate) fn resolve(
    file: &mut GatewayFile,
    environment: Environment<'_>,
    files: &Files<'_>,
) -> Result<Access, PlanError> {
    let mut consumers = BTreeMap::new();
    for (name, located) in std::mem::take(&mut file.consumers) {
        let name = consumer_name(&name).map_err(|why| PlanError::at(located.at, why))?;
        let found = consumer(located.value, environment, files)?;
        consumers.insert(name, found);
    }
    let mut all = match file.policies.take() {
        Some(file) => policies(file, "gateway", environment)?,
        None => Policies::default(),
    };
    let operators_only = from_environment(environment, &mut consumers, &mut all)?;
    keys_once(&consumers)?;
    let block = |text: &Text| parse(text, environment, address_block);
    Ok(Access {
        trusted: file.trusted.iter().map(block).collect::<Result<_, _>>()?,
        consumers,
        jwks: file
            .jwks
            .take()
            .map(|file| jwks(file.at, &file.value, environment, files))
            .transpose()?,
        identity: file
            .identity
            .take()
            .map(|file| identity(&file, environment))
            .transpose()?,
        limits_store: file
            .limits_store
            .take()
            .map(|file| limits_store(&file, environment))
            .transpose()?,
        policies: all,
        operators_only,
    })
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

fn consumer(
    file: ConsumerFile,
    environment: Environment<'_>,
    files: &Files<'_>,
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
            .map(|group| parse(group, environment, |text| Ok(text.to_owned())))
            .collect::<Result<_, _>>()?,
    })
}

pub(crate) fn some_secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() {
        Err("a secret is empty".to_owned())
    } else {
        Secret::new(text)
    }
}

fn credential(
    located: Located<JwtCredentialFile>,
    environment: Environment<'_>,
    files: &Files<'_>,
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
            let path = parse(path, environment, |text| Ok(text.to_owned()))?;
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
        key: parse(&file.key, environment, |text| Ok(text.to_owned()))?,
        algorithm,
        secret,
    })
}

fn jwks(
    at: Position,
    file: &JwksFile,
    environment: Environment<'_>,
    files: &Files<'_>,
) -> Result<Jwks, PlanError> {
    let path = |text| Ok(files.path(&parse(text, environment, |text| Ok(text.to_owned()))?));
    let source = match (&file.url, &file.file) {
        (Some(url), None) => {
            let url = parse(url, environment, key_set_url)?;
            if let Some(ca) = file.ca.as_ref().filter(|_| url.scheme() != "https") {
                return Err(PlanError::at(ca.at, "`ca` is for `https://` only")
                    .remedy("Write the issuer's address with https, or leave `ca` out"));
            }
            let ca = file.ca.as_ref().map(path).transpose()?;
            JwksSource::Url { url, ca }
        }
        (None, Some(file)) => JwksSource::File(path(file)?),
        _ => {
            return Err(PlanError::at(
                at,
                "`jwks` needs exactly one of `url` and `file`",
            ));
        }
    };
    Ok(Jwks {
        source,
        refresh: time_or(file.refresh.as_ref(), REFRESH)?,
    })
}

fn key_set_url(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("`{text}` is no address of a key set: {why}");
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("write https://issuer/path"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address of a key set holds a password; key sets are public".to_owned());
    }
    Ok(url)
}

fn identity(
    file: &IdentityFile,
    environment: Environment<'_>,
) -> Result<IdentityHeader, PlanError> {
    let secret = parse(&file.secret, environment, |text| {
        if text.len() < IDENTITY_SECRET_BYTES_MIN {
            Err(format!(
                "the identity's secret is shorter than {IDENTITY_SECRET_BYTES_MIN} bytes"
            ))
        } else {
            Secret::new(text)
        }
    })?;
    Ok(IdentityHeader {
        header: match &file.header {
            Some(name) => parse(name, environment, header_name)?,
            None => "x-banyan-identity".to_owned(),
        },
        secret,
        claims: file
            .claims
            .iter()
            .map(|claim| parse(claim, environment, |text| Ok(text.to_owned())))
            .collect::<Result<_, _>>()?,
        lifetime: time_or(file.lifetime.as_ref(), LIFETIME)?,
    })
}

fn limits_store(
    file: &LimitsStoreFile,
    environment: Environment<'_>,
) -> Result<LimitsStore, PlanError> {
    Ok(LimitsStore {
        // It may hold a password: no message may repeat it.
        redis: parse(&file.redis, environment, |text| match Url::parse(text) {
            Ok(url) if url.scheme() == "redis" && url.host_str().is_some() => Secret::new(text),
            _ => Err("the store's address is unusable: write redis://host:port/0".to_owned()),
        })?,
        wait: time_or(file.wait.as_ref(), STORE_WAIT)?,
    })
}

/// `ALLOWED_API_KEYS` are clients: with any, every request needs a key.
/// `GATEWAY_API_KEY` is the operators': with it, the gateway's own pages need
/// it, and it opens the rest, too. Says whether they do.
fn from_environment(
    environment: Environment<'_>,
    consumers: &mut BTreeMap<String, Consumer>,
    all: &mut Policies,
) -> Result<bool, PlanError> {
    // An empty variable is one that compose files pass on without a value.
    let set = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let mut known = Vec::new();
    let operator = set(OPERATOR_KEY);
    if let Some(key) = &operator {
        known.push(("operator".to_owned(), key.trim().to_owned(), OPERATORS));
    }
    if let Some(list) = set(CLIENT_KEYS) {
        let before = known.len();
        let keys = list.split(',').map(str::trim).filter(|key| !key.is_empty());
        for (number, key) in (1..).zip(keys) {
            known.push((format!("client-{number}"), key.to_owned(), CLIENTS));
        }
        if known.len() == before {
            return Err(
                PlanError::whole(format!("`{CLIENT_KEYS}` is set and names no key"))
                    .remedy("Write key,key or leave the variable out"),
            );
        }
        all.keys.get_or_insert_with(|| Keys {
            headers: vec!["x-api-key".to_owned()],
            query: Vec::new(),
            hide: false,
        });
    }
    for (name, key, group) in known {
        let consumer = Consumer {
            keys: vec![Secret::new(&key).map_err(PlanError::whole)?],
            jwt: Vec::new(),
            groups: vec![group.to_owned()],
        };
        if consumers.insert(name.clone(), consumer).is_some() {
            return Err(PlanError::whole(format!(
                "consumer `{name}` is in the plan and in {OPERATOR_KEY} or {CLIENT_KEYS}"
            ))
            .remedy("Rename it in the plan"));
        }
    }
    Ok(operator.is_some())
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

/// A claim is one of a token that was verified.
pub(crate) fn claims_exist(access: &Access, extraction: &Extraction) -> Result<(), PlanError> {
    match &extraction.cohort_key {
        CohortKey::Claim(claim) if extraction.policies.over(&access.policies).jwt.is_none() => {
            Err(PlanError::whole(format!(
                "clients of `{}` are known by the claim `{claim}`, and no token is demanded of them",
                extraction.name
            ))
            .remedy("Add `jwt: {}` to its `policies:` or to those of `gateway:`"))
        }
        _ => Ok(()),
    }
}

/// A limit that counts in Redis needs one.
pub(crate) fn stores_exist(access: &Access, policies: &Policies) -> Result<(), PlanError> {
    let redis = |limits: &crate::Limits| limits.rules.iter().any(|one| one.store == Store::Redis);
    match &policies.limits {
        Some(limits) if redis(limits) && access.limits_store.is_none() => {
            Err(PlanError::whole(format!(
                "the limits of `{}` count in Redis, and there is none",
                limits.scope
            ))
            .remedy("Add `limits-store: { redis: ... }` to `gateway:`, or leave `store` out"))
        }
        _ => Ok(()),
    }
}
