//! One comparison: both sides are asked, and once more where they differ.

use crate::base::headers;
use crate::{
    base::{
        deadline::timeout,
        index::{Place, RouteIndex},
    },
    body::{RequestBody, Whole},
    observe::labels::method_label,
    request::{failed_answer, forward::beside},
    routing::snapshot::{Ownership, RoutingState},
    shadow::{
        compare::{Answer, Difference, compare},
        ledger::{Outcome, Subject},
        settings::ShadowSettings,
        verdict::judge,
    },
    state::worker::Worker,
    upstream::response_body::ResponseBody,
};
use http::{HeaderMap, HeaderValue, Request, Response, header, request::Parts};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use protocol::Side;
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::task::spawn_blocking;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer that is compared; pages of an API are far smaller.
const ANSWER_BYTES_MAX: usize = 512 << 10;

/// How long is waited before what differs is asked again: times with seconds
/// must have moved on.
const PAUSE: Duration = Duration::from_millis(1_100);

/// How long changes may take to flow before it cannot be said whether a
/// difference is one.
const FLOW_TIMEOUT: Duration = Duration::from_secs(10);

/// A comparison.
pub(super) struct Probe {
    pub(super) worker: Rc<Worker>,
    pub(super) route: RouteIndex,
    pub(super) shadow: Arc<ShadowSettings>,
    pub(super) basis: Basis,
    pub(super) subject: Subject,
    pub(super) request: Request<Whole>,
}

/// What makes the sides comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// The owner's changes flow to the other side.
    Followed(Ownership),
    /// Both work on the same data.
    SharedData,
}

impl Basis {
    pub(super) fn of(routing_state: RoutingState) -> Option<Self> {
        match routing_state {
            RoutingState::Unknown | RoutingState::Ownerless(_) => None,
            // Where nothing flows, before the copy and after the end, nothing is alike; and
            // the monolith's side is to be left alone at the end.
            RoutingState::Owned(routing, owner) => routing.follows.then_some(Self::Followed(owner)),
            RoutingState::SharedData { .. } => Some(Self::SharedData),
        }
    }

    /// The side whose answers are right.
    pub(super) fn side(self) -> Side {
        match self {
            Self::Followed(owner) => owner.side,
            Self::SharedData => Side::Monolith,
        }
    }
}

/// What a side said.
enum ProbeAnswer {
    Answer(Answer),
    /// Too large, or without an end.
    Unfit,
    Nothing,
}

/// The owner's answer and the other side's.
#[derive(Clone)]
struct Pair {
    owner: Answer,
    other: Answer,
}

impl Subject {
    pub(super) fn of(route: String, parts: &Parts) -> Self {
        let correlation = parts.headers.get(headers::CORRELATION_ID);
        let correlation = correlation.and_then(|id| id.to_str().ok());
        Self {
            route,
            path: parts.uri.path().to_owned(),
            correlation: correlation.unwrap_or_default().to_owned(),
        }
    }
}

