//! Requests that belong to no extraction.

use crate::{Percent, Policies, Route, ServiceName};
use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime},
};

/// A route that the gateway serves beside the extractions: to one upstream,
/// for good. What no route matches goes to the monolith.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayRoute {
    /// What it is called in metrics and by `banyan routes`.
    pub name: String,
    /// Its requests.
    pub route: Route,
    /// Where they go.
    pub to: Destination,
    /// How their path is changed.
    pub rewrite: Rewrite,
    /// Whether the upstream gets the client's `Host` or its own address.
    pub preserve_host: bool,
    /// What is demanded of its requests, over what is demanded of all.
    pub policies: Policies,
    /// Who of its clients goes elsewhere.
    pub canary: Option<Canary>,
}

/// An upstream by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// The old side.
    Monolith,
    /// A service of the plan.
    Service(ServiceName),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Monolith => f.write_str("monolith"),
            Self::Service(name) => name.fmt(f),
        }
    }
}

/// How a path is changed on its way: first what matched is taken away, then
/// the prefix is put in front.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// Whether the part of the path that the pattern spells out goes.
    pub strip: bool,
    /// What is put in front; empty, or `/x` without a slash at its end.
    pub prefix: String,
}

impl Rewrite {
    /// Whether it changes anything.
    pub fn is_identity(&self) -> bool {
        !self.strip && self.prefix.is_empty()
    }

    /// The path for the upstream. `stripped` is what the route spells out
    /// ([`PathPattern::literal_prefix`](crate::PathPattern::literal_prefix)).
    pub fn apply(&self, stripped: &str, path: &str) -> String {
        let rest = if self.strip {
            path.strip_prefix(stripped).unwrap_or(path)
        } else {
            path
        };
        // `/api/v1/` + `/x` is `/api/v1/x`: the slash between them is one.
        let prefix = self.prefix.trim_end_matches('/');
        match rest {
            "" if self.prefix.is_empty() => "/".to_owned(),
            "" => self.prefix.clone(),
            _ if rest.starts_with('/') => format!("{prefix}{rest}"),
            _ => format!("{prefix}/{rest}"),
        }
    }
}

/// Who of a route's clients goes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// How many.
    pub share: CanaryShare,
    /// What they are told apart by.
    pub by: CanaryKey,
    /// Where that is.
    pub to: Destination,
    /// The whole path there, whatever the request's is, where it is another.
    pub path: Option<String>,
    /// A header by which a client chooses: `always` or `never`.
    pub header: Option<String>,
}

/// How many go elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryShare {
    /// So many.
    Fixed(Percent),
    /// None at `start`, all when the time is over, in equal steps.
    Rising {
        /// When it begins, in seconds since 1970.
        start: u64,
        /// How long it takes.
        duration: Duration,
        /// In how many steps.
        steps: u32,
    },
}

impl CanaryShare {
    /// The share at a moment.
    pub fn at(self, now: SystemTime) -> Percent {
        match self {
            Self::Fixed(share) => share,
            Self::Rising {
                start,
                duration,
                steps,
            } => {
                let begin = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(start));
                // Beyond what clocks show, it never begins.
                let since = begin.and_then(|begin| now.duration_since(begin).ok());
                let since = since.unwrap_or_default().as_millis();
                let whole = duration.as_millis().max(1);
                let steps = u128::from(steps.max(1));
                let done = (since.min(whole) * steps) / whole;
                let points = done * u128::from(Percent::STEPS) / steps;
                let points = u16::try_from(points).unwrap_or(Percent::STEPS);
                Percent::from_basis_points(points).unwrap_or(Percent::ALL)
            }
        }
    }
}

/// What clients are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanaryKey {
    /// The consumer; without one, the address.
    Consumer,
    /// The address.
    Address,
    /// This header, lower case; without it, the address.
    Header(String),
    /// Nothing: every request anew.
    Random,
}

/// Host names that are looked up here before anybody is asked, for connecting
/// only: what an upstream sees as its name stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolve(BTreeMap<String, IpAddr>);

impl Resolve {
    /// Adds `NAME:ADDRESS`, such as `host.docker.internal:127.0.0.1`.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("`{text}` is no NAME:ADDRESS, such as db.internal:10.0.0.7");
        let (name, address) = text.split_once(':').ok_or_else(wrong)?;
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        let address = bare.parse().map_err(|_| wrong())?;
        if name.is_empty() {
            return Err(wrong());
        }
        self.0.insert(name.to_ascii_lowercase(), address);
        Ok(())
    }

    /// Where a host is, if it was said.
    pub fn address(&self, host: &str) -> Option<IpAddr> {
        match self.0.get(host) {
            None if host.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                self.0.get(&host.to_ascii_lowercase()).copied()
            }
            found => found.copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_stripped_and_prefixed() {
        let rewrite = |strip, prefix: &str, path| {
            Rewrite {
                strip,
                prefix: prefix.to_owned(),
            }
            .apply("/api/auth", path)
        };
        assert_eq!(rewrite(true, "/v1/auth/", "/api/auth"), "/v1/auth/");
        assert_eq!(
            rewrite(true, "/v1/auth/", "/api/auth/login"),
            "/v1/auth/login"
        );
        assert_eq!(rewrite(true, "", "/api/auth"), "/");
        assert_eq!(rewrite(true, "", "/api/auth/x"), "/x");
        assert_eq!(rewrite(false, "/v1", "/api/auth/x"), "/v1/api/auth/x");
        assert!(Rewrite::default().is_identity());
    }
}
