//! Safe requests of an extraction.

use crate::{
    answer::Refusal,
    body::{Inbound, RequestBody, ResponseBody},
    caller::{Caller, Told},
    client::Client,
    decision::{self, Asking, ReadVerdict, Why},
    forward::{Failure, forward, is_gateway_error},
    repeat::{Repeatable, Sends},
    serve::Outcome,
    setup::Setup,
    shadow,
    snapshot::Standing,
    stay::{self, Wait},
    table::{RouteIndex, UpstreamIndex},
    upstream::cache::{Cache, Key},
    worker::Worker,
    write_token::Shown,
};
use http::{HeaderMap, Request, Response, request::Parts};
use plan::KindRule;
use protocol::Side;
use std::{rc::Rc, sync::Arc};

/// Sends a read to the side that the split chooses, or to the owner; and to
/// the owner where the other side fails. Where both are down, it is answered
/// by what was kept, if the plan wants that.
pub(crate) async fn read(
    worker: &Rc<Worker>,
    route: RouteIndex,
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    let wait = Wait::new(worker);
    let client = caller.client(&parts.headers, &parts.uri);
    let verdict = match verdict(worker, route, client, &wait).await {
        Ok(verdict) => verdict,
        Err(refusal) => return Outcome::refused(refusal),
    };
    if let Some(force) = &worker.setup.table.entry(route.extraction).force {
        force.strip(&mut parts.headers);
    }
    let service = worker.setup.table.upstream(route.extraction, Side::Service);
    let keeping = Keeping::of(worker, service, || {
        let entry = worker.setup.table.entry(route.extraction);
        let client = caller.client(&parts.headers, &parts.uri);
        let path = &entry.routes[route.route].path;
        Cache::key(parts, entry.key.find(client, Some(path)))
    });
    let mut request = match Repeatable::of(worker, parts, body).await {
        Ok(request) => request,
        Err(refusal) => return Outcome::refused(refusal),
    };
    let entry = worker.setup.table.entry(route.extraction);
    if entry.routes[route.route].kind == KindRule::ReadsOnce {
        // A copy would have the effect once more.
        request.sends = Sends::Once;
    } else {
        shadow::consider(worker, route, &request.request, caller);
    }
    let outcome = ask(worker, route, verdict, &mut request, caller, &wait).await;
    match keeping {
        None => outcome,
        Some(keeping) => keeping.settle(worker, &[UpstreamIndex::MONOLITH, service], outcome),
    }
}

/// Asks one side, and the owner where that fails.
async fn ask(
    worker: &Worker,
    route: RouteIndex,
    ReadVerdict { side, owner, .. }: ReadVerdict,
    Repeatable { request, sends, .. }: &mut Repeatable,
    caller: Caller<'_>,
    wait: &Wait,
) -> Outcome {
    // Asked before: what is passed on as it comes is used up.
    let is_here = request.body().whole().is_some();
    let answer = send(worker, route, side, request, *sends).await;
    let may_ask_again = match (*sends, &answer) {
        (Sends::Again, _) => true,
        // What had no effect, where it is here to be sent.
        (Sends::Once, Err(Failure::NotSent(_))) => is_here,
        (Sends::Once, _) => false,
    };
    let answer = answer.map_err(Failure::refusal);
    if side == owner || !may_ask_again || !has_failed(&answer) {
        return Outcome::at(side, answer);
    }
    drop(answer);
    let sends = *sends;
    // Seldom, and as large as all the rest.
    Box::pin(ask_owner(
        worker, route, owner, request, sends, caller, wait,
    ))
    .await
}

/// Asks the owner, since the other side has failed.
async fn ask_owner(
    worker: &Worker,
    route: RouteIndex,
    owner: Side,
    request: &mut Request<RequestBody>,
    sends: Sends,
    caller: Caller<'_>,
    wait: &Wait,
) -> Outcome {
    worker
        .shared
        .metrics
        .fallback(worker.setup.service(route.extraction));
    if owner == Side::Monolith {
        let client = caller.client(request.headers(), request.uri());
        if let Err(refusal) = wait.caught_up(worker, client).await {
            return Outcome::refused(refusal);
        }
    }
    let answer = send(worker, route, owner, request, sends).await;
    Outcome::at(owner, answer.map_err(Failure::refusal))
}

