//! Requests of routes that stay with the monolith, and the wait for a client's
//! own write that they share with others.

use crate::{
    answer::Refusal,
    body::Inbound,
    caller::{Caller, Told},
    client::Client,
    forward::{Failure, forward},
    pin::Answered,
    pins::Holder,
    read::Keeping,
    repeat::{Repeatable, is_idempotent},
    serve::{Outcome, origin_form},
    table::{ExtractionIndex, Stay, StayIndex, UpstreamIndex},
    upstream::cache::Cache,
    worker::Worker,
    write_token::{Shown, Token},
};
use http::{HeaderValue, header, request::Parts};
use plan::{KindRule, MethodKind};
use protocol::Side;
use std::time::Duration;
use tokio::time::Instant;

/// Between two tries to find out where a token's write lies; a try that fails
/// at once costs nothing.
const PLACE_RETRY: Duration = Duration::from_millis(50);

/// Sends a request where its route says, else to the monolith: there, once the
/// monolith has seen what the client wrote.
pub(crate) async fn stay(
    worker: &Worker,
    route: Option<StayIndex>,
    kind: MethodKind,
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    let route = route.map(|route| worker.setup.table.stay(route));
    let upstream = route.map_or(UpstreamIndex::MONOLITH, |route| route.upstream);
    to(worker, upstream, route, kind, parts, caller, body).await
}

/// Sends a request to an upstream: to the monolith, once that has seen what the
/// client wrote.
pub(crate) async fn to(
    worker: &Worker,
    upstream: UpstreamIndex,
    route: Option<&Stay>,
    kind: MethodKind,
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    if upstream == UpstreamIndex::MONOLITH {
        let client = caller.client(&parts.headers, &parts.uri);
        if let Err(refusal) = Wait::new(worker).caught_up(worker, client).await {
            body.refuse(parts).await;
            return Outcome::refused(refusal);
        }
    }
    if let Some(route) = route
        && let Err(refusal) = redirect(worker, route, parts)
    {
        body.refuse(parts).await;
        return Outcome::refused(refusal);
    }
    let keeping = Keeping::of(worker, upstream, || Cache::key(parts, None));
    let patient = worker.setup.upstreams.get(upstream);
    let is_once = route.is_some_and(|stay| stay.route.route.kind == KindRule::ReadsOnce);
    let is_safe = kind == MethodKind::Read && !is_once;
    let repeatable = is_safe || is_idempotent(patient, &parts.headers);
    let mut request = if repeatable {
        match Repeatable::of(worker, parts, body).await {
            Ok(request) => request,
            Err(refusal) => return Outcome::refused(refusal),
        }
    } else {
        Repeatable::once(worker, parts, body)
    };
    let Repeatable { request, sends, .. } = &mut request;
    let answer = forward(worker, upstream, request, *sends, None).await;
    let outcome = Outcome::at(side(upstream), answer.map_err(Failure::refusal));
    match keeping {
        None => outcome,
        Some(keeping) => keeping.settle(worker, &[upstream], outcome),
    }
}

/// The side that an upstream is on.
pub(crate) fn side(upstream: UpstreamIndex) -> Side {
    if upstream == UpstreamIndex::MONOLITH {
        Side::Monolith
    } else {
        Side::Service
    }
}

/// Gives a request the path and the `Host` that its route wants.
pub(crate) fn redirect(worker: &Worker, route: &Stay, parts: &mut Parts) -> Result<(), Refusal> {
    if let Some(path) = route.rewritten(parts.uri.path()) {
        parts.uri = origin_form(&path, parts.uri.query())?;
    }
    if !route.route.preserve_host {
        let upstream = worker.setup.upstreams.get(route.upstream);
        let host = HeaderValue::try_from(upstream.authority());
        let host = host.map_err(|_| Refusal::BadHead("the upstream's name is no host"))?;
        parts.headers.insert(header::HOST, host);
    }
    Ok(())
}

/// The bound on a request's waits for its client's writes, all together.
pub(crate) struct Wait {
    until: Instant,
}

impl Wait {
    /// It begins now.
    pub(crate) fn new(worker: &Worker) -> Self {
        Self {
            until: Instant::now() + worker.setup.settings.pin_wait,
        }
    }

