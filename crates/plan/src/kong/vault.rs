//! Secrets of Kong's file, and those that it leaves to the environment.

use super::tree::Map;
use crate::base::{Environment, PlanError, Secret};

/// What marks a secret that is not in the file.
const VAULT: &str = "{vault://";
const ENVIRONMENT_VAULT: &str = "{vault://env/";

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
