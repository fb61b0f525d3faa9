//! The wait for a client's own writes at services, before the monolith is
//! asked.

use super::response_tokens::Told;
use crate::{
    base::{index::ExtractionIndex, refusal::Refusal},
    request::caller::Client,
    routing::write_token::{Shown, Token},
    state::{pin::Answered, pins::Holder, worker::Worker},
};
use protocol::Side;
use std::time::Duration;
use tokio::time::Instant;

/// Between two tries to find out where a token's write lies; a try that fails
/// at once costs nothing.
const PLACE_RETRY: Duration = Duration::from_millis(50);

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
    if !snapshot.some_service_owns() && !worker.setup.features.have_tokens() {
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
            let key = worker
                .setup
                .features
                .get(extraction)
                .key
                .find(client.key_input(), pattern);
            let client = key.map(|key| pins.client(key));
            let owed = pins.debts(owner, client);
            let owed = owed.into_iter();
            debts.extend(owed.map(|(holder, answered)| (extraction, Debt::Pin(holder, answered))));
        }
    }
    debts
}
