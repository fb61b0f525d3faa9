//! What the plan says about requests; fixed from start to end.

use super::canary::Canary;
use crate::base::{
    index::{ExtractionIndex, PassthroughIndex, Place, RouteIndex, UpstreamIndex},
    target::Target,
};
use http::HeaderMap;
use plan::{
    Data, Destination, Extraction, ExtractionName, GatewayRoute, MethodKind, Plan, Route,
    ServiceName, Unmatched,
};
use protocol::Side;
use std::collections::BTreeMap;

/// What a request's head says about where it belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RouteMatch {
    /// There.
    Place(Place),
    /// Its operations say. Few plans have such routes.
    ByOperation(Box<Sharing>),
}

/// Routes that share a request's path and own some of the operations there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sharing {
    /// Where they stand among all routes.
    pub(crate) ranks: Vec<usize>,
    /// Where operations belong that none of them owns.
    pub(crate) otherwise: Place,
}

/// The part of a request's head that routes look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    /// Lower case, without its port.
    pub(crate) host: Option<&'a str>,
    pub(crate) target: &'a Target<'a>,
    pub(crate) headers: &'a HeaderMap,
}

/// An extraction as the gateway sees it.
#[derive(Debug)]
pub(crate) struct ExtractionEntry {
    pub(crate) name: ExtractionName,
    pub(crate) service: ServiceName,
    /// Whether both sides share its data.
    pub(crate) has_shared_data: bool,
    pub(crate) routes: Vec<Route>,
    upstream: UpstreamIndex,
}

/// A route beside the extractions, as the gateway sees it.
#[derive(Debug)]
pub(crate) struct Passthrough {
    pub(crate) route: GatewayRoute,
    pub(crate) upstream: UpstreamIndex,
    /// Which of its requests another one gets.
    pub(crate) canary: Option<Canary>,
    /// Of which extraction it is an old way.
    pub(crate) retires_with: Option<ExtractionIndex>,
    /// The path for the upstream, whatever the request's is.
    fixed: Option<String>,
    /// What goes from the path where the route strips its own.
    stripped: String,
}

impl Passthrough {
    /// The path for the upstream, where it differs.
    pub(crate) fn rewritten(&self, path: &str) -> Option<String> {
        if self.fixed.is_some() {
            return self.fixed.clone();
        }
        let rewrite = &self.route.rewrite;
        (!rewrite.is_identity()).then(|| rewrite.apply(&self.stripped, path))
    }

    /// Whether path or host differ for the upstream.
    pub(crate) fn changes_requests(&self) -> bool {
        self.fixed.is_some() || !self.route.rewrite.is_identity() || !self.route.preserve_host
    }
}

/// All extractions and routes of a plan.
#[derive(Debug)]
pub(crate) struct Table {
    extractions: Vec<ExtractionEntry>,
    passthroughs: Vec<Passthrough>,
    /// All routes, the one that counts first at the front.
    ranked: Vec<(Route, Place)>,
    /// Whether a route is spelled with a `/` at its end.
    has_slashed: bool,
    unmatched: Unmatched,
}

/// A request whose path belongs to one route here and to another one for a
/// server that reads it leniently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AmbiguousPath;

impl Table {
    pub(crate) fn new(plan: &Plan) -> Self {
        // The order of `Upstreams`: the monolith, then the services.
        let names = plan.services.keys().enumerate();
        let places: BTreeMap<_, _> = names
            .map(|(at, name)| (name, UpstreamIndex::service(at)))
            .collect();
        let entry = |extraction: &Extraction| ExtractionEntry {
            name: extraction.name.clone(),
            service: extraction.service.clone(),
            has_shared_data: extraction.data == Data::Shared,
            routes: extraction.routes.clone(),
            // A parsed plan names only services that it has.
            upstream: places[&extraction.service],
        };
        let place = |to: &Destination| match to {
            Destination::Monolith => UpstreamIndex::MONOLITH,
            Destination::Service(name) => places[name],
        };
        let passthrough = |route: &GatewayRoute| Passthrough {
            upstream: place(&route.to),
            canary: None,
            // A parsed plan names only extractions that it has.
            retires_with: route.retires_with.as_ref().and_then(|name| {
                let at = plan.extractions.keys().position(|one| one == name);
                at.map(ExtractionIndex::new)
            }),
            fixed: None,
            stripped: route.route.path.literal_prefix(),
            route: route.clone(),
        };
        let extractions: Vec<ExtractionEntry> = plan.extractions.values().map(entry).collect();
        let mut passthroughs: Vec<Passthrough> =
            plan.gateway.routes.iter().map(passthrough).collect();
        let ranked = rank(&extractions, &passthroughs);
        // What canaries get are routes that no request finds by itself.
        for (at, route) in plan.gateway.routes.iter().enumerate() {
            let Some(canary) = &route.canary else {
                continue;
            };
            let mut other = passthrough(route);
            other.route.name = format!("{}-canary", route.name);
            other.route.to = canary.to.clone();
            other.upstream = place(&canary.to);
            other.fixed.clone_from(&canary.path);
            passthroughs[at].canary = Some(Canary::new(
                canary,
                &route.to,
                PassthroughIndex::new(passthroughs.len()),
            ));
            passthroughs.push(other);
        }
        Self {
            has_slashed: ranked.iter().any(|(route, _)| route.path.ends_in_slash()),
            extractions,
            passthroughs,
            ranked,
            unmatched: plan.gateway.unmatched,
        }
    }

