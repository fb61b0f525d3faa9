//! Unsafe requests of an extraction: to the owner, or held, or refused; where
//! both sides share the data, to the side that the split chooses.
//!
//! The order matters and is this: read the body (bounded; until it is here, or it
//! says that it is too large for that, the request is nowhere); look at the routing; hold if it says so, and look
//! again; then, without an await in between, enter the write into the ledger of
//! those in flight and into its client's pin; then send it. Once sent it is
//! seen through to its answer, though its client may go: only then it leaves
//! the ledger, and its pin can be settled.
//!
//! Where data are shared there is no pin, and what cannot be sent to the service,
//! not a byte of it, goes to the monolith, which may write, too. Never the other
//! way round: a service at 0 % gets nothing.

use super::{
    buffering,
    caller::{Caller, Client},
    choose::{choosing, client_of},
    forward::{SeenThrough, Terms, first_byte, forward},
    outcome::Outcome,
    read_your_writes::wait::Wait,
    replayable::{self, is_idempotent},
    resend::{self, Sends},
    side_request::SideRequest,
};
use crate::{
    base::{
        deadline::timeout,
        headers::client_address,
        index::{ExtractionIndex, RouteIndex, UpstreamIndex},
        refusal::Refusal,
    },
    body::{
        Collected, Expecting, Inbound, RequestBody, Reserved, Whole,
        collect::{BODY_BYTES_MAX, collect},
    },
    request::shadow::writes::WriteCopy,
    routing::{
        decision::{self, Choosing, Right, WriteVerdict},
        write_token::{Origin, Token},
    },
    state::{
        hold::Held, inflight::Flight, lsn_sampler::PinnedWrite, release_order::Ordered,
        worker::Worker,
    },
    upstream::{failure::Failure, response_body::ResponseBody},
};
use http::{Request, Response, request::Parts};
use http_body::Body as _;
use plan::{MethodKind, RouteTimeouts};
use protocol::Side;
use std::{pin::pin, rc::Rc, time::Duration};
use tokio::time::Instant;

/// How long a write whose client was told that the upstream is slow goes on
/// being seen through: beyond this it is taken for failed. Longer than the
/// request timeouts of the usual application servers (gunicorn: 30 s).
const LINGER: Duration = Duration::from_mins(1);

/// A write that may be sent.
pub(crate) struct Ready {
    pub(crate) body: RequestBody,
    /// How much memory it takes while it is held, which it can be only where
    /// all of it is here.
    pub(crate) held_bytes: Option<u64>,
    reserved: Reserved,
    /// What its route says about times.
    timeouts: RouteTimeouts,
}

impl Ready {
    /// All of it is here.
    pub(crate) fn here(whole: Whole, reserved: Reserved, timeouts: RouteTimeouts) -> Self {
        Self {
            timeouts,
            held_bytes: Some(whole.len()),
            body: RequestBody::Whole(whole),
            reserved,
        }
    }
}

/// What a write of an extraction is entered in, from before it is sent until
/// nothing more comes of it: first its client's pin, then those in flight.
pub(crate) struct Entered {
    /// `None`: both sides see it at once.
    pinned: Option<PinnedWrite>,
    _flight: Flight,
    /// What its client is told of it, where clients carry that.
    token: Option<(ExtractionIndex, Token)>,
}

impl Entered {
    /// Enters an admitted write into its client's pin.
    pub(crate) fn new(
        worker: &Worker,
        route: RouteIndex,
        client: Client<'_>,
        right: Right,
        flight: Flight,
    ) -> Self {
        let Right::Owner(owner) = right else {
            return Self {
                pinned: None,
                _flight: flight,
                token: None,
            };
        };
        let entry = worker.config.table.entry(route.extraction);
        let pattern = &entry.routes[route.route].path;
        let features = worker.config.features.get(route.extraction);
        let key = features.key.find(client.key_input(), Some(pattern));
        let lsn_sampler = &worker.lsn_samplers[route.extraction.get()];
        let token = Token {
            side: owner.side,
            life: flight.life(),
            epoch: flight.epoch(),
            origin: Origin::Write,
            position: None,
        };
        let carried = worker
            .config
            .features
            .get(route.extraction)
            .token_transport
            .as_ref();
        Self {
            pinned: Some(PinnedWrite::new(lsn_sampler, owner, key)),
            _flight: flight,
            token: carried.map(|_| (route.extraction, token)),
        }
    }

