//! Which requests a route of Kong's is for.

use super::tree::Map;
use crate::{
    base::{Node, PathPattern, PlanError, Position, Text, header_name, http_token},
    route::{HeaderMatch, HostPattern, KindRule, Route},
    upstream::RouteTimeouts,
};

/// A route of more paths, hosts and headers' values is looked through too long.
const WAYS_MAX: usize = 1000;

/// The conditions of a route as they are written.
pub(super) struct Conditions {
    paths: Vec<Text>,
    methods: Option<Vec<Text>>,
    hosts: Vec<Text>,
    headers: Map,
}

impl Conditions {
    pub(super) fn take(map: &mut Map) -> Result<Self, PlanError> {
        Ok(Self {
            paths: map.texts("paths")?.unwrap_or_default(),
            methods: map.texts("methods")?.filter(|all| !all.is_empty()),
            hosts: map.texts("hosts")?.unwrap_or_default(),
            headers: map.map("headers", "`headers`")?,
        })
    }

    /// One route for each way to meet them: a path, a host and values of
    /// headers. `what` and `at` are for messages.
    pub(super) fn ways(self, what: &str, at: Position) -> Result<Vec<Route>, PlanError> {
        let headers = headers(self.headers)?;
        let hosts = self
            .hosts
            .iter()
            .map(|host| HostPattern::parse(&host.value).map_err(|why| PlanError::at(host.at, why)))
            .collect::<Result<Vec<_>, _>>()?;
        let methods = self
            .methods
            .map(|all| all.iter().map(method).collect::<Result<Vec<_>, _>>())
            .transpose()?;
        let unconditional = headers.iter().all(Vec::is_empty);
        if self.paths.is_empty() && hosts.is_empty() && unconditional && methods.is_none() {
            return Err(PlanError::at(at, format!("{what} has no condition"))
                .remedy("Add paths, hosts, headers or methods"));
        }
        let paths = match &self.paths[..] {
            [] => vec![PathPattern::all()],
            some => some.iter().map(pattern).collect::<Result<Vec<_>, _>>()?,
        };
        let hosts: Vec<Option<HostPattern>> = match hosts.len() {
            0 => vec![None],
            _ => hosts.into_iter().map(Some).collect(),
        };
        let count = paths.len() * hosts.len() * headers.len();
        if count > WAYS_MAX {
            return Err(
                PlanError::at(at, format!("{what} can be met in {count} ways"))
                    .remedy(format!("At most {WAYS_MAX} are taken: split it")),
            );
        }
        let mut ways = Vec::new();
        for path in paths {
            for host in &hosts {
                for headers in &headers {
                    ways.push(Route {
                        path: path.clone(),
                        methods: methods.clone(),
                        host: host.clone(),
                        headers: headers.clone(),
                        kind: KindRule::ByMethod,
                        operations: None,
                        buffers: true,
                        timeouts: RouteTimeouts::NONE,
                    });
                }
            }
        }
        Ok(ways)
    }
}

fn method(text: &Text) -> Result<String, PlanError> {
    let name = http_token(&text.value).map_err(|why| PlanError::at(text.at, why))?;
    Ok(name.to_ascii_uppercase())
}

/// Every way to meet the headers' conditions: one value of each.
fn headers(map: Map) -> Result<Vec<Vec<HeaderMatch>>, PlanError> {
    let mut all = vec![Vec::new()];
    for (name, node) in map.pairs() {
        let at: Position = name.at.known().unwrap_or(node.at);
        let wrong = |why: String| PlanError::at(at, why);
        let name = header_name(&name.value).map_err(wrong)?;
        let Node::List(list) = node.value else {
            return Err(wrong(format!("header `{name}` has no list of values")));
        };
        if list.is_empty() || all.len() * list.len() > WAYS_MAX {
            return Err(wrong(format!("header `{name}` has no values, or too many")));
        }
        let mut ways = Vec::new();
        for value in list {
            let Node::Text(text) = value.value else {
                return Err(wrong(format!("header `{name}` has no list of texts")));
            };
            if text.starts_with("~*") {
                return Err(PlanError::at(
                    value.at,
                    format!("`{text}` is a regular expression, which is not supported"),
                )
                .remedy("List the values"));
            }
            for known in &all {
                let mut way: Vec<HeaderMatch> = known.clone();
                way.push(HeaderMatch {
                    name: name.clone(),
                    value: Some(text.clone()),
                });
                ways.push(way);
            }
        }
        all = ways;
    }
    Ok(all)
}

/// What begins with a path.
fn pattern(path: &Text) -> Result<PathPattern, PlanError> {
    let text = &path.value;
    if let Some(regex) = text.strip_prefix('~') {
        return Err(PlanError::at(
            path.at,
            format!("`~{regex}` is a regular expression, which is not supported"),
        )
        .remedy("Write the paths that it begins with"));
    }
    if !text.starts_with('/') {
        return Err(PlanError::at(
            path.at,
            format!("`{text}` does not start with /"),
        ));
    }
    match PathPattern::parse(text) {
        // Nothing less specific than all.
        Ok(PathPattern::Exact(own)) if own == "/" => Ok(PathPattern::all()),
        Ok(PathPattern::Exact(own)) => Ok(PathPattern::StartsWith(own)),
        // `{x}` would be a parameter here, which it is not for Kong.
        Ok(PathPattern::Template(_)) => {
            Err(PlanError::at(path.at, format!("`{text}` holds a brace")))
        }
        _ => Err(PlanError::at(path.at, format!("`{text}` is no path"))),
    }
}
