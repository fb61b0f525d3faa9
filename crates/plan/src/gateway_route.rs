//! Requests that belong to no extraction.

use crate::{Route, ServiceName};
use std::fmt;

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
