//! What only the whole plan shows: that its parts fit each other.

use crate::{
    access::Access,
    base::{ExtractionName, KeyPath, PathPattern, PlanError},
    extraction::{CohortKey, Extraction},
    gateway::Gateway,
    gateway_route::{Destination, GatewayRoute},
    policy::{Limits, Policies, Store},
    route::Dialect,
};
use std::collections::BTreeMap;

type Extractions = BTreeMap<ExtractionName, Extraction>;

/// Refuses what contradicts itself.
pub(super) fn check(gateway: &Gateway, extractions: &Extractions) -> Result<(), PlanError> {
    refuse_tables_moved_twice(extractions)?;
    refuse_tokens_in_one_place(extractions)?;
    refuse_two_dialects_of_one_path(extractions, &gateway.routes)?;
    refuse_calls_that_cannot_be_held(extractions)?;
    refuse_old_ways_of_nothing(extractions, &gateway.routes)?;
    let access = &gateway.access;
    let in_gateway = KeyPath::top("gateway");
    require_store(access, &access.policies, in_gateway.clone())?;
    for route in &gateway.routes {
        let path = in_gateway.clone().key("routes").key(&route.name);
        require_store(access, &route.policies, path)?;
    }
    for extraction in extractions.values() {
        let path = KeyPath::extraction(&extraction.name);
        require_store(access, &extraction.policies, path)?;
        require_token_of_claim(access, extraction)?;
    }
    Ok(())
}

/// One table cannot move in two extractions.
fn refuse_tables_moved_twice(extractions: &Extractions) -> Result<(), PlanError> {
    let mut owners = BTreeMap::new();
    for extraction in extractions.values() {
        let Some(moves) = extraction.data.replicate() else {
            continue;
        };
        for table in &moves.tables {
            if let Some(other) = owners.insert(&table.monolith, &extraction.name) {
                let message = format!(
                    "`{}` moves in both `{other}` and `{}`",
                    table.monolith, extraction.name
                );
                let path = KeyPath::extraction(&extraction.name);
                let path = path.key("data").key("tables").key(&table.monolith);
                return Err(PlanError::of(path, message)
                    .remedy("A table moves once: leave it in one of them"));
            }
        }
    }
    Ok(())
}

/// An old way leads to the monolith, and goes with an old side.
fn refuse_old_ways_of_nothing(
    extractions: &Extractions,
    routes: &[GatewayRoute],
) -> Result<(), PlanError> {
    for route in routes {
        let Some(name) = &route.retires_with else {
            continue;
        };
        let (why, remedy) = match extractions.get(name) {
            None => (
                format!("there is no extraction `{name}`"),
                "Name one of `extractions`",
            ),
            Some(one) if one.data.replicate().is_none() => (
                format!("both sides share the data of `{name}`, and neither is an old one"),
                "Leave `retires-with` out",
            ),
            Some(_) if route.to != Destination::Monolith || route.canary.is_some() => (
                "the route does not lead to the monolith alone".to_owned(),
                "Write `to: monolith` without a canary, or leave `retires-with` out",
            ),
            Some(_) if route.route.operations.is_some() => (
                "the route has only some operations of its path".to_owned(),
                "Leave `operation` or `retires-with` out",
            ),
            Some(_) => continue,
        };
        let path = KeyPath::top("gateway").key("routes").key(&route.name);
        let path = path.key("retires-with");
        return Err(PlanError::of(path, why).remedy(remedy));
    }
    Ok(())
}

/// Tokens of two extractions in one place would replace each other.
fn refuse_tokens_in_one_place(extractions: &Extractions) -> Result<(), PlanError> {
    let mut places = BTreeMap::new();
    for extraction in extractions.values() {
        let moves = extraction.data.replicate();
        let Some(token) = moves.and_then(|data| data.read_your_writes.as_ref()) else {
            continue;
        };
        if let Some(other) = places.insert(&token.transport, &extraction.name) {
            let message = format!(
                "the tokens of `{other}` and `{}` are in one place and replace each other",
                extraction.name
            );
            let path = KeyPath::extraction(&extraction.name);
            let path = path.key("rollout").key("read-your-writes");
            return Err(
                PlanError::of(path, message).remedy("Name another cookie or header in one of them")
            );
        }
    }
    Ok(())
}

