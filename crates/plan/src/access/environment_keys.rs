//! Keys that stand in the environment, not in the plan.

use super::consumers::Consumer;
use crate::{
    base::{Environment, PlanError, Secret},
    policy::{Keys, Policies},
};
use std::collections::BTreeMap;

/// The group of the consumers of `GATEWAY_API_KEY`.
pub const OPERATORS: &str = "operators";

/// The group of the consumers of `ALLOWED_API_KEYS`.
pub const CLIENTS: &str = "clients";

/// The variables of the environment that hold keys without a plan.
const OPERATOR_KEY: &str = "GATEWAY_API_KEY";
const CLIENT_KEYS: &str = "ALLOWED_API_KEYS";

/// `ALLOWED_API_KEYS` are clients: with any, every request needs a key.
/// `GATEWAY_API_KEY` is the operators': with it, the gateway's own pages need
/// it, and it opens the rest, too. Says whether they do.
pub(super) fn add(
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
