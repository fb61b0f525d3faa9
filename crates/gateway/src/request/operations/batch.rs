//! Writes of several places in one request: to the one owner of all of them,
//! held while any of them is, in flight in every one.

use crate::{
    base::{
        deadline::timeout,
        index::{Place, RouteIndex, UpstreamIndex},
        refusal::Refusal,
    },
    request::{
        caller::Client,
        choose::{choosing, client_of},
        read_your_writes::wait::Wait,
    },
    routing::{
        decision::{self, Right, WriteVerdict},
        operations::parts::{self, Choice, Way},
        snapshot::{RoutingState, Snapshot},
    },
    state::{config::Config, hold::Held, inflight::Flight, release_order::Ordered, worker::Worker},
};
use protocol::Side;

/// A request that may be sent.
pub(crate) struct Admitted {
    pub(crate) way: Way,
    /// By the extractions that it writes to.
    pub(crate) rights: Vec<(RouteIndex, Right, Flight)>,
}

/// What the routing says of all places together.
pub(crate) enum BatchVerdict {
    Forward(Way, Vec<(RouteIndex, Right, RoutingState)>),
    Hold(RouteIndex),
}

/// Waits until writes of these places may be sent, and enters them into those
/// in flight: all at once, without an await between that and the look at the
/// routing. Each extraction's hold holds it, and keeps its place there until it
/// is sent.
pub(crate) async fn admit(
    worker: &Worker,
    places: &[Place],
    client: Client<'_>,
    held_bytes: Option<u64>,
) -> Result<Admitted, Refusal> {
    let state = &worker.state;
    let wait = Wait::new(worker);
    let mut held: Vec<(RouteIndex, Held)> = Vec::new();
    let order = &state.release_order;
    let clients = || {
        let own = |place: &Place| match place {
            Place::Extraction(route) => client_of(&worker.config, *route, client),
            Place::Route(_) | Place::Elsewhere => None,
        };
        places.iter().filter_map(own).collect::<Vec<_>>()
    };
    let mut ordered: Option<Ordered> = None;
    loop {
        let verdict = verdict(&worker.config, &state.snapshot.load(), places, client)?;
        match verdict {
            BatchVerdict::Hold(_) if worker.is_stopping() => return Err(Refusal::Stopping),
            BatchVerdict::Hold(route) => {
                let own = held.iter().position(|(own, _)| *own == route);
                let at = if let Some(at) = own {
                    at
                } else {
                    let ledger = &state.extraction(route.extraction).ledger;
                    let bytes = held_bytes.ok_or_else(|| ledger.refuse(Refusal::HoldTooLarge))?;
                    let queue = &worker.queues[route.extraction.get()];
                    held.push((route, Held::new(queue, ledger, bytes)?));
                    held.len() - 1
                };
                ordered.get_or_insert_with(|| order.enter(clients()));
                held[at].1.wait().await?;
            }
            BatchVerdict::Forward(way, rights) => {
                if ordered.is_none() && !order.is_empty() {
                    let behind = Some(clients()).filter(|own| order.has(own));
                    ordered = behind.map(|own| order.enter(own));
                }
                if let Some(ordered) = ordered.as_ref().filter(|one| !one.is_first())
                    && let Some(ledger) = rights
                        .iter()
                        .map(|(route, ..)| &state.extraction(route.extraction).ledger)
                        // Shared data are never held, and have no bound of their own.
                        .max_by_key(|ledger| ledger.age_max())
                {
                    let left = held.iter().map(|(_, held)| held.age_left()).min();
                    let first = timeout(left.unwrap_or(ledger.age_max()), ordered.first()).await;
                    first.map_err(|_| ledger.refuse(Refusal::HoldTooOld))?;
                    continue;
                }
                let is_there = |(_, right, _): &(_, Right, _)| right.is_on_monolith_data();
                if way.upstream == UpstreamIndex::MONOLITH || rights.iter().any(is_there) {
                    let debts = wait.debts(worker, client);
                    if !debts.is_empty() {
                        wait.paid(worker, client.caller.tokens, debts).await?;
                        continue;
                    }
                }
                for (_, place) in held {
                    place.release();
                }
                let enter = |(route, right, routing_state): (RouteIndex, _, _)| {
                    let flight = worker.inflight.enter(route, routing_state);
                    (route, right, flight)
                };
                let rights = rights.into_iter().map(enter).collect();
                return Ok(Admitted { way, rights });
            }
        }
    }
}

/// Looks at the routing of all places at once.
pub(crate) fn verdict(
    config: &Config,
    snapshot: &Snapshot,
    places: &[Place],
    client: Client<'_>,
) -> Result<BatchVerdict, Refusal> {
    let (table, lease) = (&config.table, config.state.lease());
    let (mut choices, mut rights, mut holding) = (Vec::new(), Vec::new(), None);
    for place in places {
        let Place::Extraction(route) = *place else {
            choices.extend(Way::fixed(table, *place).map(Choice::only));
            continue;
        };
        let routing_state = snapshot.routing_state(route.extraction);
        match decision::write(routing_state, lease, || choosing(config, route, client)) {
            WriteVerdict::Refuse(refusal) => return Err(refusal),
            WriteVerdict::Hold => holding = holding.or(Some(route)),
            WriteVerdict::Forward(right) => {
                let way = |side| Way::to_side(table, route.extraction, side);
                choices.push(Choice {
                    preferred: way(right.side()),
                    also: match right {
                        Right::Owner(_) => None,
                        // It may write them, too.
                        Right::SharedData(_) => Some(way(Side::Monolith)),
                    },
                });
                rights.push((route, right, routing_state));
            }
        }
    }
    Ok(match holding {
        Some(route) => BatchVerdict::Hold(route),
        None => BatchVerdict::Forward(parts::in_common(&choices)?, rights),
    })
}