impl Probe {
    pub(super) async fn run(&self) -> Outcome {
        match Box::pin(self.compared()).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    /// The error is where there was nothing to compare.
    async fn compared(&self) -> Result<Outcome, Outcome> {
        let state = &self.worker.state;
        let ledger = &state.extraction(self.route.extraction).shadow;
        let one = self.both().await?;
        let first = self.differences(one.clone()).await?;
        if first.is_empty() {
            return Ok(Outcome::Equal);
        }
        if ledger.are_volatile(&self.subject.route, &first) {
            return Ok(Outcome::Volatile);
        }
        let (flowed, ()) = tokio::join!(self.flowed(), tokio::time::sleep(PAUSE));
        if !flowed {
            return Err(Outcome::Unknown);
        }
        let two = self.both().await?;
        let routing_state = state.snapshot.load().routing_state(self.route.extraction);
        if Basis::of(routing_state) != Some(self.basis) {
            // Changes flowed the other way in between.
            return Err(Outcome::Unknown);
        }
        let itself = Pair {
            owner: one.owner,
            other: two.owner.clone(),
        };
        let second = self.differences(two).await?;
        let itself = self.differences(itself).await?;
        Ok(ledger.note(&self.subject, judge(first, &second, &itself)))
    }

    /// Waits until the other side has all that the owner has shown so far.
    async fn flowed(&self) -> bool {
        let Basis::Followed(owner) = self.basis else {
            return true;
        };
        let state = &self.worker.state;
        let extraction = state.extraction(self.route.extraction);
        let flowing = async {
            let position = state.positions.sample(&extraction.name, owner.side).await?;
            extraction.pins.reached(owner.side, position).await;
            Some(())
        };
        matches!(timeout(FLOW_TIMEOUT, flowing).await, Ok(Some(())))
    }

    /// Asks both sides.
    async fn both(&self) -> Result<Pair, Outcome> {
        let owner = self.basis.side();
        match tokio::join!(self.ask(owner), self.ask(owner.other())) {
            (ProbeAnswer::Answer(owner), ProbeAnswer::Answer(other)) => Ok(Pair { owner, other }),
            (ProbeAnswer::Answer(_), ProbeAnswer::Nothing) => Err(Outcome::Unanswered),
            _ => Err(Outcome::Unknown),
        }
    }

    async fn ask(&self, side: Side) -> ProbeAnswer {
        let upstream = self
            .worker
            .config
            .table
            .upstream(self.route.extraction, side);
        let mut request = self.request.clone().map(RequestBody::Whole);
        let asking = async {
            match beside(&self.worker, upstream, &mut request).await {
                Ok(response) => {
                    self.note_failure(side, &response);
                    read(response).await
                }
                Err(_) => ProbeAnswer::Nothing,
            }
        };
        timeout(TIMEOUT, asking)
            .await
            .unwrap_or(ProbeAnswer::Nothing)
    }

    /// The side's fence may have refused a read that writes.
    fn note_failure(&self, side: Side, response: &Response<ResponseBody>) {
        let place = Place::Extraction(self.route);
        let method = method_label(self.request.method());
        failed_answer::note(&self.worker, (place, side), method, None, response);
    }

    /// Compares apart from the worker's thread, whose clients must not wait for
    /// it.
    async fn differences(&self, Pair { owner, other }: Pair) -> Result<Vec<Difference>, Outcome> {
        let (monolith, service) = match self.basis.side() {
            Side::Monolith => (owner, other),
            Side::Service => (other, owner),
        };
        let shadow = Arc::clone(&self.shadow);
        let turn = Arc::clone(&self.worker.state.shadows.turn).acquire_owned();
        let turn = turn.await.map_err(|_| Outcome::Unknown)?;
        let comparing = spawn_blocking(move || {
            let found = compare(&monolith, &service, &shadow.ignored, shadow.values);
            drop(turn);
            found
        });
        comparing.await.map_err(|error| {
            tracing::error!(%error, "a comparison of two answers failed");
            Outcome::Unknown
        })
    }
}

/// Reads an answer whole.
async fn read(response: Response<ResponseBody>) -> ProbeAnswer {
    let (parts, body) = response.into_parts();
    let is_large = body.size_hint().lower() > ANSWER_BYTES_MAX as u64;
    if is_large || has_no_end(&parts.headers) {
        return ProbeAnswer::Unfit;
    }
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(whole) => ProbeAnswer::Answer(Answer {
            status: parts.status,
            headers: parts.headers,
            body: whole.to_bytes(),
        }),
        Err(error) if error.is::<LengthLimitError>() => ProbeAnswer::Unfit,
        Err(_) => ProbeAnswer::Nothing,
    }
}

fn has_no_end(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(names_events)
}

/// Whether a value names the type of server-sent events.
pub(super) fn names_events(value: &HeaderValue) -> bool {
    let events = b"text/event-stream";
    let mut windows = value.as_bytes().windows(events.len());
    windows.any(|part| part.eq_ignore_ascii_case(events))
}
