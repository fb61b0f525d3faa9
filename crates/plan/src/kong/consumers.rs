//! Kong's consumers and their credentials.

use super::{tree::Map, vault::secret};
use crate::{
    access::{Consumer, JwtAlgorithm, JwtCredential, consumer_name},
    base::{Environment, PlanError, Secret},
};
use std::collections::BTreeMap;

const UNKNOWN: &str = "key-auth and jwt are the credentials that are known here";

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
    let name = map
        .reference("consumer", "username")?
        .ok_or_else(|| PlanError::at(at, format!("{} has no `consumer`", map.what)))?;
    all.get_mut(&name.value)
        .ok_or_else(|| PlanError::at(name.at, format!("there is no consumer `{}`", name.value)))
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
