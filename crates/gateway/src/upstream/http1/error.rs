//! What can go wrong on a connection to an upstream.

use crate::{base::malformed::Malformed, body::BodyFault};
use std::io;

/// The largest head of an answer.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// What is read at once of a body, and so kept for a client that reads slowly.
pub(crate) const READ_BYTES_MAX: usize = 64 << 10;

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("the request's body did not come to its end: {0}")]
    Request(BodyFault),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the connection was closed before the answer's end")]
    Closed,
    #[error("the answer's head is malformed: {0}")]
    Head(#[from] httparse::Error),
    #[error("the answer's head is larger than {HEAD_BYTES_MAX} bytes")]
    HeadTooLarge,
    #[error("the answer has two readings: {0}")]
    Framing(&'static str),
    #[error("the answer's body is malformed: {0}")]
    Body(#[from] Malformed),
}

impl ConnectionError {
    /// Whether it is the connection that failed, rather than what came over it.
    pub(crate) fn is_connections(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Closed)
    }
}
