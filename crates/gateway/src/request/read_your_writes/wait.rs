//! The wait for a client's own writes at services, before the monolith is
//! asked.

use super::response_tokens::ResponseTokens;
use crate::{
    base::{index::ExtractionIndex, refusal::Refusal},
    request::caller::Client,
    routing::write_token::{PresentedToken, Token},
    state::{config::Config, pin::Answered, pins::Holder, worker::Worker},
};
use plan::PinExpired;
use protocol::Side;
use std::{cell::Cell, time::Duration};
use tokio::time::Instant;

/// Between two tries to find out where a token's write lies; a try that fails
/// at once costs nothing.
const PLACE_RETRY: Duration = Duration::from_millis(50);

/// The bound on a request's waits for its client's writes, all together.
pub(crate) struct Wait {
    until: Instant,
    /// Whether it was in vain, and the plan has the request go on.
    given_up: Cell<bool>,
}

impl Wait {
    /// It begins now.
    pub(crate) fn new(worker: &Worker) -> Self {
        Self {
            until: Instant::now() + worker.config.settings.pin_wait,
            given_up: Cell::new(false),
        }
    }

    /// Waits until the monolith has seen what the client wrote at services
    /// before now.
    pub(crate) async fn caught_up(
        &self,
        worker: &Worker,
        client: Client<'_>,
    ) -> Result<(), Refusal> {
        let debts = self.debts(worker, client);
        if debts.is_empty() {
            return Ok(());
        }
        // Seldom, and large.
        Box::pin(self.paid(worker, client.caller.tokens, debts)).await
    }

    /// Waits for these.
    pub(crate) async fn paid(
        &self,
        worker: &Worker,
        tokens: Option<&ResponseTokens>,
        debts: Debts,
    ) -> Result<(), Refusal> {
        let state = &worker.state;
        let all = async {
            for (extraction, debt) in debts {
                let pins = &state.extraction(extraction).pins;
                match debt {
                    Debt::Pin(holder, answered) => {
                        let owner = || state.ownership(extraction);
                        pins.paid(owner, (holder, answered)).await;
                    }
                    Debt::Token(token) => {
                        let token = placed(worker, extraction, token, tokens).await;
                        pins.until(Side::Service, |applied| {
                            let routing_state = state.snapshot.load().routing_state(extraction);
                            let presented = PresentedToken::Token(token);
                            presented
                                .owed_to_monolith(routing_state, || applied)
                                .is_some()
                        })
                        .await;
                    }
                }
            }
        };
        let waiting = state.metrics.pin_waiting();
        let paid = tokio::time::timeout_at(self.until, all).await;
        drop(waiting);
        let (outcome, result) = match (paid, worker.config.settings.pin_expired) {
            (Ok(()), _) => ("caught-up", Ok(())),
            (Err(_), PinExpired::Refuse) => ("expired", Err(Refusal::PinWait)),
            (Err(_), PinExpired::Pass) => {
                self.given_up.set(true);
                ("passed", Ok(()))
            }
        };
        state.metrics.pin_waited(outcome);
        result
    }

    /// What the client of a request wrote at services and the monolith has not
    /// seen; nothing once this wait was given up.
    pub(crate) fn debts(&self, worker: &Worker, client: Client<'_>) -> Debts {
        if self.given_up.get() {
            return Vec::new();
        }
        debts(&worker.config, client)
    }
}

/// The token of a write whose position was not known, with one that is: that
/// of now, which lies behind it. Tries until it has it; the caller bounds that.
async fn placed(
    worker: &Worker,
    extraction: ExtractionIndex,
    token: Token,
    tokens: Option<&ResponseTokens>,
) -> Token {
    if token.position.is_some() {
        return token;
    }
    loop {
        let owner = worker.state.ownership(extraction);
        if owner.is_some_and(|owner| owner.side != token.side) {
            // No way to tell from here; what is owed ends with the news.
            return token;
        }
        let lsn_sampler = &worker.lsn_samplers[extraction.get()];
        if let Ok(position) = lsn_sampler.position(token.side).await {
            let position = Some(position);
            let placed = Token { position, ..token };
            if let Some(tokens) = tokens {
                tokens.wrote(extraction, placed);
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
pub(crate) fn debts(config: &Config, client: Client<'_>) -> Debts {
    let state = &config.state;
    let snapshot = state.snapshot.load();
    // A client may know of a switch before this gateway does.
    if !snapshot.some_service_owns() && !config.features.have_tokens() {
        return Vec::new();
    }
    let mut debts = Vec::new();
    for (extraction, entry) in config.table.all() {
        let routing_state = snapshot.routing_state(extraction);
        let presented =
            ResponseTokens::presented(client.caller.tokens, config, extraction, client.headers)
                .of_life(routing_state);
        let applied = || state.extraction(extraction).pins.applied(Side::Service);
        let token = presented.owed_to_monolith(routing_state, applied);
        debts.extend(token.map(|token| (extraction, Debt::Token(token))));
        let Some(owner) = routing_state.ownership() else {
            continue;
        };
        if owner.side == Side::Service {
            let pins = &state.extraction(extraction).pins;
            let own = entry.routes.iter().map(|route| &route.path);
            let pattern = own.clone().find(|path| path.matches(client.uri.path()));
            let key = config
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
