//! The registry, where services find each other: this instance registers, and
//! the client looks others up (`client::discovery`).
//!
//! The registry may die at any time. An instance registers again once it is
//! back; what was found last is used until then.

mod registrar;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Identity;

pub(crate) use registrar::Registrar;

/// How long the registry believes in an instance of which it hears nothing.
const TTL: Duration = Duration::from_secs(15);

/// How often it hears of us: two heartbeats may be lost.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// An instance, as it registers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// The service's name.
    pub name: String,
    /// Where the instance is reached.
    pub url: String,
    /// Marks of this instance.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where its health is asked.
    pub health: String,
    /// Which version it is.
    pub version: String,
    /// For how long it stands without a heartbeat.
    pub ttl_seconds: u64,
}

impl Registration {
    pub(crate) fn new(identity: Identity, url: String, tags: Option<Vec<String>>) -> Self {
        Self {
            name: identity.name.to_owned(),
            url,
            tags: tags.unwrap_or_default(),
            health: "/health/ready".to_owned(),
            version: identity.version.to_owned(),
            ttl_seconds: TTL.as_secs(),
        }
    }
}