    /// It never left the gateway.
    pub(crate) fn not_sent(self) {
        if let Some(pinned) = self.pinned {
            pinned.not_sent();
        }
    }
}

/// Forwards a write to its side, holds it, or refuses it.
pub(crate) async fn write(
    worker: &Rc<Worker>,
    route: RouteIndex,
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    if Expecting::is_in(parts)
        && let WriteVerdict::Refuse(refusal) = verdict(worker, route)
    {
        // No `100 Continue` for a body that would be discarded.
        return Outcome::refused(refusal);
    }
    let ready = match prepare(worker, route, parts, body, caller.admission.body_bytes()).await {
        Ok(ready) => ready,
        Err(refusal) => return Outcome::refused(refusal),
    };
    let client = caller.client(&parts.headers, &parts.uri);
    let (right, flight) = match admit(worker, route, client, ready.held_bytes).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            ready.body.discard().await;
            return Outcome::refused(refusal);
        }
    };
    let entered = Entered::new(worker, route, client, right, flight);
    let table = &worker.config.table;
    if let Some(force) = &worker.config.features.get(route.extraction).force {
        force.strip(&mut parts.headers);
    }
    let index = table.upstream(route.extraction, right.side());
    let copy = WriteCopy::of(worker, route, parts, &ready.body);
    let client = caller.client(&parts.headers, &parts.uri);
    let counted = SideRequest::sent(worker, route, (right.side(), MethodKind::Write), client);
    let request = replayable::request(parts, ready);
    let body = &request.body().body;
    let instead = resend::unsent_write_to_monolith(right, body.is_whole())
        .then(|| body.whole())
        .flatten()
        .map(|body| replayable::head(&request).map(|()| body));
    let entered = vec![entered];
    let unsent = match try_to_send(worker, index, entered, request, copy, caller, counted).await {
        Ok(outcome) => return outcome,
        Err(unsent) => unsent,
    };
    match instead {
        None => unsent.give_up(index),
        // Seldom, and large.
        Some(request) => Box::pin(send_instead(worker, route, request, unsent, caller)).await,
    }
}

/// Sends to the monolith what could not be sent to the service.
async fn send_instead(
    worker: &Rc<Worker>,
    route: RouteIndex,
    request: Request<Whole>,
    unsent: Unsent,
    caller: Caller<'_>,
) -> Outcome {
    let service = worker.config.service(route.extraction);
    worker.state.metrics.fallback(service);
    let Unsent {
        entered,
        reserved,
        copy,
        ..
    } = unsent;
    let timeouts = worker.config.table.entry(route.extraction).routes[route.route].timeouts;
    let request = request.map(|body| Ready::here(body, reserved, timeouts));
    let index = UpstreamIndex::MONOLITH;
    send(worker, index, entered.again(), request, copy, caller).await
}

/// A write of which not a byte left the gateway.
struct Unsent {
    refusal: Refusal,
    entered: Untouched,
    reserved: Reserved,
    copy: Option<WriteCopy>,
}

impl Unsent {
    fn give_up(self, index: UpstreamIndex) -> Outcome {
        Outcome::at(index.side(), Err(self.refusal))
    }
}

/// What a write was entered in that was not sent. Dropped, it never will be.
struct Untouched(Vec<Entered>);

impl Untouched {
    fn again(mut self) -> Vec<Entered> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Untouched {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Entered::not_sent);
    }
}

