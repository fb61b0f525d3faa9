//! Which places a request's operations belong to, and where it can go whole.

use super::query::{Effect, Operation, OperationQuery};
use crate::{
    base::{
        bad_operation::BadOperation,
        index::{ExtractionIndex, PassthroughIndex, Place, UpstreamIndex},
    },
    routing::table::{Sharing, Table},
};
use plan::{Dialect, KindRule, MethodKind, Route};
use protocol::Side;

/// What a request's operations do at one place, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) place: Place,
    pub(crate) kind: MethodKind,
}

impl Sharing {
    /// How the bodies are read: the plan sees to it that all routes that share
    /// a path agree.
    pub(crate) fn dialect<'t>(&self, table: &'t Table) -> Option<&'t Dialect> {
        let (route, _) = table.at(*self.ranks.first()?)?;
        route.operations.as_ref().map(|own| &own.dialect)
    }

    /// The largest body that is read to see what it asks for.
    pub(crate) fn body_bytes(&self, table: &Table) -> usize {
        let operations = self
            .routes(table)
            .filter_map(|(route, _)| route.operations.as_ref());
        let largest = operations.map(|own| own.bytes.0).max().unwrap_or(0);
        usize::try_from(largest).unwrap_or(usize::MAX)
    }

    /// All places that a request may belong to, each once.
    pub(crate) fn places(&self, table: &Table) -> Vec<Place> {
        let mut parts = Vec::new();
        for (_, place) in self.routes(table) {
            add(&mut parts, place, MethodKind::Read);
        }
        add(&mut parts, self.otherwise, MethodKind::Read);
        parts.into_iter().map(|part| part.place).collect()
    }

    /// The places that a request belongs to, each once; at least one.
    pub(crate) fn parts(&self, table: &Table, asked: &OperationQuery, method: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        match asked {
            OperationQuery::These(operations) => {
                for operation in operations {
                    let (place, kind) = self.owner(table, operation, method);
                    add(&mut parts, place, kind);
                }
                if parts.is_empty() {
                    let kind = table.kind(self.otherwise, method);
                    add(&mut parts, self.otherwise, kind);
                }
            }
            OperationQuery::Anything => {
                for (route, place) in self.routes(table) {
                    add(&mut parts, place, kind(Some(route), Effect::Writes, method));
                }
                let route = table.route(self.otherwise);
                add(
                    &mut parts,
                    self.otherwise,
                    kind(route, Effect::Writes, method),
                );
            }
        }
        parts
    }

    fn owner(&self, table: &Table, operation: &Operation, method: &str) -> (Place, MethodKind) {
        let owns = |(route, _): &(&Route, Place)| {
            let own = route.operations.as_ref();
            own.zip(operation.name.as_deref())
                .is_some_and(|(own, name)| own.own(name))
        };
        let (route, place) = match self.routes(table).find(owns) {
            Some((route, place)) => (Some(route), place),
            None => (table.route(self.otherwise), self.otherwise),
        };
        (place, kind(route, operation.effect, method))
    }

    fn routes<'t>(&self, table: &'t Table) -> impl Iterator<Item = (&'t Route, Place)> {
        self.ranks.iter().filter_map(|rank| table.at(*rank))
    }
}

/// What the route says, else the request, else its method.
fn kind(route: Option<&Route>, effect: Effect, method: &str) -> MethodKind {
    match (route.map(|route| route.kind), effect) {
        (Some(KindRule::Always(kind)), _) => kind,
        (Some(KindRule::ReadsOnce), _) | (_, Effect::Reads) => MethodKind::Read,
        (_, Effect::Writes) => MethodKind::Write,
        (_, Effect::AsTheRouteSays) => MethodKind::of(method),
    }
}

/// Routes of one extraction are one place: the first that writes speaks for it,
/// else the first.
fn add(parts: &mut Vec<Part>, place: Place, kind: MethodKind) {
    match parts.iter_mut().find(|part| part.place.is_with(place)) {
        None => parts.push(Part { place, kind }),
        Some(part) if part.kind == MethodKind::Read && kind == MethodKind::Write => {
            *part = Part { place, kind };
        }
        Some(_) => {}
    }
}

/// Where a request goes, and what is changed of it on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) upstream: UpstreamIndex,
    /// The route by which its path or host change.
    pub(crate) redirect: Option<PassthroughIndex>,
}

