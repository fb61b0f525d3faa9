//! Upgraded connections: WebSocket and whatever else an `Upgrade` asks for.
//!
//! The request goes to the upstream over a connection of its own. Once the
//! upstream has switched, the client's connection stops speaking HTTP and its
//! task goes on as a [`Tunnel`], which copies bytes both ways.
//!
//! What passes through a tunnel may be writes. So on a route of an extraction
//! it goes where its client's writes go, is in flight until it is closed, and is
//! closed as soon as they no longer do: at a hold, a switch, the lease's end.
//! The client connects again and is then held like any write. What was written
//! through a tunnel is not known one by one, so no pin follows from it. Where
//! operations share a path, it may carry all of them, and needs all owners to be
//! one.

use super::{
    caller::Caller,
    choose::choosing,
    old_way,
    operations::batch::{self, Admitted},
    outcome::Outcome,
    passthrough, replayable,
    tunnel::{Grant, Granted, Tunnel},
};
use crate::{
    base::{
        deadline::timeout,
        headers::CORRELATION_ID,
        hop_by_hop::write_upgrade,
        index::{Place, UpstreamIndex},
        refusal::Refusal,
    },
    body::{Incoming, RequestBody},
    state::worker::Worker,
    transport::socket::Wire,
    upstream::{
        balance::Tried, body_timeout::BodyTimeout, failure::Failure, http1::UpstreamConnection,
        local::Local, own_connections::Return, response_body::ResponseBody,
    },
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header, request::Parts};
use http_body::Body as _;
use plan::{RouteTimeouts, Timeouts};
use protocol::Side;
use std::rc::Rc;
use tokio::time::Instant;

/// The protocol that a request asks to switch to.
pub(crate) struct UpgradeProtocol(HeaderValue);

/// The protocol that a request asks for, where it may be passed on: HTTP/1.1
/// only, and without a body, for which nobody knows which protocol it is in. A
/// GET only, as RFC 6455 wants it: an upstream may decline and do what it was
/// asked for, and a write must be known as one.
/// Those that are versions of HTTP or its transport are between the client and
/// the gateway, and are not offered.
pub(crate) fn asked(parts: &Parts, body: &Incoming) -> Option<UpgradeProtocol> {
    if parts.method != Method::GET
        || !parts.headers.contains_key(header::UPGRADE)
        || parts.version != Version::HTTP_11
        || !body.is_end_stream()
        || !is_named(&parts.headers)
    {
        return None;
    }
    let mut asked = parts.headers.get_all(header::UPGRADE).iter();
    let (protocol, None) = (asked.next()?, asked.next()) else {
        return None;
    };
    let text = protocol.to_str().ok()?.to_ascii_lowercase();
    let ours = |name: &str| {
        let name = name.trim();
        name.is_empty() || name == "h2c" || name.starts_with("http/") || name.starts_with("tls/")
    };
    (!text.split(',').any(ours)).then(|| UpgradeProtocol(protocol.clone()))
}

/// Whether `Connection` names the upgrade, without which there is none.
fn is_named(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// Sends an upgrade to the monolith, or to the owner of the route. The tunnel
/// is left with the client's connection.
pub(crate) async fn upgrade(
    worker: &Worker,
    caller: Caller<'_>,
    places: &[Place],
    asked: UpgradeProtocol,
    parts: &mut Parts,
) -> Outcome {
    let UpgradeProtocol(protocol) = asked;
    for place in places {
        if let Err(refusal) = old_way::pass(worker, *place, parts) {
            return Outcome::refused(refusal);
        }
    }
    let (side, upstream, grant) = match admit(worker, caller, places, parts).await {
        Ok(admitted) => admitted,
        Err(refusal) => return Outcome::refused(refusal),
    };
    write_upgrade(&mut parts.headers, protocol.clone());
    let local = worker.upstreams.get(upstream);
    let timeouts = timeouts(worker, places).over(local.upstream.timeouts);
    let permit = match local.pass(std::time::Instant::now()) {
        Ok(permit) => permit,
        Err(after) => return Outcome::at(side, Err(Refusal::breaker_open(after))),
    };
    caller.goes_to(side);
    let answer = timeout(
        timeouts.first_byte,
        exchange(worker, local, timeouts, parts),
    )
    .await;
    if let Some(permit) = permit {
        // How long the tunnel then lasts says nothing about the upstream.
        permit.end(match &answer {
            Ok(Ok(UpgradeAnswer::Switched(..))) => false,
            Ok(Ok(UpgradeAnswer::Declined(response))) => local.is_failure(response.status()),
            Ok(Err(_)) | Err(_) => true,
        });
    }
    let answer = match answer.ok() {
        None => Err(Refusal::Slow),
        Some(Err(failure)) => Err(failure.refusal()),
        Some(Ok(UpgradeAnswer::Declined(response))) => Ok(response),
        Some(Ok(UpgradeAnswer::Switched(response, upstream))) => {
            let chosen = response.headers().get(header::UPGRADE);
            match caller.connection {
                Some(connection) if chosen.is_some_and(|chosen| is_one_of(chosen, &protocol)) => {
                    let silence = timeouts.stream;
                    connection.tunnel.leave(Tunnel {
                        upstream,
                        grant,
                        silence,
                    });
                    Ok(response)
                }
                _ => Err(Refusal::BadAnswer),
            }
        }
    };
    Outcome::at(side, answer)
}

fn is_one_of(chosen: &HeaderValue, asked: &HeaderValue) -> bool {
    let chosen = chosen.as_bytes().trim_ascii();
    asked
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(chosen))
}