    pub(crate) fn entry(&self, extraction: ExtractionIndex) -> &ExtractionEntry {
        &self.extractions[extraction.get()]
    }

    pub(crate) fn passthrough(&self, passthrough: PassthroughIndex) -> &Passthrough {
        &self.passthroughs[passthrough.get()]
    }

    /// The routes beside the extractions, by their index.
    pub(crate) fn passthroughs(&self) -> impl Iterator<Item = &GatewayRoute> {
        self.passthroughs
            .iter()
            .map(|passthrough| &passthrough.route)
    }

    /// The first canary there is.
    #[cfg(test)]
    pub(crate) fn take_canary(&mut self) -> Option<Canary> {
        self.passthroughs
            .iter_mut()
            .find_map(|passthrough| passthrough.canary.take())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (ExtractionIndex, &ExtractionEntry)> {
        self.extractions
            .iter()
            .enumerate()
            .map(|(at, entry)| (ExtractionIndex::new(at), entry))
    }

    /// All routes in the order in which they are tried.
    pub(crate) fn ranked(&self) -> impl Iterator<Item = (&Route, Place)> {
        self.ranked.iter().map(|(route, place)| (route, *place))
    }

    /// Where an extraction's side is.
    pub(crate) fn upstream(&self, extraction: ExtractionIndex, side: Side) -> UpstreamIndex {
        match side {
            Side::Monolith => UpstreamIndex::MONOLITH,
            Side::Service => self.entry(extraction).upstream,
        }
    }

    /// What a request of a place is taken for.
    pub(crate) fn kind(&self, place: Place, method: &str) -> MethodKind {
        let route = self.route(place);
        route.map_or_else(|| MethodKind::of(method), |route| route.kind(method))
    }

    /// The route of a place.
    pub(crate) fn route(&self, place: Place) -> Option<&Route> {
        match place {
            Place::Extraction(found) => Some(&self.entry(found.extraction).routes[found.route]),
            Place::Route(passthrough) => Some(&self.passthrough(passthrough).route.route),
            Place::Elsewhere => None,
        }
    }

    /// Whether requests of a place are answered 404.
    pub(crate) fn refuses(&self, place: Place) -> bool {
        place == Place::Elsewhere && self.unmatched == Unmatched::NotFound
    }

    /// The route of a rank, and its place.
    pub(crate) fn at(&self, rank: usize) -> Option<(&Route, Place)> {
        self.ranked.get(rank).map(|(route, place)| (route, *place))
    }

    /// Where a request belongs: to the first route in the order of
    /// [`Route::by_priority`] that matches. Of equal ones, those of extractions
    /// come first, by name and then as they stand in the plan. Where routes that
    /// own operations match before that one, the operations say.
    pub(crate) fn find_place(&self, head: Head<'_>) -> Result<RouteMatch, AmbiguousPath> {
        let found = self.place_of(head, &head.target.path);
        match &head.target.lenient {
            Some(lenient) if self.place_of(head, lenient) != found => Err(AmbiguousPath),
            _ => Ok(found),
        }
    }

    /// Where a path belongs, with or without a `/` at its end: frameworks serve both as
    /// one. Where the plan tells them apart, its own spelling counts.
    fn place_of(&self, head: Head<'_>, path: &str) -> RouteMatch {
        let found = self.matching(head, path);
        if found.is_whole(self) {
            return found.into();
        }
        let other = match path.strip_suffix('/') {
            Some("") => return found.into(),
            Some(shorter) => self.matching(head, shorter),
            None if self.has_slashed => self.matching(head, &format!("{path}/")),
            None => return found.into(),
        };
        if other.is_before(&found) {
            other.into()
        } else {
            found.into()
        }
    }

    /// The routes that match a path as it is written.
    fn matching(&self, head: Head<'_>, path: &str) -> Matching {
        let header = |name: &str, value: Option<&str>| {
            head.headers
                .get_all(name)
                .iter()
                .any(|given| value.is_none_or(|value| given.as_bytes() == value.as_bytes()))
        };
        let mut found = Matching::default();
        for (rank, (route, place)) in self.ranked.iter().enumerate() {
            if !route.matches(head.method, head.host, path, header) {
                continue;
            }
            if route.operations.is_none() {
                found.otherwise = Some((rank, *place));
                break;
            }
            found.ranks.push(rank);
        }
        found
    }
}

/// The routes that match a path.
#[derive(Default)]
struct Matching {
    /// Those that own some of the operations there.
    ranks: Vec<usize>,
    /// The first one that owns the others.
    otherwise: Option<(usize, Place)>,
}

impl Matching {
    fn first(&self) -> Option<usize> {
        let otherwise = self.otherwise.map(|(rank, _)| rank);
        self.ranks.first().copied().or(otherwise)
    }

