//! Orders in the journal: each is written down before it is carried out, and so is what
//! came of it.

use super::{
    failure::{CallError, failure},
    messages::ErrorKind,
};
use crate::{
    journal::{Journal, JournalError, OrderEvent, OrderOutcome},
    request::STOPPING,
};
use axum::http::StatusCode;
use plan::ExtractionName;
use protocol::rollout::Actor;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::{Arc, Weak};

/// The most bytes of an order's parameters: they are kept for ever.
const PARAMETERS_BYTES_MAX: usize = 4 << 10;

/// The most characters that are kept of why an order was not carried out.
const WHY_CHARACTERS_MAX: usize = 2000;

/// An order as somebody gave it.
pub(super) struct GivenOrder<'a> {
    /// `None`: it is of all.
    pub(super) extraction: Option<&'a ExtractionName>,
    pub(super) by: Option<Actor>,
    pub(super) verb: &'a str,
    pub(super) parameters: Map<String, Value>,
    /// A digest of the plan that is in force.
    pub(super) plan: &'a str,
}

/// What was said with an order: not what was left out, nor who gave it.
pub(super) fn parameters(all: &impl Serialize) -> Map<String, Value> {
    let Ok(Value::Object(mut all)) = serde_json::to_value(all) else {
        return Map::new();
    };
    all.retain(|name, value| {
        let is_left_out = matches!(value, Value::Null | Value::Bool(false));
        name != "by" && !is_left_out && value != ""
    });
    all
}

/// The journal, unless nothing is decided any more.
pub(super) fn open(journal: &Weak<Journal>) -> Result<Arc<Journal>, CallError> {
    journal
        .upgrade()
        .ok_or_else(|| unavailable(STOPPING.to_owned()))
}

pub(super) fn unavailable(error: String) -> CallError {
    let code = StatusCode::SERVICE_UNAVAILABLE;
    failure(code, ErrorKind::Failed, error, Vec::new())
}

/// Has an order carried out, and both written down. Goes on where its caller stops
/// waiting. `result`: what is kept of what it answers.
pub(super) async fn recorded<T: Send + 'static>(
    journal: &Weak<Journal>,
    given: GivenOrder<'_>,
    work: impl Future<Output = Result<T, CallError>> + Send + 'static,
    result: fn(&T) -> Map<String, Value>,
) -> Result<T, CallError> {
    let said = Value::Object(given.parameters.clone()).to_string();
    if said.len() > PARAMETERS_BYTES_MAX {
        let error = format!("an order says at most {PARAMETERS_BYTES_MAX} bytes");
        let code = StatusCode::BAD_REQUEST;
        return Err(failure(code, ErrorKind::Refused, error, Vec::new()));
    }
    let event = OrderEvent::Ordered {
        by: given.by,
        verb: given.verb.to_owned(),
        parameters: given.parameters,
        plan: given.plan.to_owned(),
    };
    let unwritten = |error: JournalError| unavailable(error.unwritten());
    let extraction = given.extraction.cloned();
    let order = open(journal)?
        .append_order(extraction.as_ref(), &event)
        .await;
    let order = order.map_err(unwritten)?;
    let journal = Weak::clone(journal);
    let carried_out = tokio::spawn(async move {
        let done = work.await;
        let outcome = match &done {
            Ok(done) => OrderOutcome::Done {
                result: result(done),
            },
            Err(error) => error.outcome(),
        };
        let event = OrderEvent::Ended { order, outcome };
        // Without the journal, or with a full disk, it stays an order without an end.
        let Some(journal) = journal.upgrade() else {
            return done;
        };
        if let Err(error) = journal.append_order(extraction.as_ref(), &event).await {
            tracing::error!(order, %error, "the end of an order is not recorded");
        }
        done
    });
    let ended = carried_out.await;
    ended.unwrap_or_else(|error| Err(unavailable(format!("it came to no end: {error}"))))
}

impl CallError {
    fn outcome(&self) -> OrderOutcome {
        let why = self.reply.error.chars().take(WHY_CHARACTERS_MAX).collect();
        match self.reply.kind {
            ErrorKind::Refused => OrderOutcome::Refused { why },
            ErrorKind::Failed => OrderOutcome::Failed { why },
        }
    }
}
