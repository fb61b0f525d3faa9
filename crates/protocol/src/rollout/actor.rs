//! Who decides.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Who has decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The plan's own steps and gates.
    Plan,
    /// A person, by the name that was claimed.
    Person(String),
    /// A person who has shown a key of that name.
    KeyHolder(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => f.write_str("the plan"),
            Self::Person(name) | Self::KeyHolder(name) => f.write_str(name),
        }
    }
}
