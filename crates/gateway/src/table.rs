//! What the plan says about requests; fixed from start to end.

use crate::{client::KeySource, target::Target};
use plan::{Extraction, ExtractionName, Plan, Route, ServiceName, Switch, UpstreamUrl};
use protocol::Side;
use std::collections::BTreeMap;

/// One of a table's extractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ExtractionIndex(usize);

impl ExtractionIndex {
    /// Its place in arrays that have one item per extraction.
    pub(crate) fn get(self) -> usize {
        self.0
    }
}

/// One of a table's upstreams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamIndex(usize);

impl UpstreamIndex {
    pub(crate) const MONOLITH: Self = Self(0);

    /// Its place in arrays that have one item per upstream.
    pub(crate) fn get(self) -> usize {
        self.0
    }
}

/// A route of an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RouteIndex {
    pub(crate) extraction: ExtractionIndex,
    /// Its place among the extraction's routes.
    pub(crate) route: usize,
}

/// The part of a request's head that routes look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    /// Lower case, without its port.
    pub(crate) host: Option<&'a str>,
    pub(crate) target: &'a Target<'a>,
}

/// An extraction as the gateway sees it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: ExtractionName,
    pub(crate) service: ServiceName,
    pub(crate) key: KeySource,
    pub(crate) routes: Vec<Route>,
    pub(crate) switch: Switch,
    upstream: UpstreamIndex,
}

/// All extractions and upstreams of a plan.
#[derive(Debug)]
pub(crate) struct Table {
    extractions: Vec<Entry>,
    upstreams: Vec<UpstreamUrl>,
}

/// A request whose path belongs to one route here and to another one for a
/// server that reads it leniently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AmbiguousPath;

impl Table {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut upstreams = vec![plan.monolith.url.clone()];
        let mut places = BTreeMap::new();
        for (name, service) in &plan.services {
            places.insert(name, UpstreamIndex(upstreams.len()));
            upstreams.push(service.url.clone());
        }
        let entry = |extraction: &Extraction| Entry {
            name: extraction.name.clone(),
            service: extraction.service.clone(),
            key: KeySource::new(&extraction.cohort_key),
            routes: extraction.routes.clone(),
            switch: extraction.switch,
            // A parsed plan names only services that it has.
            upstream: places[&extraction.service],
        };
        Self {
            extractions: plan.extractions.values().map(entry).collect(),
            upstreams,
        }
    }

    pub(crate) fn entry(&self, extraction: ExtractionIndex) -> &Entry {
        &self.extractions[extraction.0]
    }

    pub(crate) fn find(&self, name: &ExtractionName) -> Option<ExtractionIndex> {
        self.extractions
            .iter()
            .position(|entry| entry.name == *name)
            .map(ExtractionIndex)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (ExtractionIndex, &Entry)> {
        self.extractions
            .iter()
            .enumerate()
            .map(|(at, entry)| (ExtractionIndex(at), entry))
    }

    pub(crate) fn upstreams(&self) -> &[UpstreamUrl] {
        &self.upstreams
    }

    /// Where an extraction's side is.
    pub(crate) fn upstream(&self, extraction: ExtractionIndex, side: Side) -> UpstreamIndex {
        match side {
            Side::Monolith => UpstreamIndex::MONOLITH,
            Side::Service => self.entry(extraction).upstream,
        }
    }

    /// The route that a request belongs to; `None` is a route that stays. The
    /// first extraction by name, and in it the first route, counts.
    pub(crate) fn route(&self, head: Head<'_>) -> Result<Option<RouteIndex>, AmbiguousPath> {
        let found = self.route_of(head, &head.target.path);
        match &head.target.lenient {
            Some(lenient) if self.route_of(head, lenient) != found => Err(AmbiguousPath),
            _ => Ok(found),
        }
    }

    fn route_of(&self, head: Head<'_>, path: &str) -> Option<RouteIndex> {
        self.all().find_map(|(extraction, entry)| {
            let matches = |route: &Route| route.matches(head.method, head.host, path);
            let route = entry.routes.iter().position(matches)?;
            Some(RouteIndex { extraction, route })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services:
  a: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }
gateway: { listen: "127.0.0.1:0" }
extractions:
  contracts:
    service: a
    routes:
      - { path: /api/contracts/*, methods: [GET, POST] }
      - { path: /only, host: Example.org }
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
"#;

    fn route(method: &str, host: Option<&str>, path: &str) -> Result<Option<usize>, AmbiguousPath> {
        let table = Table::new(&Plan::parse(PLAN, |_| None).unwrap());
        let target = Target::read(path).unwrap();
        let found = table.route(Head {
            method,
            host,
            target: &target,
        })?;
        Ok(found.map(|found| found.route))
    }

    #[test]
    fn requests_find_their_route() {
        assert_eq!(route("GET", None, "/api/contracts"), Ok(Some(0)));
        assert_eq!(route("POST", None, "/api/contracts/7"), Ok(Some(0)));
        assert_eq!(route("DELETE", None, "/api/contracts/7"), Ok(None));
        assert_eq!(route("GET", None, "/api/contractsx"), Ok(None));
        assert_eq!(route("GET", Some("example.org"), "/only"), Ok(Some(1)));
        assert_eq!(route("GET", Some("example.com"), "/only"), Ok(None));
    }

    #[test]
    fn escapes_find_the_same_route_or_are_refused() {
        assert_eq!(route("GET", None, "/api/%63ontracts/7"), Ok(Some(0)));
        for path in ["//api/contracts", "/api%2fcontracts", "/api\\contracts"] {
            assert_eq!(route("GET", None, path), Err(AmbiguousPath), "{path}");
        }
        // No difference, so no objection.
        assert_eq!(route("GET", None, "/api/contracts//7"), Ok(Some(0)));
        assert_eq!(route("GET", None, "/media//a%20b"), Ok(None));
    }
}