/// Decides, and waits for the client's writes in other extractions where the
/// monolith was chosen, or a service that works on the monolith's data.
async fn verdict(
    worker: &Worker,
    route: RouteIndex,
    client: Client<'_>,
    wait: &Wait,
) -> Result<ReadVerdict, Refusal> {
    loop {
        let decided = decided(&worker.setup, route, client);
        let verdict = decided.verdict?;
        if let (Why::Unproven, Some(told)) = (verdict.why, client.caller.told)
            && let Some(since) = decided.standing.decided()
        {
            told.renew(worker, route.extraction, since, decided.shown);
        }
        let has_own_data = !matches!(decided.standing, Standing::Shared { .. });
        if verdict.side == Side::Service && has_own_data {
            return Ok(verdict);
        }
        let debts = stay::debts(worker, client);
        if debts.is_empty() {
            return Ok(verdict);
        }
        // The routing may have changed meanwhile.
        Box::pin(wait.paid(worker, client.caller.told, debts)).await?;
    }
}

/// Where a read goes as things stand, and what that was decided by.
pub(crate) struct Decided<'a> {
    pub(crate) standing: Standing,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) shown: Shown,
    pub(crate) verdict: Result<ReadVerdict, Refusal>,
}

/// Decides a read by who its client is, what it or a flag has chosen, and what
/// it wrote.
pub(crate) fn decided<'a>(setup: &Setup, route: RouteIndex, client: Client<'a>) -> Decided<'a> {
    let (shared, extraction) = (&setup.shared, route.extraction);
    let entry = setup.table.entry(extraction);
    let pins = &shared.extraction(extraction).pins;
    let pattern = &entry.routes[route.route].path;
    let key = entry.key.find(client, Some(pattern));
    let standing = shared.snapshot.load().standing(extraction);
    let shown = Told::shown(client.caller.told, setup, extraction, client.headers);
    let asking = Asking {
        key,
        forced: chosen(setup, route, client.headers, key),
        bond: shown.bond(standing, |side| pins.applied(side)),
    };
    let pinned = |owner| pins.bind(owner, key.map(|key| pins.client(key)));
    let verdict = decision::read(standing, shared.lease(), &entry.name, asking, pinned);
    Decided {
        standing,
        key,
        shown,
        verdict,
    }
}

/// The side that a client chooses, or a flag for the client; and which of them.
/// The client comes first: it has a tester's key.
pub(crate) fn chosen(
    setup: &Setup,
    route: RouteIndex,
    headers: &HeaderMap,
    key: Option<&[u8]>,
) -> Option<(Side, Why)> {
    let force = setup.table.entry(route.extraction).force.as_ref();
    let forced = force.and_then(|force| force.side(headers));
    let flagged = || setup.flags.side(route.extraction, key);
    forced
        .map(|side| (side, Why::Forced))
        .or_else(|| flagged().map(|side| (side, Why::Flagged)))
}

async fn send(
    worker: &Worker,
    route: RouteIndex,
    side: Side,
    request: &mut Request<RequestBody>,
    sends: Sends,
) -> Result<Response<ResponseBody>, Failure> {
    let upstream = worker.setup.table.upstream(route.extraction, side);
    forward(worker, upstream, request, sends, None).await
}

/// Whether the other side may do better.
fn has_failed(answer: &Result<Response<ResponseBody>, Refusal>) -> bool {
    match answer {
        Err(refusal) => refusal.is_the_upstreams(),
        Ok(response) => is_gateway_error(response.status()),
    }
}

/// A request whose answer is kept, or that is answered by what was kept.
pub(crate) struct Keeping<'a> {
    cache: &'a Arc<Cache>,
    key: Key,
}

impl<'a> Keeping<'a> {
    /// Where the plan wants that for an upstream, and the request is such.
    pub(crate) fn of(
        worker: &'a Worker,
        upstream: UpstreamIndex,
        key: impl FnOnce() -> Option<Key>,
    ) -> Option<Self> {
        let cache = worker.setup.upstreams.get(upstream).cache.as_ref()?;
        let mut key = key()?;
        key.is_personal |= worker.setup.access.asks_who();
        Some(Self { cache, key })
    }

    /// Keeps a good answer; takes what was kept in place of a failure where
    /// all that could answer are down.
    pub(crate) fn settle(
        self,
        worker: &Worker,
        upstreams: &[UpstreamIndex],
        outcome: Outcome,
    ) -> Outcome {
        if has_failed(&outcome.answer) {
            let down = |index: &UpstreamIndex| worker.setup.upstreams.get(*index).is_down();
            return match self.cache.find(&self.key) {
                Some(kept) if upstreams.iter().all(down) => Outcome {
                    side: None,
                    answer: Ok(kept),
                },
                _ => outcome,
            };
        }
        match (outcome.side, outcome.answer) {
            (Some(side), Ok(response)) => {
                Outcome::at(side, Ok(self.cache.keep(self.key, side, response)))
            }
            (side, answer) => Outcome { side, answer },
        }
    }
}
