//! What would become of a request, for people who ask.

use crate::request::{addressing, choose, old_way};
use crate::{
    access::Foreseen,
    base::{
        bad_operation::BadOperation,
        cohort::Bucket,
        index::{Place, RouteIndex},
        peer::Peer,
        refusal::Refusal,
        target::{BadTarget, Target},
    },
    request::{
        caller::{Caller, Client},
        choose::choosing,
        operations::{
            batch::{self, BatchVerdict},
            routing,
        },
        read_your_writes::wait,
    },
    routing::{
        decision::{self, ReadVerdict, Right, Why, WriteVerdict},
        operations::{self, parts::Part, query::OperationQuery},
        snapshot::RoutingState,
        table::{RouteMatch, Sharing},
    },
    selection::cohort_key::KeySource,
    state::config::Config,
};
use bytes::Bytes;
use http::{Request, request::Parts};
use plan::{MethodKind, Percent, PinExpired};
use serde::Serialize;
use std::{fmt::Write as _, net::IpAddr};

/// A route of a running gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteReport {
    /// What it matches, as the plan says it.
    pub matches: String,
    /// The extraction that it belongs to, or its own name.
    pub belongs_to: String,
    /// Where its requests go: `monolith | contracts` is one of two sides.
    pub to: String,
}

/// What would become of a request now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The route that counts, as the plan says it; `None` where none matches.
    pub route: Option<String>,
    /// The extraction, or the route's name, or `none`.
    pub belongs_to: String,
    /// `read` or `write`.
    pub kind: &'static str,
    /// Where it goes; `None` where it is held or refused.
    pub to: Option<String>,
    /// Why.
    pub why: String,
}

/// All routes, in the order in which they are tried, and what becomes of the rest.
pub(crate) fn routes(config: &Config) -> Vec<RouteReport> {
    let table = &config.table;
    let report = |(route, place): (&plan::Route, Place)| RouteReport {
        matches: route.to_string(),
        belongs_to: belongs_to(config, place),
        to: match place {
            Place::Extraction(found) => {
                let entry = table.entry(found.extraction);
                let note = if entry.has_shared_data {
                    " (shared data)"
                } else {
                    ""
                };
                format!("monolith | {}{note}", entry.service)
            }
            Place::Route(passthrough) => table.passthrough(passthrough).route.to.to_string(),
            Place::Elsewhere => "monolith".to_owned(),
        },
    };
    let rest = RouteReport {
        matches: "everything else".to_owned(),
        belongs_to: belongs_to(config, Place::Elsewhere),
        to: if table.refuses(Place::Elsewhere) {
            "nowhere (404)"
        } else {
            "monolith"
        }
        .to_owned(),
    };
    table.ranked().map(report).chain([rest]).collect()
}

/// Decides a request without sending it. The error says what is wrong with it.
pub(crate) fn explain(
    config: &Config,
    request: Request<Bytes>,
    address: IpAddr,
) -> Result<Explanation, String> {
    let (mut parts, body) = request.into_parts();
    let peer = Peer::new(Some(address), crate::base::peer::Scheme::Plain);
    let found =
        addressing::addressed(config, &peer, &mut parts).map_err(|refusal| match refusal {
            Refusal::BadTarget(BadTarget::Ambiguous) => {
                let reading = Target::read(parts.uri.path()).ok();
                let reading = reading.and_then(|target| target.lenient);
                format!(
                    "400: {refusal}: as {}",
                    reading.as_deref().unwrap_or_default()
                )
            }
            other => refused(other),
        })?;
    if config.pages.has(&parts) {
        return Ok(Explanation {
            route: None,
            belongs_to: "none".to_owned(),
            kind: "read",
            to: None,
            why: "the gateway answers it itself: `gateway.status`".to_owned(),
        });
    }
    let method = parts.method.as_str();
    let touched = match found {
        RouteMatch::Place(place) => {
            let kind = config.table.kind(place, method);
            vec![Part { place, kind }]
        }
        RouteMatch::ByOperation(sharing) => operations(config, &sharing, &parts, &body)?,
    };
    let place = touched.first().map_or(Place::Elsewhere, |part| part.place);
    let admission = config.access.vouched(place, &parts);
    let caller = Caller {
        peer: &peer,
        admission: &admission,
        tokens: None,
        connection: None,
        observed: None,
    };
    let client = caller.client(&parts.headers, &parts.uri);
    let (to, why) = match demanded(config, &touched, &parts, &peer, body.len()) {
        Err(answered) => (None, answered),
        Ok(unasked) => {
            let (to, mut why) = decided(config, &touched, client);
            if to.is_some() && !unasked.is_empty() {
                let _ = write!(why, "; not asked: {}", unasked.join(", "));
            }
            (to, why)
        }
    };
    let goes_back = to.as_deref() == Some("monolith");
    let gone = |part: &Part| old_way::refusal(config, part.place, goes_back);
    let (to, mut why) = match touched.iter().find_map(gone).filter(|_| goes_back) {
        Some(refusal) => (None, refused(refusal)),
        None => (to, why),
    };
    let waits = touched.iter().all(|part| match part.place {
        Place::Route(passthrough) => config.table.passthrough(passthrough).route.own_writes,
        Place::Extraction(_) | Place::Elsewhere => true,
    });
    if waits && to.as_deref() == Some("monolith") && !wait::debts(config, client).is_empty() {
        let settings = &config.settings;
        let _ = write!(
            why,
            "; first it waits until the monolith has what its client wrote at a service, \
             {} after {:?}",
            match settings.pin_expired {
                PinExpired::Refuse => "503",
                PinExpired::Pass => "and goes on without",
            },
            settings.pin_wait
        );
    }
    let each = |text: &dyn Fn(Place) -> Option<String>| {
        let all: Vec<_> = touched.iter().filter_map(|part| text(part.place)).collect();
        (!all.is_empty()).then(|| all.join(" and "))
    };
    let kinds = [MethodKind::Write, MethodKind::Read].map(|kind| {
        let is_of = |part: &Part| part.kind == kind;
        touched.iter().any(is_of)
    });
    Ok(Explanation {
        route: each(&|place| config.table.route(place).map(ToString::to_string)),
        belongs_to: each(&|place| Some(belongs_to(config, place))).unwrap_or_default(),
        kind: match kinds {
            [false, _] => "read",
            [true, false] => "write",
            [true, true] => "write, with reads beside it",
        },
        to,
        why,
    })
}

