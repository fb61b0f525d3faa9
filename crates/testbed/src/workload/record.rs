//! The record of writes: what the auditor goes by.

use crate::http_client::{Answer, SendError};
use http::StatusCode;
use http::header::RETRY_AFTER;

/// Where a write must leave its reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// In an event of a contract, on both sides.
    Event,
    /// In a document: in the monolith, and where documents move, in their service.
    Document,
    /// In a user's name, on both sides.
    User,
}

/// What the client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done: it must exist exactly once.
    Acknowledged,
    /// The answer was lost: it may exist once.
    Unknown,
    /// It was not done: it must not exist.
    Refused,
}

impl Outcome {
    /// What an answer or its absence says about a write. `503` with
    /// `Retry-After` is the gateway's promise that it was not sent.
    pub(super) fn of(result: &Result<Answer, SendError>) -> Self {
        match result {
            Ok(answer) if answer.status.is_success() => Self::Acknowledged,
            Ok(answer) if answer.status.is_client_error() => Self::Refused,
            Ok(answer) if is_unsent(answer) => Self::Refused,
            Err(SendError::Unsent(_)) => Self::Refused,
            Ok(_) | Err(SendError::Unanswered(_)) => Self::Unknown,
        }
    }
}

fn is_unsent(answer: &Answer) -> bool {
    answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.headers.contains_key(RETRY_AFTER)
}

/// One write that was tried.
#[derive(Debug, Clone)]
pub struct Write {
    /// Its unique name.
    pub reference: String,
    /// Where it must be found.
    pub target: Target,
    /// What the client was told.
    pub outcome: Outcome,
    /// The contract, where it is known.
    pub contract: Option<u64>,
    /// The contract's version in the acknowledgement.
    pub version: Option<u64>,
}