/// Refuses routes of one path that look for the operation at different places:
/// one body cannot be read in two ways.
fn refuse_two_dialects_of_one_path(
    extractions: &Extractions,
    routes: &[GatewayRoute],
) -> Result<(), PlanError> {
    let of_extractions = extractions.values().flat_map(|one| {
        let routes = KeyPath::extraction(&one.name).key("routes");
        let routes = (0..)
            .zip(&one.routes)
            .map(move |(at, route)| (routes.clone().item(at), route));
        routes.collect::<Vec<_>>()
    });
    let of_gateway = routes.iter().map(|one| {
        let path = KeyPath::top("gateway").key("routes").key(&one.name);
        (path, &one.route)
    });
    let mut seen: Vec<(PathPattern, Dialect)> = Vec::new();
    for (place, route) in of_extractions.chain(of_gateway) {
        let Some(operations) = &route.operations else {
            continue;
        };
        let (path, dialect) = (route.path.clone(), operations.dialect.clone());
        let differs = |(other, own): &&(PathPattern, Dialect)| {
            *own != dialect && path.shares_paths_with(other)
        };
        if let Some((other, _)) = seen.iter().find(differs) {
            let message = format!(
                "the routes `{other}` and `{path}` share paths and look for the operation at different places"
            );
            return Err(PlanError::of(place, message)
                .remedy("Let them name the same field, or all of them GraphQL or XML-RPC"));
        }
        seen.push((path, dialect));
    }
    Ok(())
}

/// A body that is read to tell its operation may be a write, which a hand-over holds.
fn refuse_calls_that_cannot_be_held(extractions: &Extractions) -> Result<(), PlanError> {
    for extraction in extractions.values() {
        let Some(moves) = extraction.data.replicate() else {
            continue;
        };
        let operations = extraction
            .routes
            .iter()
            .filter_map(|one| one.operations.as_ref());
        let largest = operations.map(|own| own.bytes.0).max().unwrap_or(0);
        let held = moves.switch.held_bytes.0;
        if largest > held {
            let message = format!(
                "`{}` takes calls of {largest} bytes (`operation.bytes`), and holds {held} in all \
                 during a hand-over",
                extraction.name
            );
            let path = KeyPath::extraction(&extraction.name);
            let path = path.key("switch").key("held-bytes");
            return Err(PlanError::of(path, message)
                .remedy("Raise `switch.held-bytes`, or lower `bytes` of the operation"));
        }
    }
    Ok(())
}

/// A claim is one of a token that was verified.
fn require_token_of_claim(access: &Access, extraction: &Extraction) -> Result<(), PlanError> {
    match &extraction.cohort_key {
        CohortKey::Claim(claim) if extraction.policies.over(&access.policies).jwt.is_none() => {
            let message = format!(
                "clients of `{}` are known by the claim `{claim}`, and no token is demanded of them",
                extraction.name
            );
            let path = KeyPath::extraction(&extraction.name);
            Err(PlanError::of(path.key("rollout").key("key"), message)
                .remedy("Add `jwt: {}` to its `policies:` or to those of `gateway:`"))
        }
        _ => Ok(()),
    }
}

/// A limit that counts in Redis needs one.
fn require_store(access: &Access, policies: &Policies, of: KeyPath) -> Result<(), PlanError> {
    let redis = |limits: &Limits| limits.rules.iter().any(|one| one.store == Store::Redis);
    match &policies.limits {
        Some(limits) if redis(limits) && access.limits_store.is_none() => {
            let message = format!(
                "the limits of `{}` count in Redis, and there is none",
                limits.scope
            );
            Err(PlanError::of(of.key("policies").key("limits"), message)
                .remedy("Add `limits-store: { redis: ... }` to `gateway:`, or leave `store` out"))
        }
        _ => Ok(()),
    }
}
