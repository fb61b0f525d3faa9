//! Kong's plugins of one place, as policies; each plugin is read in a file of
//! its name.

pub(super) mod canary;
mod correlation_id;
mod cors;
mod jwt;
mod key_auth;
mod rate_limiting;
mod request_size_limiting;

use super::tree::{LEAVE_THE_DEFAULT, Map};
use crate::{
    access::LimitsStore,
    base::{Environment, PlanError, Position},
    policy::Policies,
};
use canary::CanaryPlugin;

const KNOWN: &str = "Known are rate-limiting, jwt, key-auth, cors, request-size-limiting, \
                     correlation-id and canary";

/// The plugins of one place.
#[derive(Debug, Default, Clone)]
pub(crate) struct Plugins {
    pub(crate) policies: Policies,
    pub(crate) canary: Option<CanaryPlugin>,
}

impl Plugins {
    /// Takes the plugins that stand inside a service or a route.
    pub(crate) fn read(
        map: &mut Map,
        scope: &str,
        environment: Environment<'_>,
        store: &mut Option<LimitsStore>,
    ) -> Result<Self, PlanError> {
        let mut all = Self::default();
        for node in map.list("plugins")?.unwrap_or_default() {
            let plugin = Map::of(node, "a plugin")?;
            all.add(plugin, scope, environment, store)?;
        }
        Ok(all)
    }

    /// Both, where none is there twice.
    pub(crate) fn and(self, beside: Option<(Position, Self)>) -> Result<Self, PlanError> {
        let Some((at, beside)) = beside else {
            return Ok(self);
        };
        let (a, b) = (&self.policies, &beside.policies);
        let twice = (a.cors.is_some() && b.cors.is_some())
            || (a.body.is_some() && b.body.is_some())
            || (a.keys.is_some() && b.keys.is_some())
            || (a.jwt.is_some() && b.jwt.is_some())
            || (a.limits.is_some() && b.limits.is_some())
            || (a.correlation.is_some() && b.correlation.is_some())
            || (self.canary.is_some() && beside.canary.is_some());
        if twice {
            return Err(PlanError::at(at, "a plugin of this place is there twice")
                .remedy("Leave one of them"));
        }
        Ok(Self {
            policies: self.policies.over(&beside.policies),
            canary: self.canary.or(beside.canary),
        })
    }

    pub(super) fn add(
        &mut self,
        mut map: Map,
        scope: &str,
        environment: Environment<'_>,
        store: &mut Option<LimitsStore>,
    ) -> Result<(), PlanError> {
        map.pass_over();
        let Some(name) = map.text("name")? else {
            return Err(PlanError::at(map.at, "a plugin has no `name`"));
        };
        map.what = format!("plugin `{}`", name.value);
        let enabled = map.flag("enabled", true)?;
        protocols(&mut map)?;
        let what = format!("`config` of plugin `{}`", name.value);
        let mut config = map.map("config", &what)?;
        let at = map.at_of("consumer");
        for narrower in ["consumer", "consumer_group"] {
            if map.take(narrower).is_some() {
                let message = format!("`{narrower}` of {} is not supported", map.what);
                return Err(PlanError::at(at, message)
                    .remedy("Plugins stand for all, for a service or for a route"));
            }
        }
        map.finish(LEAVE_THE_DEFAULT)?;
        let policies = &mut self.policies;
        // Read though it is disabled: what is wrong is wrong.
        let twice = match name.value.as_str() {
            "rate-limiting" => {
                let found = rate_limiting::read(&mut config, scope, environment, store)?;
                enabled && policies.limits.replace(found).is_some()
            }
            "jwt" => {
                let found = jwt::read(&mut config)?;
                enabled && policies.jwt.replace(found).is_some()
            }
            "key-auth" => {
                let found = key_auth::read(&mut config)?;
                enabled && policies.keys.replace(found).is_some()
            }
            "cors" => {
                let found = cors::read(&mut config)?;
                enabled && policies.cors.replace(found).is_some()
            }
            "request-size-limiting" => {
                let found = request_size_limiting::read(&mut config)?;
                enabled && policies.body.replace(found).is_some()
            }
            "correlation-id" => {
                let found = correlation_id::read(&mut config)?;
                enabled && policies.correlation.replace(found).is_some()
            }
            "canary" => {
                let found = CanaryPlugin::read(&mut config)?;
                enabled && self.canary.replace(found).is_some()
            }
            other => {
                return Err(
                    PlanError::at(name.at, format!("plugin `{other}` is not supported"))
                        .remedy(KNOWN),
                );
            }
        };
        if twice {
            let message = format!("plugin `{}` is there twice for one place", name.value);
            return Err(PlanError::at(name.at, message).remedy("Leave one of them"));
        }
        config.finish(LEAVE_THE_DEFAULT)
    }
}

/// A plugin is for http and https alike.
fn protocols(map: &mut Map) -> Result<(), PlanError> {
    let Some(all) = map.texts("protocols")? else {
        return Ok(());
    };
    if ["http", "https"]
        .iter()
        .all(|wanted| all.iter().any(|one| one.value == *wanted))
    {
        return Ok(());
    }
    let message = format!("`protocols` of {} leaves out http or https", map.what);
    Err(PlanError::at(map.at, message).remedy("Take it out"))
}
