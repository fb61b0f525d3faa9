//! Kong's plugin cors.

use crate::{
    base::{PlanError, Text, http_token},
    kong::tree::{LEAVE_THE_DEFAULT, Map},
    policy::{Cors, Origin, Origins},
};
use std::time::Duration;

/// Kong's own, of the plugin cors.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT",
];

pub(super) fn read(map: &mut Map) -> Result<Cors, PlanError> {
    map.only_flag(
        "preflight_continue",
        false,
        "Preflights are answered by the gateway",
    )?;
    map.only_flag("private_network", false, LEAVE_THE_DEFAULT)?;
    map.only_flag("allow_origin_absent", true, LEAVE_THE_DEFAULT)?;
    let mut some = Vec::new();
    let mut any = false;
    let origins = map.texts("origins")?.unwrap_or_default();
    for one in &origins {
        match Origin::parse(&one.value) {
            Ok(Some(origin)) => some.push(origin),
            Ok(None) => any = true,
            Err(why) => {
                return Err(PlanError::at(one.at, why)
                    .remedy("Regular expressions are not supported; list the origins"));
            }
        }
    }
    let headers = map.texts("headers")?.filter(|all| !all.is_empty());
    let name = |one: &Text| http_token(&one.value).map_err(|why| PlanError::at(one.at, why));
    Ok(Cors {
        origins: if any || origins.is_empty() {
            Origins::Any
        } else {
            Origins::Some(some)
        },
        methods: map.names("methods", &METHODS, http_token)?,
        headers: headers
            .map(|all| all.iter().map(name).collect::<Result<_, _>>())
            .transpose()?,
        exposed: map.names("exposed_headers", &[], http_token)?,
        credentials: map.flag("credentials", false)?,
        max_age: map
            .whole("max_age")?
            .map(|age| Duration::from_secs(age.value)),
    })
}