impl Way {
    const MONOLITH: Self = Self {
        upstream: UpstreamIndex::MONOLITH,
        redirect: None,
    };

    pub(crate) fn to_side(table: &Table, extraction: ExtractionIndex, side: Side) -> Self {
        Self {
            upstream: table.upstream(extraction, side),
            redirect: None,
        }
    }

    /// The way of a place that has only one.
    pub(crate) fn fixed(table: &Table, place: Place) -> Option<Self> {
        match place {
            Place::Extraction(_) => None,
            Place::Elsewhere => Some(Self::MONOLITH),
            Place::Route(index) => {
                let passthrough = table.passthrough(index);
                Some(Self {
                    upstream: passthrough.upstream,
                    redirect: passthrough.changes_requests().then_some(index),
                })
            }
        }
    }
}

/// The ways that an operation may take. A write has one, that to its owner,
/// unless both sides share its data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    /// The one that it would take alone.
    pub(crate) preferred: Way,
    /// Another one by which it is answered no worse than others are.
    pub(crate) also: Option<Way>,
}

impl Choice {
    /// It has no other.
    pub(crate) fn only(way: Way) -> Self {
        Self {
            preferred: way,
            also: None,
        }
    }

    fn allows(&self, way: Way) -> bool {
        self.preferred == way || self.also == Some(way)
    }
}

/// The way that operations of several places have in common: the one that each
/// prefers, else that to the monolith, which had all data once.
pub(crate) fn in_common(choices: &[Choice]) -> Result<Way, BadOperation> {
    let first = choices.first().ok_or(BadOperation::Apart)?;
    let all_prefer = |way: &Way| choices.iter().all(|choice| choice.preferred == *way);
    let all_allow = |way: &Way| choices.iter().all(|choice| choice.allows(*way));
    let mut ways = [Some(Way::MONOLITH), Some(first.preferred), first.also]
        .into_iter()
        .flatten();
    Some(first.preferred)
        .filter(all_prefer)
        .or_else(|| ways.find(all_allow))
        .ok_or(BadOperation::Apart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::target::Target,
        routing::table::{Head, RouteMatch},
    };
    use http::HeaderMap;
    use plan::Plan;

    const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services:
  a: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }
  b: { url: "http://127.0.0.1:5", database: "postgres://u:p@127.0.0.1:6/b" }
gateway:
  listen: "127.0.0.1:0"
  routes:
    find: { to: monolith, path: /rpc, operation: { json: method, is: ["parties.find*"] }, as: reads }
    mail: { to: b, path: /rpc, operation: { json: method, is: ["mail.*"] }, strip-path: true }
