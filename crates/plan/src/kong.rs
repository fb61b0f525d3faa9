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

mod canary;
mod consumers;
mod plugins;
mod services;
mod tree;

use crate::{
    Consumer, GatewayRoute, LimitsStore, PlanError, Policies, ServiceName, Timeouts, Upstream,
    located::Located, resolve::Environment,
};
use std::collections::BTreeMap;
use tree::{Map, Node};

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
        serde_saphyr::from_str(text).map_err(|error| PlanError::syntax(&error))?;
    let mut file = Map::of(tree, "the file")?;
    version(&mut file)?;
    for key in NO_EFFECT {
        file.take(key);
    }
    let mut store = None;
    let consumers = consumers::read(&mut file, environment)?;
    let mut loose = plugins::Loose::read(&mut file, environment, &mut store)?;
    let general = loose.general()?;
    let (services, mut routes) =
        services::read(&mut file, timeouts, environment, &mut loose, &mut store)?;
    file.finish("Banyan's gateway does not know it; take it out, or keep Kong behind for it")?;
    loose.finish()?;
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
