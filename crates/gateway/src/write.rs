//! Unsafe requests of an extraction: to the owner, or held, or refused.
//!
//! The order matters and is this: read the body (bounded; until it is here the
//! request is nowhere); look at the routing; hold if it says so, and look
//! again; then, without an await in between, enter the write into the ledger of
//! those in flight and into its client's pin; then send it. Once sent it is
//! seen through to its answer, though its client may go: only then it leaves
//! the ledger, and its pin can be settled.

use crate::{
    answer::Refusal,
    body::{Collected, Expecting, Inbound, RequestBody, Reserved, ResponseBody, Whole, collect},
    caller::Caller,
    client::Client,
    deadline::timeout,
    decision::{self, WriteVerdict},
    forward::{Failure, SeenThrough, first_byte, forward},
    hold::Held,
    inflight::Flight,
    repeat::{self, Sends, is_idempotent},
    serve::Outcome,
    settle::PinnedWrite,
    shadow::WriteCopy,
    snapshot::Ownership,
    stay::{self, Wait},
    table::{ExtractionIndex, RouteIndex, UpstreamIndex},
    worker::Worker,
    write_token::{Origin, Token},
};
use http::{Request, Response, request::Parts};
use protocol::Side;
use std::{pin::pin, rc::Rc, time::Duration};
use tokio::time::Instant;

/// The largest body that is read before its request is sent, and so the
/// largest that can be held. Forms and JSON documents are far smaller; a larger
/// one is an upload, which is passed on as it comes.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// How long a write whose client was told that the upstream is slow goes on
/// being seen through: beyond this it is taken for failed. Longer than the
/// request timeouts of the usual application servers (gunicorn: 30 s).
const LINGER: Duration = Duration::from_mins(1);

/// A write that may be sent.
pub(crate) struct Ready {
    pub(crate) body: RequestBody,
    /// Its size, where all of it is here: only then it can be held.
    pub(crate) held_bytes: Option<u64>,
    reserved: Reserved,
}

impl Ready {
    /// All of it is here.
    pub(crate) fn here(whole: Whole, reserved: Reserved) -> Self {
        Self {
            held_bytes: Some(whole.len()),
            body: RequestBody::Whole(whole),
            reserved,
        }
    }
}

/// What a write of an extraction is entered in, from before it is sent until
/// nothing more comes of it: first its client's pin, then those in flight.
pub(crate) struct Entered {
    pinned: PinnedWrite,
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
        owner: Ownership,
        flight: Flight,
    ) -> Self {
        let entry = worker.setup.table.entry(route.extraction);
        let key = entry
            .key
            .find(client, Some(&entry.routes[route.route].path));
        let settler = &worker.settlers[route.extraction.get()];
        let token = Token {
            side: owner.side,
            epoch: flight.epoch(),
            origin: Origin::Write,
            position: None,
        };
        let carried = entry.carrier.as_ref();
        Self {
            pinned: PinnedWrite::new(settler, owner, key),
            _flight: flight,
            token: carried.map(|_| (route.extraction, token)),
        }
    }

    /// It never left the gateway.
    pub(crate) fn not_sent(self) {
        self.pinned.not_sent();
    }
}

/// Forwards a write to the owner, holds it, or refuses it.
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
        // Asking for a body to refuse it helps nobody.
        return Outcome::refused(refusal);
    }
    let ready = match prepare(worker, body).await {
        Ok(ready) => ready,
        Err(refusal) => return Outcome::refused(refusal),
    };
    let client = caller.client(&parts.headers, &parts.uri);
    let (owner, flight) = match admit(worker, route, client, ready.held_bytes).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            ready.body.discard().await;
            return Outcome::refused(refusal);
        }
    };
    let entered = Entered::new(worker, route, client, owner, flight);
    let table = &worker.setup.table;
    if let Some(force) = &table.entry(route.extraction).force {
        force.strip(&mut parts.headers);
    }
    let index = table.upstream(route.extraction, owner.side);
    let copy = WriteCopy::of(worker, route, parts, &ready.body);
    let request = repeat::request(parts, ready);
    send(worker, index, vec![entered], request, copy, caller).await
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
    let (parts, ready) = request.into_parts();
    let progress = ready.body.progress();
    let upstream = worker.setup.upstreams.get(index);
    let sends = Sends::of(&ready.body, is_idempotent(upstream, &parts.headers));
    let mut request = Request::from_parts(parts, ready.body);
    let begun = Instant::now();
    let tokens: Vec<_> = entered.iter().filter_map(|one| one.token).collect();
    let seen_through = SeenThrough::new({
        let worker = Rc::clone(worker);
        async move {
            let linger = Some(LINGER);
            let answer = forward(&worker, index, &mut request, sends, linger).await;
            if let Err(Failure::NotSent(_)) = answer {
                entered.into_iter().for_each(Entered::not_sent);
            } else {
                drop(entered);
            }
            drop::<Reserved>(ready.reserved);
            if let (Some(copy), Ok(response)) = (copy, &answer) {
                copy.send(response.status());
            }
            answer
        }
    });
    let answer = first_byte(upstream, begun, progress.as_ref(), pin!(seen_through)).await;
    for (extraction, token) in tokens {
        tell(worker, extraction, token, caller, answer.as_ref()).await;
    }
    let answer = match answer {
        Some(answer) => answer.map_err(Failure::refusal),
        None => Err(Refusal::Slow),
    };
    Outcome::at(stay::side(index), answer)
}

