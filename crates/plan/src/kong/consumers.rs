//! Kong's consumers and their credentials.

use super::tree::{Map, Node};
use crate::{
    Consumer, JwtAlgorithm, JwtCredential, PlanError, Secret, access::consumer_name,
    located::Located, resolve::Environment,
};
use std::collections::BTreeMap;

const UNKNOWN: &str = "key-auth and jwt are the credentials that are known here";

/// What marks a secret that is not in the file.
const VAULT: &str = "{vault://";
const ENVIRONMENT_VAULT: &str = "{vault://env/";

/// Takes all consumers, and the credentials that stand beside them.
pub(crate) fn read(
    file: &mut Map,
    environment: Environment<'_>,
) -> Result<BTreeMap<String, Consumer>, PlanError> {
    let mut all = BTreeMap::new();
    for node in file.list("consumers")?.unwrap_or_default() {
        let mut map = Map::of(node, "a consumer")?;
        map.pass_over();
        // Upstreams that know consumers by it would miss it.
        let Some(name) = map.text("username")? else {
            return Err(PlanError::at(map.at, "a consumer has no `username`")
                .remedy("Give it one: `custom_id` alone is not told to upstreams"));
        };
        let at = name.at;
        let name = consumer_name(&name.value).map_err(|why| PlanError::at(at, why))?;
        map.what = format!("consumer `{name}`");
        let mut consumer = Consumer::default();
        for node in map.list("keyauth_credentials")?.unwrap_or_default() {
            consumer
                .keys
                .push(key(Map::of(node, "a key")?, environment)?);
        }
        for node in map.list("jwt_secrets")?.unwrap_or_default() {
            consumer
                .jwt
                .push(token(Map::of(node, "a token credential")?, environment)?);
        }
        map.finish(UNKNOWN)?;
        if all.insert(name.clone(), consumer).is_some() {
            return Err(PlanError::at(
                at,
                format!("consumer `{name}` is there twice"),
            ));
        }
    }
    for node in file.list("keyauth_credentials")?.unwrap_or_default() {
        let mut map = Map::of(node, "a key")?;
        let consumer = owner(&mut map, &mut all)?;
        consumer.keys.push(key(map, environment)?);
    }
    for node in file.list("jwt_secrets")?.unwrap_or_default() {
        let mut map = Map::of(node, "a token credential")?;
        let consumer = owner(&mut map, &mut all)?;
        consumer.jwt.push(token(map, environment)?);
    }
    Ok(all)
}

fn owner<'a>(
    map: &mut Map,
    all: &'a mut BTreeMap<String, Consumer>,
) -> Result<&'a mut Consumer, PlanError> {
    let at = map.at_of("consumer");
    let name = reference(map, "consumer", "username")?
        .ok_or_else(|| PlanError::at(at, format!("{} has no `consumer`", map.what)))?;
    all.get_mut(&name.value)
        .ok_or_else(|| PlanError::at(name.at, format!("there is no consumer `{}`", name.value)))
}

/// A reference to another entity: `name`, or `{ name: name }`.
pub(crate) fn reference(
    map: &mut Map,
    key: &str,
    by: &str,
) -> Result<Option<Located<String>>, PlanError> {
    let Some(node) = map.take(key) else {
        return Ok(None);
    };
    let at = node.at;
    match node.value {
        Node::Text(value) => Ok(Some(Located { value, at })),
        Node::Map(_) => {
            let mut inner = Map::of(node, &format!("`{key}`"))?;
            let name = inner.text(by)?;
            inner.finish(&format!("Refer to it by its {by}"))?;
            match name {
                Some(name) => Ok(Some(name)),
                None => Err(PlanError::at(at, format!("`{key}` says no `{by}`"))),
            }
        }
        _ => Err(PlanError::at(at, format!("`{key}` is no name"))),
    }
}

fn key(mut map: Map, environment: Environment<'_>) -> Result<Secret, PlanError> {
    map.pass_over();
    let found = secret(&mut map, "key", environment)?;
    map.finish("Keys do not end here: take the key out when its time has come")?;
    found.ok_or_else(|| {
        PlanError::whole("a key of a consumer is empty or missing").remedy("Write `key:`")
    })
}

fn token(mut map: Map, environment: Environment<'_>) -> Result<JwtCredential, PlanError> {
    map.pass_over();
    let at = map.at;
    let wrong = |why: &str| PlanError::at(at, why.to_owned());
    let algorithm = match map.text("algorithm")? {
        Some(name) => {
            JwtAlgorithm::parse(&name.value).map_err(|why| PlanError::at(name.at, why))?
        }
        None => JwtAlgorithm::Hs256,
    };
    let key = map.text("key")?;
    let shared = secret(&mut map, "secret", environment)?;
    let public = secret(&mut map, "rsa_public_key", environment)?;
    map.finish("A token credential has key, algorithm, and secret or rsa_public_key")?;
    let secret = if algorithm.is_symmetric() {
        shared
    } else {
        public
    };
    Ok(JwtCredential {
        key: key
            .ok_or_else(|| wrong("a token credential has no `key`"))?
            .value,
        algorithm,
        secret: secret.ok_or_else(|| {
            wrong("a token credential has no `secret`, or no `rsa_public_key` for RS256 and ES256")
                .remedy("Write it: nothing is made up here")
        })?,
    })
}

/// A secret, of the file or of the environment.
pub(crate) fn secret(
    map: &mut Map,
    key: &str,
    environment: Environment<'_>,
) -> Result<Option<Secret>, PlanError> {
    let Some(found) = map.text(key)? else {
        return Ok(None);
    };
    let name = found
        .value
        .strip_prefix(ENVIRONMENT_VAULT)
        .and_then(|rest| rest.strip_suffix('}'));
    let text = match name {
        Some(name) => {
            let name = name.to_ascii_uppercase().replace('-', "_");
            environment(&name).ok_or_else(|| {
                PlanError::at(found.at, format!("the environment has no `{name}`"))
                    .remedy("Set it, or write the value here")
            })?
        }
        None if found.value.starts_with(VAULT) => {
            return Err(
                PlanError::at(found.at, format!("the vault of `{key}` is not supported"))
                    .remedy("Write {vault://env/NAME} and set NAME in the environment"),
            );
        }
        None => found.value,
    };
    Ok(Secret::new(&text).ok())
}
