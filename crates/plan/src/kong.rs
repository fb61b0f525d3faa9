//! Kong's declarative file, `_format_version: "3.0"`.
//!
//! A team that runs Kong brings its file as it is (`gateway: { kong: kong.yml }`).
//! It becomes the same routes, policies and consumers that a plan has, so that
//! the gateway knows nothing of Kong. What cannot be done as Kong does it is
//! refused by name, with its line; nothing is dropped silently. Only what has
//! no effect on a request is passed over: ids, tags, times of creation.
//!
//! Where this differs from Kong, knowingly:
//!
//! - a path ends at a segment: `/api/auth` is not `/api/authors`;
//! - the more specific path counts, also against a route with more kinds of
//!   conditions; values of headers are told apart by case;
//! - tokens that have expired are refused, `claims_to_verify` or not;
//! - `write_timeout` is one with `read_timeout`: while an upstream takes a body,
//!   its time counts from the last part that it took;
//! - bodies without a length are answered 411 where their size is limited;
//! - a canary's `hash` tells clients apart by another function than Kong's, so
//!   others are picked at first; and writes go along with reads, as with Kong:
//!   no data is moved;
//! - requests of no route go to the monolith, rather than being answered 404;
//!   plugins of the whole file are for them, too.

mod conditions;
mod consumers;
mod plugins;
mod routes;
mod services;
mod top_level_plugins;
mod tree;
mod vault;

use crate::{
    access::{Consumer, LimitsStore},
    base::{Environment, Located, Node, PlanError, ServiceName, unreadable},
    gateway_route::GatewayRoute,
    policy::Policies,
    upstream::{Timeouts, Upstream},
};
use plugins::canary::Canaries;
use routes::RouteContext;
use std::collections::BTreeMap;
use top_level_plugins::TopLevelPlugins;
use tree::Map;

/// The version that is read.
const VERSION: &str = "3.0";

/// Says which way of writing is meant; secrets are plain either way here.
const NO_EFFECT: [&str; 2] = ["_transform", "_comment"];

/// What a file says.
#[derive(Debug)]
pub(crate) struct Kong {
    pub(crate) routes: Vec<GatewayRoute>,
    pub(crate) services: BTreeMap<ServiceName, Upstream>,
    pub(crate) consumers: BTreeMap<String, Consumer>,
    /// The Redis that its limits name.
    pub(crate) store: Option<LimitsStore>,
    /// What its plugins for all demand; its routes have it already.
    pub(crate) general: Policies,
}

/// Reads a file. Secrets may be `{vault://env/NAME}`.
pub(crate) fn parse(
    text: &str,
    timeouts: Timeouts,
    environment: Environment<'_>,
) -> Result<Kong, PlanError> {
    let tree: Located<Node> =
        serde_saphyr::from_str(text).map_err(|error| unreadable(&error, text))?;
    let mut file = Map::of(tree, "the file")?;
    version(&mut file)?;
    for key in NO_EFFECT {
        file.take(key);
    }
    let mut store = None;
    let consumers = consumers::read(&mut file, environment)?;
    let mut top_level = TopLevelPlugins::read(&mut file, environment, &mut store)?;
    let general = top_level.general()?;
    let (services, mut routes) =
        services_and_routes(&mut file, timeouts, environment, &mut top_level, &mut store)?;
    file.finish("Banyan's gateway does not know it; take it out, or keep Kong behind for it")?;
    top_level.finish()?;
    for route in &mut routes {
        route.policies = route.policies.over(&general);
        route.policies.kong_headers = true;
    }
    Ok(Kong {
        routes,
        services,
        consumers,
        store,
        general,
    })
}

/// Reads all services and routes, those that stand in a service and those
/// beside.
fn services_and_routes(
    file: &mut Map,
    timeouts: Timeouts,
    environment: Environment<'_>,
    top_level: &mut TopLevelPlugins,
    store: &mut Option<LimitsStore>,
) -> Result<(BTreeMap<ServiceName, Upstream>, Vec<GatewayRoute>), PlanError> {
    let mut services = BTreeMap::new();
    let mut nodes = Vec::new();
    for node in file.list("services")?.unwrap_or_default() {
        let mut map = Map::of(node, "a service")?;
        let at = map.at;
        let nested = map.list("routes")?.unwrap_or_default();
        let service = services::read(map, timeouts, environment, top_level, store)?;
        nodes.extend(
            nested
                .into_iter()
                .map(|node| (Some(service.name.clone()), node)),
        );
        let name = service.name.clone();
        if services.insert(name.clone(), service).is_some() {
            return Err(PlanError::at(
                at,
                format!("service `{name}` is there twice"),
            ));
        }
    }
    let beside = file.list("routes")?.unwrap_or_default();
    nodes.extend(beside.into_iter().map(|node| (None, node)));
    let mut all = Vec::new();
    let mut context = RouteContext {
        services: &services,
        environment,
        top_level,
        store,
        canaries: Canaries::default(),
    };
    for (number, (owner, node)) in (1..).zip(nodes) {
        let map = Map::of(node, "a route")?;
        all.extend(routes::read(map, owner, number, &mut context)?);
    }
    let canaries = context.canaries;
    let mut upstreams = BTreeMap::new();
    let own = services.into_values();
    let own = own.map(|service| (service.own, service.upstream));
    for (name, upstream) in own.chain(canaries.upstreams) {
        if upstreams.insert(name.clone(), upstream).is_some() {
            return Err(
                PlanError::whole(format!("two services are called `{name}` here"))
                    .remedy("Rename one: capitals, dots and underscores are not told apart"),
            );
        }
    }
    Ok((upstreams, all))
}

fn version(file: &mut Map) -> Result<(), PlanError> {
    let Some(found) = file.take("_format_version") else {
        return Err(PlanError::whole("there is no `_format_version`")
            .remedy("Write `_format_version: \"3.0\"` if it is Kong's file of version 3"));
    };
    let text = found.value.text().unwrap_or_default();
    if text == VERSION {
        return Ok(());
    }
    Err(PlanError::at(
        found.at,
        format!("`_format_version` is not \"{VERSION}\", the only one that is read"),
    )
    .remedy(
        "Convert the file with `deck file convert --from kong-gateway-2.x --to kong-gateway-3.x`",
    ))
}
