//! Which requests belong together.

mod file;
mod host;
mod kind;
mod operation;

pub use host::HostPattern;
pub use kind::{KindRule, MethodKind};
pub use operation::{Dialect, NamePattern, Operations};

pub(crate) use file::{KindFile, RouteFile, resolve};
pub(crate) use operation::OperationFile;

use crate::{base::PathPattern, upstream::RouteTimeouts};
use std::{cmp::Ordering, fmt};

/// A set of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Paths.
    pub path: PathPattern,
    /// Methods, upper case; `None` is all. With GET goes HEAD, which asks for the same
    /// without its body.
    pub methods: Option<Vec<String>>,
    /// Host; `None` is all.
    pub host: Option<HostPattern>,
    /// Headers that must all be there.
    pub headers: Vec<HeaderMatch>,
    /// What its requests are taken for.
    pub kind: KindRule,
    /// Which of the operations that share its paths; `None` is all.
    pub operations: Option<Operations>,
    /// Whether a body that comes without a length is sent once all of it is here.
    pub buffers: bool,
    /// What it says about times.
    pub timeouts: RouteTimeouts,
}

/// A header that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Its name, lower case.
    pub name: String,
    /// Its value; `None` is any.
    pub value: Option<String>,
}

impl Route {
    /// Whether a request belongs here, as far as its head says it. `path` is without its query, `host`
    /// lower case and without its port; `header` tells whether one of the
    /// values of a header is this one, or with `None` whether there is any.
    pub fn matches(
        &self,
        method: &str,
        host: Option<&str>,
        path: &str,
        header: impl Fn(&str, Option<&str>) -> bool,
    ) -> bool {
        self.path.matches(path)
            && self.methods.as_ref().is_none_or(|all| {
                let is = |one: &String| one == method || (method == "HEAD" && one == "GET");
                all.iter().any(is)
            })
            && self
                .host
                .as_ref()
                .is_none_or(|wanted| host.is_some_and(|host| wanted.matches(host)))
            && self
                .headers
                .iter()
                .all(|one| header(&one.name, one.value.as_deref()))
    }

    /// What a request of this route is taken for.
    pub fn kind(&self, method: &str) -> MethodKind {
        match self.kind {
            KindRule::ByMethod => MethodKind::of(method),
            KindRule::Always(kind) => kind,
            KindRule::ReadsOnce => MethodKind::Read,
        }
    }

    /// Orders the route that counts first: an exact host before `*.host`
    /// before none, then the more specific path, then the one with methods, of those
    /// the one that says HEAD itself, then the one with more headers, then the one with operations, and of
    /// those the one that spells out more of their names. The rule of the
    /// Kubernetes Gateway API, with parameters between literals and prefixes.
    pub fn by_priority(&self, other: &Self) -> Ordering {
        let host = |route: &Self| match &route.host {
            Some(HostPattern::Exact(_)) => (0, 0),
            Some(HostPattern::Below(suffix)) => (1, usize::MAX - suffix.len()),
            None => (2, 0),
        };
        let says_head = |route: &Self| {
            let methods = route.methods.iter().flatten();
            methods.into_iter().any(|method| method == "HEAD")
        };
        host(self)
            .cmp(&host(other))
            .then_with(|| self.path.by_specificity(&other.path))
            .then_with(|| self.methods.is_none().cmp(&other.methods.is_none()))
            .then_with(|| says_head(other).cmp(&says_head(self)))
            .then_with(|| other.headers.len().cmp(&self.headers.len()))
            .then_with(|| match (&self.operations, &other.operations) {
                (Some(own), Some(other)) => own.by_specificity(other),
                (own, other) => own.is_none().cmp(&other.is_none()),
            })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(methods) = &self.methods {
            write!(f, "{} ", methods.join(","))?;
        }
        if let Some(host) = &self.host {
            write!(f, "{host}")?;
        }
        write!(f, "{}", self.path)?;
        for header in &self.headers {
            match &header.value {
                Some(value) => write!(f, " {}: {value}", header.name)?,
                None => write!(f, " {}: *", header.name)?,
            }
        }
        if let Some(operations) = &self.operations {
            write!(f, " {operations}")?;
        }
        match self.kind {
            KindRule::ByMethod => Ok(()),
            KindRule::Always(MethodKind::Read) => f.write_str(" (reads)"),
            KindRule::Always(MethodKind::Write) => f.write_str(" (writes)"),
            KindRule::ReadsOnce => f.write_str(" (reads once)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: Option<&str>, path: &str) -> Route {
        Route {
            path: PathPattern::parse(path).unwrap(),
            methods: None,
            host: host.map(|text| HostPattern::parse(text).unwrap()),
            headers: Vec::new(),
            kind: KindRule::ByMethod,
            operations: None,
            buffers: true,
            timeouts: RouteTimeouts::NONE,
        }
    }

    #[test]
    fn headers_must_all_be_there() {
        let mut one = route(None, "/x");
        one.headers = vec![
            HeaderMatch {
                name: "x-a".into(),
                value: Some("1".into()),
            },
            HeaderMatch {
                name: "x-b".into(),
                value: None,
            },
        ];
        let with = |given: &[(&str, &str)]| {
            one.matches("GET", None, "/x", |name, value| {
                given
                    .iter()
                    .any(|(own, text)| *own == name && value.is_none_or(|value| value == *text))
            })
        };
        assert!(with(&[("x-a", "1"), ("x-b", "z")]));
        assert!(!with(&[("x-a", "2"), ("x-b", "z")]));
        assert!(!with(&[("x-a", "1")]));
    }

    #[test]
    fn head_goes_with_get_unless_it_is_said_itself() {
        let of = |method: &str| Route {
            methods: Some(vec![method.to_owned()]),
            ..route(None, "/x")
        };
        let (get, head) = (of("GET"), of("HEAD"));
        let matches = |route: &Route, method| route.matches(method, None, "/x", |_, _| false);
        assert!(matches(&get, "HEAD") && matches(&get, "GET") && !matches(&get, "POST"));
        assert!(matches(&head, "HEAD") && !matches(&head, "GET"));
        assert_eq!(head.by_priority(&get), Ordering::Less);
    }

    #[test]
    fn priority_is_host_path_methods_headers() {
        let mut routes = [
            route(None, "/a/b"),
            route(Some("*.org"), "/*"),
            route(Some("*.example.org"), "/*"),
            route(Some("x.example.org"), "/*"),
            Route {
                methods: Some(vec!["GET".into()]),
                ..route(None, "/a/b")
            },
        ];
        routes.sort_by(Route::by_priority);
        let shown: Vec<String> = routes.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "x.example.org/*",
                "*.example.org/*",
                "*.org/*",
                "GET /a/b",
                "/a/b"
            ]
        );
    }
}