    /// Whether the first one is spelled as the path is, and not as the beginning of it.
    fn is_whole(&self, table: &Table) -> bool {
        let first = self.first().and_then(|rank| table.ranked.get(rank));
        first.is_some_and(|(route, _)| route.path.is_whole())
    }

    /// Whether a route of it counts before those of another one.
    fn is_before(&self, other: &Self) -> bool {
        let last = |rank: Option<usize>| rank.unwrap_or(usize::MAX);
        let otherwise = |found: &Self| last(found.otherwise.map(|(rank, _)| rank));
        last(self.first()) < last(other.first()) || otherwise(self) < otherwise(other)
    }
}

impl From<Matching> for RouteMatch {
    fn from(found: Matching) -> Self {
        let otherwise = found.otherwise.map_or(Place::Elsewhere, |(_, place)| place);
        if found.ranks.is_empty() {
            Self::Place(otherwise)
        } else {
            Self::ByOperation(Box::new(Sharing {
                ranks: found.ranks,
                otherwise,
            }))
        }
    }
}

fn rank(extractions: &[ExtractionEntry], passthroughs: &[Passthrough]) -> Vec<(Route, Place)> {
    let mut ranked = Vec::new();
    for (at, entry) in extractions.iter().enumerate() {
        for (route, found) in entry.routes.iter().enumerate() {
            let index = RouteIndex {
                extraction: ExtractionIndex::new(at),
                route,
            };
            ranked.push((found.clone(), Place::Extraction(index)));
        }
    }
    for (at, passthrough) in passthroughs.iter().enumerate() {
        ranked.push((
            passthrough.route.route.clone(),
            Place::Route(PassthroughIndex::new(at)),
        ));
    }
    // Stable: equal ones stay in this order.
    ranked.sort_by(|(one, _), (other, _)| one.by_priority(other));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services:
  a: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }
gateway:
  listen: "127.0.0.1:0"
  routes:
    export: { to: monolith, path: /api/contracts/export }
    users: { to: a, path: /users/*, strip-path: true, prefix: /v1/users }
    beta: { to: a, path: /beta/*, headers: { x-beta: "1" } }
extractions:
  contracts:
    service: a
    routes:
      - { path: /api/contracts/*, methods: [GET, POST] }
      - { path: /only, host: Example.org }
      - { path: /api/contracts/search, methods: [POST], as: reads }
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
"#;

    fn table() -> Table {
        Table::new(&Plan::parse(PLAN, |_| None).unwrap())
    }

    fn place(
        method: &str,
        host: Option<&str>,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Place, AmbiguousPath> {
        let target = Target::read(path).unwrap();
        let found = table().find_place(Head {
            method,
            host,
            target: &target,
            headers,
        })?;
        match found {
            RouteMatch::Place(place) => Ok(place),
            RouteMatch::ByOperation(_) => panic!("{path} is shared"),
        }
    }

    fn route(method: &str, host: Option<&str>, path: &str) -> Result<Option<usize>, AmbiguousPath> {
        Ok(match place(method, host, path, &HeaderMap::new())? {
            Place::Extraction(found) => Some(found.route),
            Place::Route(_) | Place::Elsewhere => None,
        })
    }

    #[test]
    fn requests_find_their_route() {
        assert_eq!(route("GET", None, "/api/contracts"), Ok(Some(0)));
        assert_eq!(route("POST", None, "/api/contracts/7"), Ok(Some(0)));
        assert_eq!(route("DELETE", None, "/api/contracts/7"), Ok(None));
        assert_eq!(route("GET", None, "/api/contractsx"), Ok(None));
        assert_eq!(route("GET", Some("example.org"), "/only"), Ok(Some(1)));
        assert_eq!(route("GET", Some("example.com"), "/only"), Ok(None));
        assert_eq!(route("POST", None, "/api/contracts/search"), Ok(Some(2)));
    }

    #[test]
    fn what_stays_can_be_carved_out_and_rewritten() {
        let table = table();
        let none = HeaderMap::new();
        let passthrough = |path, headers: &HeaderMap| match place("GET", None, path, headers) {
            Ok(Place::Route(passthrough)) => {
                Some(table.passthrough(passthrough).route.name.clone())
            }
            _ => None,
        };
        assert_eq!(
            passthrough("/api/contracts/export", &none).as_deref(),
            Some("export")
        );
        assert_eq!(passthrough("/beta/x", &none), None);
        let mut beta = HeaderMap::new();
        beta.insert("x-beta", http::HeaderValue::from_static("1"));
        assert_eq!(passthrough("/beta/x", &beta).as_deref(), Some("beta"));
        let Ok(Place::Route(users)) = place("GET", None, "/users/7", &none) else {
            panic!("no route for /users/7");
        };
        let users = table.passthrough(users);
        assert_eq!(users.rewritten("/users/7").as_deref(), Some("/v1/users/7"));
    }

    #[test]
    fn a_canarys_own_path_changes_requests_though_nothing_else_does() {
        let kong = r#"_format_version: "3.0"
services:
- name: api
  url: http://127.0.0.1:3
  routes:
  - name: things
    paths: [/things]
    strip_path: false
    preserve_host: true
    plugins:
    - { name: canary, config: { percentage: 50, upstream_uri: /next } }
"#;
        let text = "monolith: { url: \"http://127.0.0.1:1\" }\nservices: {}\n\
                    gateway: { listen: \"127.0.0.1:0\", kong: kong.yml }\nextractions: {}\n";
        let read = |_: &std::path::Path| Ok(kong.to_owned());
        let context = plan::ParseContext {
            files: plan::FileLoader::new("", &read),
            ..plan::ParseContext::new(&|_| None)
        };
        let table = Table::new(&Plan::parse_with(text, &context).unwrap());
        let changes = |passthrough: &Passthrough| {
            (
                passthrough.rewritten("/things"),
                passthrough.changes_requests(),
            )
        };
        let changes: Vec<_> = table.passthroughs.iter().map(changes).collect();
        assert_eq!(changes, [(None, false), (Some("/next".to_owned()), true)]);
    }

    #[test]
    fn a_route_says_what_its_requests_are_taken_for() {
        let kind = |method, path| {
            let place = place(method, None, path, &HeaderMap::new()).unwrap();
            table().kind(place, method)
        };
        assert_eq!(kind("POST", "/api/contracts/search"), MethodKind::Read);
        assert_eq!(kind("POST", "/api/contracts"), MethodKind::Write);
        assert_eq!(kind("POST", "/x"), MethodKind::Write);
    }

    #[test]
    fn escapes_find_the_same_route_or_are_refused() {
        assert_eq!(route("GET", None, "/api/%63ontracts/7"), Ok(Some(0)));
        for path in [
            "//api/contracts",
            "/api%2fcontracts",
            "/api\\contracts",
            "/api;x/contracts",
            "/api/contracts;x",
        ] {
            assert_eq!(route("GET", None, path), Err(AmbiguousPath), "{path}");
        }
        // No difference, so no objection.
        assert_eq!(route("GET", None, "/api/contracts//7"), Ok(Some(0)));
        assert_eq!(route("GET", None, "/api/contracts/7;x"), Ok(Some(0)));
        assert_eq!(route("GET", None, "/media//a%20b"), Ok(None));
    }
}