/// Finds out where a write lies, once its answer is here, for the token that
/// goes with that. Where it cannot be found out in time, the token says so.
async fn tell(
    worker: &Worker,
    extraction: ExtractionIndex,
    token: Token,
    caller: Caller<'_>,
    answer: Option<&Result<Response<ResponseBody>, Failure>>,
) {
    let Some(told) = caller.told else { return };
    let position = match answer {
        Some(Err(Failure::NotSent(_))) => return,
        // It may have its effect any time: no position lies behind that.
        None | Some(Err(Failure::Sent(_))) => None,
        Some(Ok(_)) => {
            let sample = worker.settlers[extraction.get()].position(token.side);
            let bound = worker.setup.settings.pin_wait;
            timeout(bound, sample).await.ok().and_then(Result::ok)
        }
    };
    told.wrote(extraction, Token { position, ..token });
}

async fn prepare(worker: &Worker, body: Inbound) -> Result<Ready, Refusal> {
    let body = match body {
        Inbound::Coming(body) => body,
        Inbound::Here(whole, reserved) => return Ok(Ready::here(whole, reserved)),
    };
    let client = &worker.setup.settings.client;
    let collected = collect(body, BODY_BYTES_MAX, client, &worker.buffers).await?;
    Ok(match collected {
        Collected::Whole(whole, reserved) => Ready::here(whole, reserved),
        Collected::Large(begun, rest, reserved) => Ready {
            body: RequestBody::stream(begun, rest, client),
            held_bytes: None,
            reserved,
        },
    })
}

fn verdict(worker: &Worker, route: RouteIndex) -> WriteVerdict {
    let shared = &worker.shared;
    let standing = shared.snapshot.load().standing(route.extraction);
    decision::write(standing, shared.lease())
}

/// Waits until a write may be sent, and enters it into those in flight.
pub(crate) async fn admit(
    worker: &Worker,
    route: RouteIndex,
    client: Client<'_>,
    held_bytes: Option<u64>,
) -> Result<(Ownership, Flight), Refusal> {
    let shared = &worker.shared;
    let extraction = route.extraction;
    let ledger = &shared.extraction(extraction).ledger;
    let wait = Wait::new(worker);
    let mut held: Option<Held> = None;
    loop {
        let standing = shared.snapshot.load().standing(extraction);
        match decision::write(standing, shared.lease()) {
            WriteVerdict::Refuse(refusal) => return Err(refusal),
            WriteVerdict::Hold if worker.is_stopping() => return Err(Refusal::Stopping),
            WriteVerdict::Hold => {
                let bytes = held_bytes.ok_or_else(|| ledger.refuse(Refusal::HoldTooLarge))?;
                let queue = &worker.queues[extraction.get()];
                let place = match held.take() {
                    Some(place) => place,
                    None => Held::new(queue, ledger, bytes)?,
                };
                place.wait().await?;
                held = Some(place);
            }
            WriteVerdict::Forward(owner) => {
                let debts = match owner.side {
                    Side::Monolith => stay::debts(worker, client),
                    Side::Service => Vec::new(),
                };
                if !debts.is_empty() {
                    wait.paid(worker, client.caller.told, debts).await?;
                    continue;
                }
                if let Some(place) = held {
                    place.release();
                }
                return Ok((owner, worker.inflight.enter(extraction, standing)));
            }
        }
    }
}
