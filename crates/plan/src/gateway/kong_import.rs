//! What is taken over from Kong's file: `kong`.

use crate::{
    access::{self, Access},
    base::{ParseContext, PlanError, ServiceName, Text, plain},
    gateway_route::GatewayRoute,
    kong,
    upstream::{Timeouts, Upstream},
};
use std::collections::BTreeMap;

/// What the plan has beside the file, and what the file adds to it.
pub(super) struct Destinations<'a> {
    pub(super) access: &'a mut Access,
    pub(super) routes: &'a mut Vec<GatewayRoute>,
    pub(super) services: &'a mut BTreeMap<ServiceName, Upstream>,
}

/// Reads the file `name` and adds what it says.
pub(super) fn import(
    name: &Text,
    timeouts: Timeouts,
    context: &ParseContext<'_>,
    into: Destinations<'_>,
) -> Result<(), PlanError> {
    let path = plain(name, context.environment)?;
    let text = context
        .files
        .read(&path)
        .map_err(|why| PlanError::at(name.at, why))?;
    let within = |error: PlanError| error.placed_in(&text).in_file(&path);
    let found = kong::parse(&text, timeouts, context.environment).map_err(within)?;
    let access = into.access;
    for (name, consumer) in found.consumers {
        if access.consumers.contains_key(&name) {
            let message = format!("consumer `{name}` is in the plan, too");
            return Err(within(PlanError::whole(message)).remedy("Rename one of them"));
        }
        access.consumers.insert(name, consumer);
    }
    access::keys_once(&access.consumers).map_err(within)?;
    match (&access.limits_store, found.store) {
        (Some(own), Some(other)) if own.redis != other.redis => {
            let message = "its limits count in another Redis than `gateway.limits-store`";
            return Err(within(PlanError::whole(message)).remedy("Let all of them count in one"));
        }
        (None, Some(store)) => access.limits_store = Some(store),
        _ => {}
    }
    // Kong asks it of every request: what an extraction takes out of a route of
    // Kong's must not get around it.
    access.policies = access.policies.over(&found.general);
    into.routes.extend(found.routes);
    for (service, upstream) in found.services {
        if into.services.contains_key(&service) {
            let message = format!(
                "service `{service}` of `{}` is in the plan, too",
                name.value
            );
            return Err(PlanError::at(name.at, message).remedy("Rename one of them"));
        }
        into.services.insert(service, upstream);
    }
    Ok(())
}