/// The places of a request whose body says where it belongs.
fn operations(
    config: &Config,
    sharing: &Sharing,
    parts: &Parts,
    body: &[u8],
) -> Result<Vec<Part>, String> {
    let table = &config.table;
    if body.is_empty() && !parts.method.is_safe() && parts.uri.query().is_none() {
        return Err("its body says where it belongs: add it with --data".to_owned());
    }
    let query = match sharing.dialect(table) {
        Some(dialect) => operations::read(dialect, parts, body),
        None => Ok(OperationQuery::Anything),
    };
    let query = query.map_err(|bad| refused(bad.into()))?;
    Ok(sharing.parts(table, &query, parts.method.as_str()))
}

/// Which of the policies of a request could not be asked. The error says how they answer it
/// instead.
fn demanded(
    config: &Config,
    touched: &[Part],
    parts: &Parts,
    peer: &Peer,
    length: usize,
) -> Result<Vec<&'static str>, String> {
    let access = &config.access;
    let places: Vec<Place> = touched.iter().map(|part| part.place).collect();
    if !access.demand_alike(&places) {
        return Err(refused(BadOperation::DemandsDiffer.into()));
    }
    let place = places.first().copied().unwrap_or(Place::Elsewhere);
    match access.foresee(place, parts, peer, length as u64) {
        None => Ok(Vec::new()),
        Some(Ok(Foreseen::LetIn(unasked))) => Ok(unasked),
        Some(Ok(Foreseen::Preflight)) => Err("204: `cors` answers the preflight".to_owned()),
        Some(Err(denial)) => {
            let refused = refused(Refusal::Access(denial));
            Err(format!("{refused} (`policies`)"))
        }
    }
}

/// Where a request goes that is let in, and why.
fn decided(config: &Config, touched: &[Part], client: Client<'_>) -> (Option<String>, String) {
    match touched {
        [Part { place, kind }] => alone(config, *place, *kind, client),
        _ if touched.iter().any(|part| config.table.refuses(part.place)) => {
            (None, refused(Refusal::NoRoute))
        }
        _ => together(config, touched, client),
    }
}

/// Where a request of one place goes, and why.
fn alone(
    config: &Config,
    place: Place,
    kind: MethodKind,
    client: Client<'_>,
) -> (Option<String>, String) {
    match place {
        Place::Elsewhere if config.table.refuses(place) => (None, refused(Refusal::NoRoute)),
        Place::Elsewhere => (
            Some("monolith".to_owned()),
            "no route matches, so it stays with the monolith".to_owned(),
        ),
        Place::Route(passthrough) => {
            let passthrough = config.table.passthrough(passthrough);
            let mut why = match passthrough.rewritten(client.uri.path()) {
                Some(path) => format!("its route says so; the path becomes {path}"),
                None => "its route says so".to_owned(),
            };
            if let Some(canary) = &passthrough.canary {
                let (share, to) = (
                    canary.share(),
                    &config.table.passthrough(canary.to).route.to,
                );
                let _ = write!(
                    why,
                    "; its canary, {to}, gets {share} of its clients instead"
                );
            }
            (Some(passthrough.route.to.to_string()), why)
        }
        Place::Extraction(route) if kind == MethodKind::Write => write(config, route, client),
        Place::Extraction(route) => read(config, route, client),
    }
}

