//! Gateway routes as they are written, and their checks.

use super::{Destination, GatewayRoute, Rewrite};
use crate::{
    base::{
        Environment, ExtractionName, Located, PathPattern, PlanError, ServiceName, Text, Toggle,
        parse, plain,
    },
    policy::{self, Policies, PoliciesFile},
    route::{self, KindFile, OperationFile, RouteFile},
    upstream::{RouteTimeoutsFile, Upstream},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A route that belongs to no extraction.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GatewayRouteFile {
    /// `monolith`, or the name of a service.
    pub(crate) to: Text,
    /// As in the routes of extractions.
    pub(crate) path: Text,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) methods: Option<Vec<Text>>,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) host: Option<Text>,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Text>,
    /// As in the routes of extractions.
    #[serde(default, rename = "as")]
    pub(crate) kind: Option<KindFile>,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) operation: Option<Located<OperationFile>>,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) buffering: Option<Toggle>,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) timeouts: RouteTimeoutsFile,
    /// Take away the part of the path that `path` spells out (default false).
    #[serde(default)]
    pub(crate) strip_path: bool,
    /// Put this in front of the path.
    #[serde(default)]
    pub(crate) prefix: Option<Text>,
    /// Send the client's `Host` rather than the upstream's (default true).
    #[serde(default)]
    pub(crate) preserve_host: Option<bool>,
    /// Wait until the monolith has what the client wrote at services (default true).
    /// `false` where its requests use no table that moves.
    #[serde(default)]
    pub(crate) own_writes: Option<bool>,
    /// An extraction of which this is an old way to the monolith, which goes with the old
    /// side: `banyan retire` counts who still comes, a brown-out refuses them for a while.
    #[serde(default)]
    pub(crate) retires_with: Option<Text>,
    /// What is demanded of its requests.
    #[serde(default)]
    pub(crate) policies: Option<PoliciesFile>,
}

/// The routes beside those of the extractions.
pub(crate) fn gateway_routes(
    file: BTreeMap<String, Located<GatewayRouteFile>>,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<Vec<GatewayRoute>, PlanError> {
    file.into_iter()
        .map(|(name, located)| gateway_route(name, located, services, environment))
        .collect()
}

fn gateway_route(
    name: String,
    located: Located<GatewayRouteFile>,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<GatewayRoute, PlanError> {
    let Located { value: file, at } = located;
    // The same letters as other names that end up in metrics and commands.
    ServiceName::new(&name).map_err(|why| PlanError::at(at, why))?;
    let prefix = file
        .prefix
        .map(|text| parse(&text, environment, prefix))
        .transpose()?;
    Ok(GatewayRoute {
        to: destination(&file.to, services, environment)?,
        route: route::resolve(
            RouteFile {
                path: file.path,
                methods: file.methods,
                host: file.host,
                headers: file.headers,
                kind: file.kind,
                operation: file.operation,
                buffering: file.buffering,
                timeouts: file.timeouts,
            },
            environment,
        )?,
        rewrite: Rewrite {
            strip: file.strip_path,
            prefix: prefix.unwrap_or_default(),
        },
        preserve_host: file.preserve_host.unwrap_or(true),
        own_writes: file.own_writes.unwrap_or(true),
        retires_with: file
            .retires_with
            .map(|text| parse(&text, environment, ExtractionName::new))
            .transpose()?,
        policies: match file.policies {
            Some(policies) => policy::resolve(policies, &format!("route:{name}"), environment)?,
            None => Policies::default(),
        },
        canary: None,
        name,
    })
}

fn destination(
    text: &Text,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<Destination, PlanError> {
    let name = plain(text, environment)?;
    if name == "monolith" {
        return Ok(Destination::Monolith);
    }
    let service = ServiceName::new(&name).map_err(|why| PlanError::at(text.at, why))?;
    if !services.contains_key(&service) {
        return Err(
            PlanError::at(text.at, format!("there is no service `{service}`"))
                .remedy("Add it under `services:`, or write `monolith`"),
        );
    }
    Ok(Destination::Service(service))
}

fn prefix(text: &str) -> Result<String, String> {
    match PathPattern::parse(text)? {
        PathPattern::Exact(path) => Ok(path),
        _ => Err(format!(
            "`{text}` is no prefix: write a path without * or {{}}"
        )),
    }
}
