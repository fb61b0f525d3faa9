//! Where services find each other: this one is told to the registry, and
//! others are looked for there.
//!
//! The registry may die at any time. Who is registered tells it again once it
//! is back; what was found last is used until then.

mod discovery;
mod registration;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Identity;

pub(crate) use discovery::discover;
pub(crate) use registration::Registration;

/// How long the registry believes in an instance of which it hears nothing.
const TTL: Duration = Duration::from_secs(15);

/// How often it hears of us: two heartbeats may be lost.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How often others are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// The longest pause after failures; the first are shorter.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The registry's path for services.
const SERVICES: &str = "/registry/services";

/// What the registry is told of an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
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

impl Entry {
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

/// What the registry makes of it; of what else it says nothing is needed here.
#[derive(Debug, Deserialize)]
struct Registered {
    id: String,
}

/// What the registry says of an instance, as far as it matters to callers.
#[derive(Debug, Deserialize)]
struct Found {
    url: String,
}

/// The pause before a try after so many failures.
fn pause(failures: u32) -> Duration {
    crate::client::jittered(failures).min(PAUSE_MAX)
}