    /// Waits until the monolith has seen what the client wrote at services
    /// before now.
    pub(crate) async fn caught_up(
        &self,
        worker: &Worker,
        client: Client<'_>,
    ) -> Result<(), Refusal> {
        let debts = debts(worker, client);
        if debts.is_empty() {
            return Ok(());
        }
        // Seldom, and large.
        Box::pin(self.paid(worker, client.caller.told, debts)).await
    }

    /// Waits for these.
    pub(crate) async fn paid(
        &self,
        worker: &Worker,
        told: Option<&Told>,
        debts: Debts,
    ) -> Result<(), Refusal> {
        let shared = &worker.shared;
        let all = async {
            for (extraction, debt) in debts {
                let pins = &shared.extraction(extraction).pins;
                match debt {
                    Debt::Pin(holder, answered) => {
                        let owner = || shared.ownership(extraction);
                        pins.paid(owner, (holder, answered)).await;
                    }
                    Debt::Token(token) => {
                        let token = placed(worker, extraction, token, told).await;
                        pins.until(Side::Service, |applied| {
                            let standing = shared.snapshot.load().standing(extraction);
                            let shown = Shown::Token(token);
                            shown.owed_to_monolith(standing, || applied).is_some()
                        })
                        .await;
                    }
                }
            }
        };
        let waiting = shared.metrics.pin_waiting();
        let paid = tokio::time::timeout_at(self.until, all).await;
        drop(waiting);
        shared
            .metrics
            .pin_waited(if paid.is_ok() { "caught-up" } else { "expired" });
        paid.map_err(|_| Refusal::PinWait)
    }
}

/// The token of a write whose position was not known, with one that is: that
/// of now, which lies behind it. Tries until it has it; the caller bounds that.
async fn placed(
    worker: &Worker,
    extraction: ExtractionIndex,
    token: Token,
    told: Option<&Told>,
) -> Token {
    if token.position.is_some() {
        return token;
    }
    loop {
        let owner = worker.shared.ownership(extraction);
        if owner.is_some_and(|owner| owner.side != token.side) {
            // No way to tell from here; what is owed ends with the news.
            return token;
        }
        let settler = &worker.settlers[extraction.get()];
        if let Ok(position) = settler.position(token.side).await {
            let position = Some(position);
            let placed = Token { position, ..token };
            if let Some(told) = told {
                told.wrote(extraction, placed);
            }
            return placed;
        }
        tokio::time::sleep(PLACE_RETRY).await;
    }
}

/// What must reach the monolith first.
pub(crate) enum Debt {
    Pin(Holder, Answered),
    Token(Token),
}

/// By extraction.
pub(crate) type Debts = Vec<(ExtractionIndex, Debt)>;

/// What the client of a request wrote at services and the monolith has not
/// seen. Each extraction's own key says who the client is.
pub(crate) fn debts(worker: &Worker, client: Client<'_>) -> Debts {
    let shared = &worker.shared;
    let snapshot = shared.snapshot.load();
    // A client may know of a switch before this gateway does.
    if !snapshot.some_service_owns() && !worker.setup.table.has_carriers() {
        return Vec::new();
    }
    let mut debts = Vec::new();
    for (extraction, entry) in worker.setup.table.all() {
        let standing = snapshot.standing(extraction);
        let shown = Told::shown(
            client.caller.told,
            &worker.setup,
            extraction,
            client.headers,
        );
        let applied = || shared.extraction(extraction).pins.applied(Side::Service);
        let token = shown.owed_to_monolith(standing, applied);
        debts.extend(token.map(|token| (extraction, Debt::Token(token))));
        let Some(owner) = standing.ownership() else {
            continue;
        };
        if owner.side == Side::Service {
            let pins = &shared.extraction(extraction).pins;
            let own = entry.routes.iter().map(|route| &route.path);
            let pattern = own.clone().find(|path| path.matches(client.uri.path()));
            let key = entry.key.find(client, pattern);
            let client = key.map(|key| pins.client(key));
            let owed = pins.debts(owner, client);
            let owed = owed.into_iter();
            debts.extend(owed.map(|(holder, answered)| (extraction, Debt::Pin(holder, answered))));
        }
    }
    debts
}
