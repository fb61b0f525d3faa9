//! Who calls.

use serde_json::{Map, Value};

use crate::problem::Problem;

/// A request with a key of this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiKey {
    /// Which one, in the order of the setting, from 0.
    pub position: usize,
}

/// A user, as the issuer of their token says.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Who: the token's `sub`.
    pub subject: String,
    /// What they are: the token's `roles`.
    pub roles: Vec<String>,
    /// Everything that the token says.
    pub claims: Map<String, Value>,
}

impl User {
    /// Refuses who does not have this role.
    pub fn require_role(&self, role: &str) -> Result<(), Problem> {
        if self.roles.iter().any(|one| one == role) {
            return Ok(());
        }
        Err(Problem::forbidden(
            "The user does not have the role that this needs.",
        ))
    }
}

/// Another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub service: String,
}

/// Any who may call.
#[derive(Debug, Clone, PartialEq)]
pub enum Caller {
    /// By API key.
    Key(ApiKey),
    /// By a user's token.
    User(User),
    /// By another service's token.
    Service(Peer),
}