/// Where a request of several places goes as a whole, and why.
fn together(config: &Config, touched: &[Part], client: Client<'_>) -> (Option<String>, String) {
    let writes: Vec<Place> = touched
        .iter()
        .filter(|part| part.kind == MethodKind::Write)
        .map(|part| part.place)
        .collect();
    let (way, why) = if writes.is_empty() {
        let way = routing::way_of_reads(config, touched, client);
        (way, "all its reads can be answered there")
    } else {
        match batch::verdict(config, &config.state.snapshot.load(), &writes, client) {
            Err(refusal) => (Err(refusal), ""),
            Ok(BatchVerdict::Hold(_)) => {
                return (None, "it is held: a hand-over is under way".to_owned());
            }
            Ok(BatchVerdict::Forward(way, _)) => {
                (Ok(way), "the owner of its writes answers all of it")
            }
        }
    };
    match way {
        Err(refusal) => (None, refused(refusal)),
        Ok(way) => {
            let upstream = config.upstreams.get(way.upstream);
            (Some(upstream.name.clone()), why.to_owned())
        }
    }
}

fn belongs_to(config: &Config, place: Place) -> String {
    match place {
        Place::Extraction(found) => {
            format!("extraction {}", config.table.entry(found.extraction).name)
        }
        Place::Route(passthrough) => {
            format!("route {}", config.table.passthrough(passthrough).route.name)
        }
        Place::Elsewhere => "none".to_owned(),
    }
}

fn write(config: &Config, route: RouteIndex, client: Client<'_>) -> (Option<String>, String) {
    let routing_state = config.state.snapshot.load().routing_state(route.extraction);
    let choosing = choosing(config, route, client);
    match decision::write(routing_state, config.state.lease(), || choosing) {
        WriteVerdict::Forward(Right::SharedData(side)) => {
            let share = match routing_state {
                RoutingState::SharedData { writes, .. } => writes,
                _ => Percent::ZERO,
            };
            let (_, why) = choosing.side(share);
            let why = because(config, route, why, choosing.bucket, share);
            (
                Some(name(config, route, side)),
                format!("{why}; both sides share the data"),
            )
        }
        WriteVerdict::Forward(Right::Owner(owner)) => (
            Some(name(config, route, owner.side)),
            format!(
                "a write goes to the owner: the {} since epoch {}",
                owner.side.as_str(),
                owner.since
            ),
        ),
        WriteVerdict::Hold => (None, "it is held: a hand-over is under way".to_owned()),
        WriteVerdict::Refuse(refusal) => (None, refused(refusal)),
    }
}

fn read(config: &Config, route: RouteIndex, client: Client<'_>) -> (Option<String>, String) {
    let entry = config.table.entry(route.extraction);
    let decided = choose::decided(config, route, client);
    let (routing_state, key) = (decided.routing_state, decided.key);
    match decided.verdict {
        Err(refusal) => (None, refused(refusal)),
        Ok(ReadVerdict { side, why, .. }) => {
            let share = routing_state
                .routing()
                .map_or(Percent::ZERO, |routing| routing.reads);
            let bucket = key.map(|key| Bucket::of(&entry.name, key));
            let why = because(config, route, why, bucket, share);
            (Some(name(config, route, side)), why)
        }
    }
}

/// Why a side was chosen, in words.
fn because(
    config: &Config,
    route: RouteIndex,
    why: Why,
    bucket: Option<Bucket>,
    share: Percent,
) -> String {
    let entry = config.table.entry(route.extraction);
    let owner = if entry.has_shared_data {
        "monolith"
    } else {
        "owner"
    };
    let mut place = bucket.map(|bucket| bucket.to_string()).unwrap_or_default();
    let features = config.features.get(route.extraction);
    if let KeySource::Claim(name) = &features.key {
        place = format!("{place} by the claim `{name}` of its token");
    }
    match why {
        Why::Forced => "its client chose the side, with the key".to_owned(),
        Why::Flagged => format!(
            "the feature flag `{}` chose the side for its client",
            features.flag.as_deref().unwrap_or_default()
        ),
        Why::Unnamed => match &features.key {
            KeySource::Claim(name) => format!(
                "no good token with the claim `{name}` names its client, \
                         so it goes to the {owner}"
            ),
            _ => format!("nothing in it names its client, so it goes to the {owner}"),
        },
        Why::Everybody => format!("the share is {share}: everybody's goes there"),
        Why::Covered => {
            format!("its client's place, {place}, is within the share of {share}")
        }
        Why::NotCovered => {
            format!("its client's place, {place}, is not within the share of {share}")
        }
        Why::Pinned => "its client's own write has not reached the other side yet".to_owned(),
        Why::Unproven => "it brings no token of its client's own writes, \
                    so it goes to the owner"
            .to_owned(),
        Why::Newer => "its client wrote there, after a hand-over that this gateway \
                    has not heard of yet"
            .to_owned(),
    }
}

fn refused(refusal: Refusal) -> String {
    format!("{}: {refusal}", refusal.status().as_u16())
}

fn name(config: &Config, route: RouteIndex, side: protocol::Side) -> String {
    match side {
        protocol::Side::Monolith => "monolith".to_owned(),
        protocol::Side::Service => config.service(route.extraction).to_string(),
    }
}
