//! Whose instances a caller may act for.

use kit::Problem;
use kit::auth::Caller;

/// Whose instances a caller may act for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    /// By the key: everybody's.
    All,
    /// By a service's token: its own.
    Service(&'a str),
}

impl<'a> Scope<'a> {
    /// Services only: users have no business here.
    pub(super) fn of(caller: &'a Caller) -> Result<Self, Problem> {
        match caller {
            Caller::Key(_) => Ok(Self::All),
            Caller::Service(peer) => Ok(Self::Service(&peer.service)),
            Caller::User(_) => Err(Problem::forbidden("This is for services.")),
        }
    }

    /// The only service it is about.
    pub(super) fn only(self) -> Option<&'a str> {
        match self {
            Self::All => None,
            Self::Service(name) => Some(name),
        }
    }
}
