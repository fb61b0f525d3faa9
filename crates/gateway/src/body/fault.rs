//! Why a request's body did not come to its end.

use crate::base::{malformed::Malformed, refusal::Refusal};
use std::{error::Error, io};

/// Why a request's body did not come to its end. Whatever it was sent to did
/// nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("the client went away in the middle of a request")]
    Lost,
    #[error("the client sent the next part of a request too late")]
    Slow,
    #[error("a request's body is too large")]
    TooLarge,
    #[error("a request's body is malformed")]
    Malformed(Option<Malformed>),
    #[error("a request's body could not be read back from its file")]
    Unreadable,
}

impl BodyFault {
    pub(super) fn of(error: &hyper::Error) -> Self {
        let cause = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        match cause.map(io::Error::kind) {
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Self::Malformed(None),
            _ => Self::Lost,
        }
    }

    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Lost | Self::Slow => Refusal::BodyLost,
            Self::TooLarge => Refusal::BodyTooLarge,
            Self::Malformed(why) => Refusal::BadBody(why),
            Self::Unreadable => Refusal::SpoolFailed,
        }
    }
}