extractions:
  contracts:
    service: a
    routes:
      - { path: /rpc, operation: { json: method, is: ["contracts.*"] } }
      - { path: /rpc, operation: { json: method, is: [contracts.get] }, as: reads }
      - { path: /graphql, operation: { graphql: ["contract*", sign] } }
      - { path: /graphql, operation: { graphql: [contractSearch] }, as: reads }
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
"#;

    fn shared(table: &Table, path: &str) -> Sharing {
        let found = table.find_place(Head {
            method: "POST",
            host: None,
            target: &Target::read(path).unwrap(),
            headers: &HeaderMap::new(),
        });
        match found {
            Ok(RouteMatch::ByOperation(sharing)) => *sharing,
            other => panic!("{path}: {other:?}"),
        }
    }

    /// The places by name, writes with `!`.
    fn parts(path: &str, asked: &OperationQuery) -> Vec<String> {
        let table = Table::new(&Plan::parse(PLAN, |_| None).unwrap());
        let name = |place| match place {
            Place::Extraction(route) => format!("contracts/{}", route.route),
            Place::Route(passthrough) => table.passthrough(passthrough).route.name.clone(),
            Place::Elsewhere => "elsewhere".to_owned(),
        };
        let part = |part: Part| match part.kind {
            MethodKind::Read => name(part.place),
            MethodKind::Write => format!("{}!", name(part.place)),
        };
        let parts = shared(&table, path).parts(&table, asked, "POST");
        parts.into_iter().map(part).collect()
    }

    fn these(names: &[&str], effect: Effect) -> OperationQuery {
        let operation = |name: &&str| Operation {
            name: Some((*name).to_owned()).filter(|name| !name.is_empty()),
            effect,
        };
        OperationQuery::These(names.iter().map(operation).collect())
    }

    #[test]
    fn operations_belong_to_the_route_that_names_them() {
        let rpc = |names: &[&str]| parts("/rpc", &these(names, Effect::AsTheRouteSays));
        assert_eq!(rpc(&["contracts.get"]), ["contracts/1"]);
        assert_eq!(rpc(&["contracts.getAll"]), ["contracts/0!"]);
        assert_eq!(rpc(&["parties.findOne"]), ["find"]);
        assert_eq!(rpc(&["parties.add"]), ["elsewhere!"]);
        assert_eq!(rpc(&["Contracts.get"]), ["elsewhere!"]);
        assert_eq!(rpc(&[""]), ["elsewhere!"]);
        assert_eq!(rpc(&[]), ["elsewhere!"]);
        // One extraction is one place, and one write makes it one of writes.
        let both = ["contracts.get", "contracts.sign", "contracts.get"];
        assert_eq!(rpc(&both), ["contracts/0!"]);
        let all = ["contracts.get", "mail.send", "parties.find", "parties.add"];
        assert_eq!(rpc(&all), ["contracts/1", "mail!", "find", "elsewhere!"]);
    }

    #[test]
    fn documents_say_whether_they_write_unless_the_route_does() {
        let graphql = |names: &[&str], effect| parts("/graphql", &these(names, effect));
        assert_eq!(graphql(&["contracts"], Effect::Reads), ["contracts/2"]);
        assert_eq!(graphql(&["sign"], Effect::Writes), ["contracts/2!"]);
        assert_eq!(
            graphql(&["contractSearch"], Effect::Writes),
            ["contracts/3"]
        );
        assert_eq!(graphql(&["x", "y"], Effect::Reads), ["elsewhere"]);
        assert_eq!(graphql(&[""], Effect::Reads), ["elsewhere"]);
    }

    #[test]
    fn what_may_be_anything_writes_everywhere_but_where_the_plan_says() {
        let all = ["contracts/0!", "find", "mail!", "elsewhere!"];
        let mut found = parts("/rpc", &OperationQuery::Anything);
        found.sort_by_key(|part| all.iter().position(|one| one == part));
        assert_eq!(found, all);
    }

    const SERVICE: Way = Way {
        upstream: UpstreamIndex::ANY,
        redirect: None,
    };

    #[test]
    fn writes_go_together_where_their_owners_are_one() {
        let apart = Err(BadOperation::Apart);
        let of_writes = |ways: &[Way]| {
            let choices: Vec<_> = ways.iter().copied().map(Choice::only).collect();
            in_common(&choices)
        };
        assert_eq!(of_writes(&[SERVICE, SERVICE]), Ok(SERVICE));
        assert_eq!(of_writes(&[SERVICE, Way::MONOLITH]), apart);
        assert_eq!(of_writes(&[]), apart);
        let table = Table::new(&Plan::parse(PLAN, |_| None).unwrap());
        let mut ways = shared(&table, "/rpc").places(&table);
        ways.retain(|place| matches!(place, Place::Route(_)));
        let ways: Vec<_> = ways
            .into_iter()
            .filter_map(|place| Way::fixed(&table, place))
            .collect();
        // What strips its path has a way of its own.
        assert_eq!(ways.len(), 2);
        assert!(ways.iter().any(|way| way.redirect.is_some()));
        assert_eq!(of_writes(&ways), apart);
    }

    #[test]
    fn reads_go_where_each_would_or_to_the_monolith() {
        let choice = |preferred, also| Choice { preferred, also };
        let passthrough = choice(Way::MONOLITH, None);
        let covered = choice(SERVICE, Some(Way::MONOLITH));
        let moved = choice(SERVICE, None);
        let behind = choice(Way::MONOLITH, Some(SERVICE));
        for (choices, way) in [
            (&[covered, covered][..], Ok(SERVICE)),
            (&[covered, moved], Ok(SERVICE)),
            (&[covered, passthrough], Ok(Way::MONOLITH)),
            (&[behind, passthrough], Ok(Way::MONOLITH)),
            (&[covered, behind], Ok(Way::MONOLITH)),
            (&[behind, moved], Ok(SERVICE)),
            (&[moved, passthrough], Err(BadOperation::Apart)),
            (&[], Err(BadOperation::Apart)),
        ] {
            assert_eq!(in_common(choices), way, "{choices:?}");
        }
    }
}