/// Sends an admitted write, and sees it through.
pub(crate) async fn send(
    worker: &Rc<Worker>,
    index: UpstreamIndex,
    entered: Vec<Entered>,
    request: Request<Ready>,
    copy: Option<WriteCopy>,
    caller: Caller<'_>,
) -> Outcome {
    let counted = SideRequest::UNCOUNTED;
    let sent = try_to_send(worker, index, entered, request, copy, caller, counted).await;
    sent.unwrap_or_else(|unsent| unsent.give_up(index))
}

/// The same, but what was not sent comes back.
async fn try_to_send(
    worker: &Rc<Worker>,
    index: UpstreamIndex,
    entered: Vec<Entered>,
    request: Request<Ready>,
    copy: Option<WriteCopy>,
    caller: Caller<'_>,
    counted: SideRequest,
) -> Result<Outcome, Unsent> {
    let (parts, ready) = request.into_parts();
    let (progress, timeouts) = (ready.body.progress(), ready.timeouts);
    let upstream = worker.config.upstreams.get(index);
    let sends = Sends::of(
        is_idempotent(upstream, &parts.headers),
        ready.body.is_whole(),
    );
    let mut request = Request::from_parts(parts, ready.body);
    caller.goes_to(index.side());
    let begun = Instant::now();
    let tokens: Vec<_> = entered.iter().filter_map(|one| one.token).collect();
    let seen_through = SeenThrough::new({
        let (worker, own) = (Rc::clone(worker), caller.own().cloned());
        let interim = caller.interim();
        async move {
            let terms = Terms {
                sends,
                linger: Some(LINGER),
                timeouts: &timeouts,
                own: own.as_ref(),
                interim: interim.as_deref(),
            };
            let answer = forward(&worker, index, &mut request, terms).await;
            if let Err(Failure::NotSent(refusal)) = answer {
                return Err(Unsent {
                    refusal,
                    entered: Untouched(entered),
                    reserved: ready.reserved,
                    copy,
                });
            }
            drop(entered);
            drop::<Reserved>(ready.reserved);
            if let (Some(copy), Ok(response)) = (copy, &answer) {
                copy.send(response.status());
            }
            Ok(answer.map_err(Failure::refusal))
        }
    });
    let patience = timeouts.over(upstream.timeouts);
    let mut answer = first_byte(patience, begun, progress.as_ref(), pin!(seen_through)).await;
    counted.ended(match &mut answer {
        None => Err(Failure::Sent(Refusal::Slow)),
        Some(Err(unsent)) => Err(Failure::NotSent(unsent.refusal)),
        Some(Ok(Err(refusal))) => Err(Failure::Sent(*refusal)),
        Some(Ok(Ok(response))) => Ok(response),
    });
    let answer = answer.transpose()?;
    for (extraction, token) in tokens {
        tell(worker, extraction, token, caller, answer.as_ref()).await;
    }
    let answer = answer.unwrap_or(Err(Refusal::Slow));
    Ok(Outcome::at(index.side(), answer))
}

/// Finds out where a write lies, once its answer is here, for the token that
/// goes with that. Where it cannot be found out in time, the token says so.
async fn tell(
    worker: &Worker,
    extraction: ExtractionIndex,
    token: Token,
    caller: Caller<'_>,
    answer: Option<&Result<Response<ResponseBody>, Refusal>>,
) {
    let Some(tokens) = caller.tokens else { return };
    let position = match answer {
        // It may have its effect any time: no position lies behind that.
        None | Some(Err(_)) => None,
        Some(Ok(_)) => {
            let sample = worker.lsn_samplers[extraction.get()].position(token.side);
            let bound = worker.config.settings.pin_wait;
            timeout(bound, sample).await.ok().and_then(Result::ok)
        }
    };
    tokens.wrote(extraction, Token { position, ..token });
}

