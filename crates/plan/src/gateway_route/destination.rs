//! Where a gateway route sends its requests.

use crate::base::ServiceName;
use std::fmt;

/// An upstream by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// The old side.
    Monolith,
    /// A service of the plan.
    Service(ServiceName),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Monolith => f.write_str("monolith"),
            Self::Service(name) => name.fmt(f),
        }
    }
}
