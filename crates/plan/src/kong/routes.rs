//! Kong's routes.

use super::{
    conditions::Conditions,
    plugins::{
        Plugins,
        canary::{Canaries, Primary},
    },
    services::{Service, UNKNOWN, plain_name},
    top_level_plugins::TopLevelPlugins,
    tree::Map,
};
use crate::{
    access::LimitsStore,
    base::{Environment, PlanError, Text},
    gateway_route::{Destination, GatewayRoute, Rewrite},
};
use std::collections::BTreeMap;

/// What routes are read with.
pub(super) struct RouteContext<'a> {
    pub(super) services: &'a BTreeMap<String, Service>,
    pub(super) environment: Environment<'a>,
    pub(super) top_level: &'a mut TopLevelPlugins,
    pub(super) store: &'a mut Option<LimitsStore>,
    pub(super) canaries: Canaries,
}

/// Reads one, which becomes several of one name where it has several paths,
/// hosts or values of a header.
pub(super) fn read(
    mut map: Map,
    nested_in: Option<String>,
    number: usize,
    context: &mut RouteContext<'_>,
) -> Result<Vec<GatewayRoute>, PlanError> {
    map.pass_over();
    let name = match map.text("name")? {
        Some(name) => name.value,
        None => format!("route-{number}"),
    };
    map.what = format!("route `{name}`");
    let service = owner(&mut map, nested_in, context.services)?;
    protocols(&mut map)?;
    let at = map.at;
    let conditions = Conditions::take(&mut map)?;
    let strip = map.flag("strip_path", true)?;
    let preserve_host = map.flag("preserve_host", false)?;
    let buffers = map.flag("request_buffering", true)?;
    handling(&mut map)?;
    let scope = format!("kong:route:{name}");
    let plugins = Plugins::read(&mut map, &scope, context.environment, context.store)?
        .and(context.top_level.of_route(&name))?;
    let what = map.what.clone();
    map.finish(UNKNOWN)?;
    let mut ways = conditions.ways(&what, at)?;
    for way in &mut ways {
        way.buffers = buffers;
    }
    let canary = match (&plugins.canary, &service.plugins.canary) {
        (Some(own), _) => Some((own, &name)),
        (None, Some(shared)) => Some((shared, &service.name)),
        (None, None) => None,
    };
    let canary = canary
        .map(|(plugin, of)| {
            let of = Primary {
                name: plain_name(of),
                service: &service.own,
                upstream: &service.upstream,
            };
            context.canaries.add(plugin, &of)
        })
        .transpose()?;
    let policies = plugins.policies.over(&service.plugins.policies);
    let route = |route| GatewayRoute {
        name: name.clone(),
        route,
        to: Destination::Service(service.own.clone()),
        rewrite: Rewrite {
            strip,
            // Whether the path ends with a slash is the client's choice.
            prefix: service.base.trim_end_matches('/').to_owned(),
        },
        preserve_host,
        own_writes: true,
        retires_with: None,
        policies: policies.clone(),
        canary: canary.clone(),
    };
    Ok(ways.into_iter().map(route).collect())
}

fn owner<'a>(
    map: &mut Map,
    nested_in: Option<String>,
    services: &'a BTreeMap<String, Service>,
) -> Result<&'a Service, PlanError> {
    let at = map.at;
    let (name, at) = match (map.reference("service", "name")?, nested_in) {
        (Some(said), _) => (said.value, said.at),
        (None, Some(nested)) => (nested, at),
        (None, None) => {
            return Err(PlanError::at(at, format!("{} has no `service`", map.what))
                .remedy("Routes that only plugins answer are not supported"));
        }
    };
    services.get(&name).ok_or_else(|| {
        PlanError::at(at, format!("there is no service `{name}`"))
            .remedy("Add it under `services:` or correct the name")
    })
}

fn protocols(map: &mut Map) -> Result<(), PlanError> {
    let Some(all) = map.texts("protocols")? else {
        return Ok(());
    };
    let web = |one: &&Text| !matches!(one.value.as_str(), "http" | "https");
    if let Some(other) = all.iter().find(web) {
        let message = format!(
            "protocol `{}` of {} is not supported",
            other.value, map.what
        );
        return Err(PlanError::at(other.at, message).remedy("Write http, or http and https"));
    }
    match &all[..] {
        [only] if only.value == "https" => Err(PlanError::at(
            only.at,
            format!(
                "{} is for https only, which is not told apart here",
                map.what
            ),
        )
        .remedy("Write http and https, and let nobody but TLS reach the gateway")),
        _ => Ok(()),
    }
}

/// What has one meaning here.
fn handling(map: &mut Map) -> Result<(), PlanError> {
    let at = map.at_of("path_handling");
    match map.text("path_handling")? {
        Some(version) if version.value != "v0" => {
            return Err(PlanError::at(at, "`path_handling` is not v0")
                .remedy("Write v0, and the paths that it means"));
        }
        _ => {}
    }
    // It orders regular expressions, of which there are none.
    map.whole("regex_priority")?;
    map.only_flag(
        "response_buffering",
        true,
        "Answers are passed on as they come",
    )?;
    let at = map.at_of("https_redirect_status_code");
    match map.whole("https_redirect_status_code")? {
        Some(code) if code.value != 426 => Err(PlanError::at(
            at,
            "`https_redirect_status_code` is not supported",
        )
        .remedy("Take it out: http is not redirected here")),
        _ => Ok(()),
    }
}