/// Reads a body: into memory, into a file, or up to what is passed on as it comes.
/// `demanded` is the largest that its policies allow.
async fn prepare(
    worker: &Worker,
    route: RouteIndex,
    parts: &Parts,
    body: Inbound,
    demanded: Option<u64>,
) -> Result<Ready, Refusal> {
    let (extraction, at) = (route.extraction, route.route);
    let chosen = &worker.config.table.entry(extraction).routes[at];
    let here = |whole, reserved| Ready::here(whole, reserved, chosen.timeouts);
    let body = match body {
        Inbound::Unread(body) => body,
        Inbound::Collected(whole, reserved) => return Ok(here(whole, reserved)),
    };
    let has_length = body.size_hint().exact().is_some();
    let intake = worker.intake(&chosen.timeouts, demanded);
    let (begun, is_crowded) = match collect(body, BODY_BYTES_MAX, intake).await? {
        Collected::Whole(whole, reserved) => return Ok(here(whole, reserved)),
        Collected::Large(begun) => (begun, false),
        Collected::Crowded(begun) => (begun, true),
    };
    let sides = Side::BOTH.map(|side| worker.config.table.upstream(extraction, side));
    let is_kept = if has_length {
        is_crowded
    } else {
        buffering::is_due(worker, chosen.buffers, &sides, &parts.headers)
    };
    let (body, reserved) = if is_kept {
        begun.spool(intake, client_address(&parts.headers)).await?
    } else if is_crowded {
        return Err(Refusal::BuffersFull);
    } else {
        begun.stream(&intake.client)
    };
    Ok(Ready {
        body,
        held_bytes: is_kept.then_some(0),
        reserved,
        timeouts: chosen.timeouts,
    })
}

fn verdict(worker: &Worker, route: RouteIndex) -> WriteVerdict {
    let state = &worker.state;
    let routing_state = state.snapshot.load().routing_state(route.extraction);
    // Who the client is chooses a side, and refuses nothing.
    decision::write(routing_state, state.lease(), Choosing::default)
}

/// Waits until a write may be sent, and enters it into those in flight.
pub(crate) async fn admit(
    worker: &Worker,
    route: RouteIndex,
    client: Client<'_>,
    held_bytes: Option<u64>,
) -> Result<(Right, Flight), Refusal> {
    let state = &worker.state;
    let extraction = route.extraction;
    let ledger = &state.extraction(extraction).ledger;
    let wait = Wait::new(worker);
    let mut held: Option<Held> = None;
    let order = &state.release_order;
    let own = || client_of(&worker.config, route, client).map(|own| vec![own]);
    // Dropped last: the next one of its client goes when this one is in flight.
    let mut ordered: Option<Ordered> = None;
    loop {
        let routing_state = state.snapshot.load().routing_state(extraction);
        let choosing = || choosing(&worker.config, route, client);
        match decision::write(routing_state, state.lease(), choosing) {
            WriteVerdict::Refuse(refusal) => return Err(refusal),
            WriteVerdict::Hold if worker.is_stopping() => return Err(Refusal::Stopping),
            WriteVerdict::Hold => {
                let bytes = held_bytes.ok_or_else(|| ledger.refuse(Refusal::HoldTooLarge))?;
                let queue = &worker.queues[extraction.get()];
                let place = match held.take() {
                    Some(place) => place,
                    None => Held::new(queue, ledger, bytes)?,
                };
                ordered = ordered.or_else(|| own().map(|own| order.enter(own)));
                place.wait().await?;
                held = Some(place);
            }
            WriteVerdict::Forward(right) => {
                if ordered.is_none() && !order.is_empty() {
                    let behind = own().filter(|own| order.has(own));
                    ordered = behind.map(|own| order.enter(own));
                }
                if let Some(ordered) = ordered.as_ref().filter(|one| !one.is_first()) {
                    let left = held.as_ref().map_or(ledger.age_max(), Held::age_left);
                    let first = timeout(left, ordered.first()).await;
                    first.map_err(|_| ledger.refuse(Refusal::HoldTooOld))?;
                    continue;
                }
                let debts = if right.is_on_monolith_data() {
                    wait.debts(worker, client)
                } else {
                    Vec::new()
                };
                if !debts.is_empty() {
                    wait.paid(worker, client.caller.tokens, debts).await?;
                    continue;
                }
                if let Some(place) = held {
                    place.release();
                }
                return Ok((right, worker.inflight.enter(route, routing_state)));
            }
        }
    }
}
