//! Why an upstream gave no answer.

use crate::base::refusal::Refusal;

/// Why there is no answer to pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Not a byte of the request left the gateway.
    NotSent(Refusal),
    /// It may have had its effect.
    Sent(Refusal),
}

impl Failure {
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::NotSent(refusal) | Self::Sent(refusal) => refusal,
        }
    }
}
