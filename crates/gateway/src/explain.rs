//! What would become of a request, for people who ask.

use crate::{
    answer::Refusal,
    caller::{Caller, Told},
    client::KeySource,
    cohort::Bucket,
    decision::{self, Asking, ReadVerdict, Why, WriteVerdict},
    peer::Peer,
    read::chosen,
    serve,
    setup::Setup,
    table::{Place, RouteIndex},
    target::{BadTarget, Target},
};
use http::{Request, request::Parts};
use plan::{MethodKind, Percent};
use serde::Serialize;
use std::net::IpAddr;

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

/// All routes, in the order in which they are tried.
pub(crate) fn routes(setup: &Setup) -> Vec<RouteReport> {
    let table = &setup.table;
    let report = |(route, place): (&plan::Route, Place)| RouteReport {
        matches: route.to_string(),
        belongs_to: belongs_to(setup, place),
        to: match place {
            Place::Extraction(found) => {
                format!("monolith | {}", table.entry(found.extraction).service)
            }
            Place::Route(stay) => table.stay(stay).route.to.to_string(),
            Place::Elsewhere => "monolith".to_owned(),
        },
    };
    table.ranked().map(report).collect()
}

/// Decides a request without sending it. The error says what is wrong with it.
pub(crate) fn explain(
    setup: &Setup,
    request: Request<()>,
    address: IpAddr,
) -> Result<Explanation, String> {
    let (mut parts, ()) = request.into_parts();
    let peer = Peer::new(Some(address), crate::peer::Scheme::Plain);
    let place = serve::addressed(setup, &mut parts).map_err(|refusal| match refusal {
        Refusal::BadTarget(BadTarget::Ambiguous) => {
            let reading = Target::read(parts.uri.path()).ok();
            let reading = reading.and_then(|target| target.lenient);
            format!(
                "400: {refusal}: as {}",
                reading.as_deref().unwrap_or_default()
            )
        }
        other => format!("{}: {other}", other.status().as_u16()),
    })?;
    let kind = setup.table.kind(place, parts.method.as_str());
    let (to, why) = match place {
        Place::Elsewhere => (
            Some("monolith".to_owned()),
            "no route matches, so it stays with the monolith".to_owned(),
        ),
        Place::Route(stay) => {
            let stay = setup.table.stay(stay);
            let why = match stay.rewritten(parts.uri.path()) {
                Some(path) => format!("its route says so; the path becomes {path}"),
                None => "its route says so".to_owned(),
            };
            (Some(stay.route.to.to_string()), why)
        }
        Place::Extraction(route) if kind == MethodKind::Write => write(setup, route),
        Place::Extraction(route) => read(setup, route, &parts, &peer),
    };
    let route = match place {
        Place::Extraction(found) => Some(&setup.table.entry(found.extraction).routes[found.route]),
        Place::Route(stay) => Some(&setup.table.stay(stay).route.route),
        Place::Elsewhere => None,
    };
    Ok(Explanation {
        route: route.map(ToString::to_string),
        belongs_to: belongs_to(setup, place),
        kind: match kind {
            MethodKind::Read => "read",
            MethodKind::Write => "write",
        },
        to,
        why,
    })
}

fn belongs_to(setup: &Setup, place: Place) -> String {
    match place {
        Place::Extraction(found) => {
            format!("extraction {}", setup.table.entry(found.extraction).name)
        }
        Place::Route(stay) => format!("route {}", setup.table.stay(stay).route.name),
        Place::Elsewhere => "none".to_owned(),
    }
}

fn write(setup: &Setup, route: RouteIndex) -> (Option<String>, String) {
    let standing = setup.shared.snapshot.load().standing(route.extraction);
    match decision::write(standing, setup.shared.lease()) {
        WriteVerdict::Forward(owner) => (
            Some(name(setup, route, owner.side)),
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

fn read(setup: &Setup, route: RouteIndex, parts: &Parts, peer: &Peer) -> (Option<String>, String) {
    let entry = setup.table.entry(route.extraction);
    let admission = setup.access.vouched(Place::Extraction(route), parts);
    let caller = Caller {
        peer,
        admission: &admission,
        told: None,
    };
    let client = caller.client(&parts.headers, &parts.uri);
    let key = entry
        .key
        .find(client, Some(&entry.routes[route.route].path));
    let forced = chosen(setup, route, client.headers, key);
    let pins = &setup.shared.extraction(route.extraction).pins;
    let pinned = |owner| pins.bind(owner, key.map(|key| pins.client(key)));
    let standing = setup.shared.snapshot.load().standing(route.extraction);
    let shown = Told::shown(None, setup, route.extraction, client.headers);
    let bond = shown.bond(standing, |side| pins.applied(side));
    let asking = Asking { key, forced, bond };
    match decision::read(standing, setup.shared.lease(), &entry.name, asking, pinned) {
        Err(refusal) => (None, refused(refusal)),
        Ok(ReadVerdict { side, why, .. }) => {
            let share = standing
                .routing()
                .map_or(Percent::ZERO, |routing| routing.reads);
            let bucket = key.map(|key| Bucket::of(&entry.name, key).to_string());
            let mut bucket = bucket.unwrap_or_default();
            if let KeySource::Claim(name) = &entry.key {
                bucket = format!("{bucket} by the claim `{name}` of its token");
            }
            let why = match why {
                Why::Forced => "its client chose the side, with the key".to_owned(),
                Why::Flagged => format!(
                    "the feature flag `{}` chose the side for its client",
                    entry.flag.as_deref().unwrap_or_default()
                ),
                Why::Unnamed => match &entry.key {
                    KeySource::Claim(name) => format!(
                        "no good token with the claim `{name}` names its client, \
                         so it goes to the owner"
                    ),
                    _ => "nothing in it names its client, so it goes to the owner".to_owned(),
                },
                Why::Covered => {
                    format!("its client's place, {bucket}, is within the share of {share}")
                }
                Why::NotCovered => {
                    format!("its client's place, {bucket}, is not within the share of {share}")
                }
                Why::Pinned => {
                    "its client's own write has not reached the other side yet".to_owned()
                }
                Why::Unproven => "it brings no token of its client's own writes, \
                    so it goes to the owner"
                    .to_owned(),
                Why::Newer => "its client wrote there, after a hand-over that this gateway \
                    has not heard of yet"
                    .to_owned(),
            };
            (Some(name(setup, route, side)), why)
        }
    }
}

fn refused(refusal: Refusal) -> String {
    format!("{}: {refusal}", refusal.status().as_u16())
}

fn name(setup: &Setup, route: RouteIndex, side: protocol::Side) -> String {
    match side {
        protocol::Side::Monolith => "monolith".to_owned(),
        protocol::Side::Service => setup.service(route.extraction).to_string(),
    }
}