async fn admit(
    worker: &Worker,
    caller: Caller<'_>,
    places: &[Place],
    parts: &mut Parts,
) -> Result<(Side, UpstreamIndex, Grant), Refusal> {
    let client = caller.client(&parts.headers, &parts.uri);
    let Admitted { way, rights } = batch::admit(worker, places, client, Some(0)).await?;
    let grants = rights.into_iter().map(|(route, right, flight)| Granted {
        extraction: route.extraction,
        right,
        choosing: choosing(&worker.config, route, client),
        flight,
    });
    let grant = Grant(grants.collect());
    for granted in &grant.0 {
        if let Some(force) = &worker.config.features.get(granted.extraction).force {
            force.strip(&mut parts.headers);
        }
    }
    if let Some(route) = way.redirect {
        passthrough::redirect(worker, worker.config.table.passthrough(route), parts)?;
    }
    Ok((way.upstream.side(), way.upstream, grant))
}

/// What the route says about times, where the request belongs to one.
fn timeouts<'a>(worker: &'a Worker, places: &[Place]) -> &'a RouteTimeouts {
    let table = &worker.config.table;
    match places {
        [Place::Route(route)] => &table.passthrough(*route).route.route.timeouts,
        [Place::Extraction(route)] => &table.entry(route.extraction).routes[route.route].timeouts,
        _ => &RouteTimeouts::NONE,
    }
}

/// What an upstream answered.
enum UpgradeAnswer {
    /// It speaks another protocol from now on.
    Switched(Response<ResponseBody>, Wire),
    Declined(Response<ResponseBody>),
}

/// Sends the request over a connection of its own, once.
async fn exchange(
    worker: &Worker,
    local: &Local,
    timeouts: Timeouts,
    parts: &mut Parts,
) -> Result<UpgradeAnswer, Failure> {
    let upstream = &local.upstream;
    let chosen = local.choose(&worker.upstreams.random, Tried::default());
    let instance = &upstream.instances[chosen];
    let url = &instance.url;
    let busy = local.pool.busy(chosen);
    let connecting = UpstreamConnection::connect(busy, &instance.addresses, timeouts.connect);
    let connection = connecting.await.map_err(|error| {
        let correlation_id = correlation(parts);
        tracing::warn!(upstream = %url, correlation_id, %error, "upstream not reached");
        upstream.failed(chosen);
        Failure::NotSent(Refusal::Unreachable)
    })?;
    let begun = Instant::now();
    let id = parts.headers.get(CORRELATION_ID).cloned();
    let mut request = replayable::request(parts, RequestBody::none());
    let (mut response, connection) = connection.exchange(&mut request, None).await.map_err(
        |none| {
            let error = none.error;
            let correlation_id = id.as_ref().and_then(|id| id.to_str().ok());
            tracing::warn!(upstream = %url, correlation_id, %error, "upgrade lost at the upstream");
            Failure::Sent(Refusal::Lost)
        },
    )?;
    upstream.hide(response.headers_mut());
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let body_timeout = BodyTimeout::new(begun, timeouts, &response);
        let pool = Rc::clone(&local.pool);
        let response = response.map(|body| {
            ResponseBody::upstream(body, connection, pool, body_timeout, Return::Nobody)
        });
        return Ok(UpgradeAnswer::Declined(response));
    }
    let response = response.map(|_none| ResponseBody::empty());
    Ok(UpgradeAnswer::Switched(response, connection.into_wire()))
}

fn correlation(parts: &Parts) -> Option<&str> {
    parts.headers.get(CORRELATION_ID)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_may_choose_only_what_was_asked_for() {
        let header = HeaderValue::from_static;
        assert!(is_one_of(&header("WebSocket"), &header("websocket")));
        assert!(is_one_of(&header("b"), &header("a, b")));
        assert!(!is_one_of(&header("h2c"), &header("websocket")));
        assert!(!is_one_of(&header(""), &header("websocket")));
    }

    #[test]
    fn an_upgrade_is_named_by_the_connection() {
        let headers =
            |value| HeaderMap::from_iter([(header::CONNECTION, HeaderValue::from_static(value))]);
        assert!(is_named(&headers("keep-alive, Upgrade")));
        assert!(!is_named(&headers("keep-alive")));
        assert!(!is_named(&headers("upgrades")));
    }
}
