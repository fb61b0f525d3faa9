//! Why a request has no response.

use http::StatusCode;

use super::transport::TransportError;
use crate::problem::Problem;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request cannot be put together.
    #[error("the request to {0} is not valid: {1}")]
    Invalid(String, String),
    /// At the bound of those that wait.
    #[error("too many requests to {0} wait already; this one was not sent")]
    Full(String),
    /// No instance is known.
    #[error("no instance of {0} is known; check REGISTRY_URL and that it runs")]
    NoInstance(String),
    /// All instances have failed too often just now.
    #[error("{0} has failed too often just now and is left alone for a moment")]
    Open(String),
    /// The time was up before it was sent.
    #[error("there was no room for a request to {0} in time; it was not sent")]
    NotSent(String),
    /// No connection.
    #[error("cannot connect to {target}")]
    Connect {
        /// To which service.
        target: String,
        /// Why.
        source: TransportError,
    },
    /// It was sent, and may or may not have been done.
    #[error("{0} did not answer in time; the request may or may not have been done")]
    TimedOut(String),
    /// It was sent, and may or may not have been done.
    #[error("the answer of {target} broke off; the request may or may not have been done")]
    Broken {
        /// Of which service.
        target: String,
        /// Why.
        source: TransportError,
    },
    /// The status says that it failed.
    #[error("{target} answered {status}")]
    Status {
        /// Which service.
        target: String,
        /// The status.
        status: StatusCode,
    },
    /// The body is not what it should be.
    #[error("the answer of {0} is not as described: {1}")]
    Content(String, String),
}

impl ClientError {
    /// Whether the other side may have done what it was asked.
    pub fn may_have_had_effect(&self) -> bool {
        match self {
            Self::Invalid(..)
            | Self::Full(_)
            | Self::NoInstance(_)
            | Self::Open(_)
            | Self::NotSent(_)
            | Self::Connect { .. } => false,
            Self::TimedOut(_) | Self::Broken { .. } | Self::Status { .. } | Self::Content(..) => {
                true
            }
        }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "another service failed"
        );
        Self::unavailable("Another service that the request needs is away.")
    }
}
