//! Plugins that stand beside services and routes.

use super::{plugins::Plugins, tree::Map};
use crate::{
    access::LimitsStore,
    base::{Environment, PlanError, Position, Text},
    policy::Policies,
};

/// Plugins that stand beside services and routes, and say for which they are.
#[derive(Debug, Default)]
pub(crate) struct TopLevelPlugins {
    general: Plugins,
    services: Vec<(Text, Plugins)>,
    routes: Vec<(Text, Plugins)>,
}

impl TopLevelPlugins {
    pub(crate) fn read(
        file: &mut Map,
        environment: Environment<'_>,
        store: &mut Option<LimitsStore>,
    ) -> Result<Self, PlanError> {
        let mut all = Self::default();
        for node in file.list("plugins")?.unwrap_or_default() {
            let mut map = Map::of(node, "a plugin")?;
            let service = map.reference("service", "name")?;
            let route = map.reference("route", "name")?;
            let (place, scope) = match (service, route) {
                (None, None) => (&mut all.general, "kong".to_owned()),
                (Some(name), None) => {
                    let scope = format!("kong:service:{}", name.value);
                    (entry(&mut all.services, name), scope)
                }
                (None, Some(name)) => {
                    let scope = format!("kong:route:{}", name.value);
                    (entry(&mut all.routes, name), scope)
                }
                (Some(_), Some(name)) => {
                    return Err(
                        PlanError::at(name.at, "a plugin is for a service and a route")
                            .remedy("Leave the route: it has one service"),
                    );
                }
            };
            place.add(map, &scope, environment, store)?;
        }
        Ok(all)
    }

    /// What is demanded of all.
    pub(crate) fn general(&self) -> Result<Policies, PlanError> {
        if self.general.canary.is_some() {
            return Err(PlanError::whole(
                "plugin `canary` is for a service or a route",
            ));
        }
        Ok(self.general.policies.clone())
    }

    pub(crate) fn of_service(&mut self, name: &str) -> Option<(Position, Plugins)> {
        taken(&mut self.services, name)
    }

    pub(crate) fn of_route(&mut self, name: &str) -> Option<(Position, Plugins)> {
        taken(&mut self.routes, name)
    }

    /// Refuses plugins of what is not there.
    pub(crate) fn finish(self) -> Result<(), PlanError> {
        let left = self.services.into_iter().chain(self.routes).next();
        match left {
            None => Ok(()),
            Some((name, _)) => Err(PlanError::at(
                name.at,
                format!("a plugin is for `{}`, which is not there", name.value),
            )
            .remedy("Correct the name")),
        }
    }
}

fn entry(all: &mut Vec<(Text, Plugins)>, name: Text) -> &mut Plugins {
    let known = all.iter().position(|(known, _)| known.value == name.value);
    let at = known.unwrap_or_else(|| {
        all.push((name, Plugins::default()));
        all.len() - 1
    });
    &mut all[at].1
}

fn taken(all: &mut Vec<(Text, Plugins)>, name: &str) -> Option<(Position, Plugins)> {
    let at = all.iter().position(|(known, _)| known.value == name)?;
    let (name, plugins) = all.remove(at);
    Some((name.at, plugins))
}
