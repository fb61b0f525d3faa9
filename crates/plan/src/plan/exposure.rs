//! Paths of upstreams that one route guards and another one reaches without asking
//! as much.

use super::Plan;
use crate::{
    base::UpstreamUrl,
    gateway::Unmatched,
    gateway_route::{Destination, Rewrite},
    policy::Policies,
    route::Route,
    upstream::Upstream,
};
use std::time::Duration;

/// A guarded path of an upstream, and the way around the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The route that demands something.
    pub guarded: String,
    /// What it demands and the other does not, as the plan's keys.
    pub demands: Vec<&'static str>,
    /// A path by which the same is reached.
    pub path: String,
    /// The route that takes it; `None`: none does, so it goes to the monolith.
    pub by: Option<String>,
}

/// One way from a client to an upstream.
pub(super) struct Way<'p> {
    pub(super) name: Option<String>,
    /// `None`: what nothing else matches.
    pub(super) route: Option<&'p Route>,
    upstreams: Vec<&'p Upstream>,
    rewrite: Rewrite,
    pub(super) policies: Policies,
}

impl Way<'_> {
    fn reaches(&self, other: &Way<'_>) -> bool {
        let urls = |way: &Way<'_>| -> Vec<UpstreamUrl> {
            let all = way.upstreams.iter();
            all.flat_map(|one| std::iter::once(&one.url).chain(&one.further))
                .cloned()
                .collect()
        };
        let own = urls(self);
        urls(other).iter().any(|url| own.contains(url))
    }

    /// A path that a client sends for that of an upstream, if there is one.
    fn path_for(&self, upstream_path: &str) -> Option<String> {
        let prefix = self.rewrite.prefix.trim_end_matches('/');
        let rest = upstream_path.strip_prefix(prefix)?;
        match self.route {
            Some(route) if self.rewrite.strip => {
                Some(format!("{}{rest}", route.path.literal_prefix()))
            }
            _ => Some(rest.to_owned()),
        }
    }

    /// What stands at the upstream behind the beginning of its paths.
    fn sample(&self) -> String {
        let route = self.route.map(|route| route.path.literal_prefix());
        let own = route.unwrap_or_default();
        self.rewrite.apply(&own, &own)
    }

    /// How long it is waited for the head of an answer.
    pub(super) fn first_byte(&self) -> Duration {
        let own = self.route.and_then(|route| route.timeouts.first_byte);
        let upstreams = self.upstreams.iter().map(|one| one.timeouts.first_byte);
        own.or_else(|| upstreams.max()).unwrap_or_default()
    }

    /// Whether its host, methods and headers leave a request of another one to it.
    fn takes(&self, path: &str) -> bool {
        self.route.is_none_or(|route| route.path.matches(path))
    }
}

impl Plan {
    /// The guards that can be walked around, as far as the plan shows it: another
    /// route, or none at all, leads to the same address and path and demands no
    /// token, no key, or takes more addresses.
    pub fn exposures(&self) -> Vec<Exposure> {
        let ways = self.ways();
        let mut found = Vec::new();
        for guarded in &ways {
            let sample = guarded.sample();
            for other in &ways {
                let demands = missing(&guarded.policies, &other.policies);
                if demands.is_empty() || std::ptr::eq(guarded, other) || !other.reaches(guarded) {
                    continue;
                }
                let Some(path) = other.path_for(&sample) else {
                    continue;
                };
                // The first that matches gets it, whoever else would.
                let taker = ways.iter().find(|way| way.takes(&path));
                if taker.is_some_and(|taker| std::ptr::eq(taker, other))
                    && let Some(name) = &guarded.name
                {
                    found.push(Exposure {
                        guarded: name.clone(),
                        demands,
                        path,
                        by: other.name.clone(),
                    });
                }
            }
        }
        found
    }

    /// All ways, the one that counts first at the front, and at the end that of
    /// what nothing matches.
    pub(super) fn ways(&self) -> Vec<Way<'_>> {
        let general = &self.gateway.access.policies;
        let service = |name| self.services.get(name);
        let mut ways = Vec::new();
        for extraction in self.extractions.values() {
            for route in &extraction.routes {
                let sides = [Some(&self.monolith), service(&extraction.service)];
                ways.push(Way {
                    name: Some(format!("{route} of extraction `{}`", extraction.name)),
                    route: Some(route),
                    upstreams: sides.into_iter().flatten().collect(),
                    rewrite: Rewrite::default(),
                    policies: extraction.policies.over(general),
                });
            }
        }
        for passthrough in &self.gateway.routes {
            let upstream = match &passthrough.to {
                Destination::Monolith => Some(&self.monolith),
                Destination::Service(name) => service(name),
            };
            ways.push(Way {
                name: Some(format!("route `{}`", passthrough.name)),
                route: Some(&passthrough.route),
                upstreams: upstream.into_iter().collect(),
                rewrite: passthrough.rewrite.clone(),
                policies: passthrough.policies.over(general),
            });
        }
        // Stable, as the gateway's own.
        ways.sort_by(|one, other| match (one.route, other.route) {
            (Some(one), Some(other)) => one.by_priority(other),
            _ => std::cmp::Ordering::Equal,
        });
        if self.gateway.unmatched == Unmatched::Monolith {
            ways.push(Way {
                name: None,
                route: None,
                upstreams: vec![&self.monolith],
                rewrite: Rewrite::default(),
                policies: general.clone(),
            });
        }
        ways
    }
}

/// What one demands of whoever asks and the other does not.
fn missing(one: &Policies, other: &Policies) -> Vec<&'static str> {
    // A token for a key is another credential, and one all the same.
    let knows = |policies: &Policies| policies.jwt.is_some() || policies.keys.is_some();
    let mut missing = Vec::new();
    if knows(one) && !knows(other) {
        missing.push(if one.jwt.is_some() { "jwt" } else { "keys" });
    }
    if one.groups.is_some() && other.groups.is_none() {
        missing.push("groups");
    }
    if one.addresses.is_some() && other.addresses.is_none() {
        missing.push("allow/deny");
    }
    missing
}
