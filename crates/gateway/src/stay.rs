//! Requests of routes that stay with the monolith, and the wait for a client's
//! own write that they share with others.

use crate::{
    answer::Refusal,
    body::{RequestBody, discard},
    forward::{Failure, Spare, first_byte, forward},
    pin::Answered,
    pins::Holder,
    serve::Outcome,
    table::{ExtractionIndex, UpstreamIndex},
    worker::Worker,
};
use bytes::Bytes;
use http::{HeaderMap, Request, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use plan::MethodKind;
use protocol::Side;
use tokio::time::Instant;

/// Sends a request to the monolith, once it has seen what the client wrote.
pub(crate) async fn stay(worker: &Worker, parts: Parts, body: Incoming) -> Outcome {
    if let Err(refusal) = Wait::new(worker).caught_up(worker, &parts.headers).await {
        discard(body).await;
        return Outcome::refused(refusal);
    }
    let safe = MethodKind::of(parts.method.as_str()) == MethodKind::Read;
    let spare = (safe && body.is_end_stream()).then(|| Spare::of(&parts));
    let body = RequestBody::stream(Bytes::new(), body);
    let progress = body.progress();
    let request = Request::from_parts(parts, body);
    let answer = forward(worker, UpstreamIndex::MONOLITH, request, spare.as_ref());
    let bound = worker.shared.settings.first_byte;
    let answer = match first_byte(bound, progress.as_ref(), answer).await {
        Some(answer) => answer.map_err(Failure::refusal),
        None => Err(Refusal::Slow),
    };
    Outcome::at(Side::Monolith, answer)
}

/// The bound on a request's waits for its client's writes, all together.
pub(crate) struct Wait {
    until: Instant,
}

impl Wait {
    /// It begins now.
    pub(crate) fn new(worker: &Worker) -> Self {
        Self {
            until: Instant::now() + worker.shared.settings.pin_wait,
        }
    }

    /// Waits until the monolith has seen what the client wrote at services
    /// before now.
    pub(crate) async fn caught_up(
        &self,
        worker: &Worker,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        let debts = debts(worker, headers);
        if debts.is_empty() {
            return Ok(());
        }
        self.paid(worker, debts).await
    }

    /// Waits for these.
    pub(crate) async fn paid(&self, worker: &Worker, debts: Debts) -> Result<(), Refusal> {
        let shared = &worker.shared;
        let all = async {
            for (extraction, debt) in debts {
                let pins = &shared.extraction(extraction).pins;
                pins.paid(|| shared.ownership(extraction), debt).await;
            }
        };
        let paid = tokio::time::timeout_at(self.until, all).await;
        shared
            .metrics
            .pin_waited(if paid.is_ok() { "caught-up" } else { "expired" });
        paid.map_err(|_| Refusal::PinWait)
    }
}

/// What must reach the monolith first.
pub(crate) type Debts = Vec<(ExtractionIndex, (Holder, Answered))>;

/// What the client of a request wrote at services and the monolith has not
/// seen. Each extraction's own key says who the client is.
pub(crate) fn debts(worker: &Worker, headers: &HeaderMap) -> Debts {
    let shared = &worker.shared;
    let snapshot = shared.snapshot.load();
    if !snapshot.some_service_owns() {
        return Vec::new();
    }
    let mut debts = Vec::new();
    for (extraction, entry) in shared.table.all() {
        let Some(owner) = snapshot.standing(extraction).ownership() else {
            continue;
        };
        if owner.side == Side::Service {
            let pins = &shared.extraction(extraction).pins;
            let client = entry.key.find(headers).map(|key| pins.client(key));
            let owed = pins.debts(owner, client);
            debts.extend(owed.into_iter().map(|debt| (extraction, debt)));
        }
    }
    debts
}
