//! The counters that gateways share: `limits-store`.

use crate::base::{Environment, PlanError, Secret, Text, parse, time_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;
use url::Url;

/// A Redis in the same network answers in less than one millisecond.
const STORE_WAIT: Duration = Duration::from_millis(100);

/// Where gateways count together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsStoreFile {
    /// `redis://host:port/database`.
    pub(crate) redis: Text,
    /// Longest wait for it (default 100ms).
    #[serde(default)]
    pub(crate) wait: Option<Text>,
}

/// The Redis that counts for all gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsStore {
    /// `redis://...`, which may hold a password.
    pub redis: Secret,
    /// The longest that a request waits for it.
    pub wait: Duration,
}

pub(super) fn resolve(
    file: &LimitsStoreFile,
    environment: Environment<'_>,
) -> Result<LimitsStore, PlanError> {
    Ok(LimitsStore {
        // It may hold a password: no message may repeat it.
        redis: parse(&file.redis, environment, |text| match Url::parse(text) {
            Ok(url) if url.scheme() == "redis" && url.host_str().is_some() => Secret::new(text),
            _ => Err("the store's address is unusable: write redis://host:port/0".to_owned()),
        })?,
        wait: time_or(file.wait.as_ref(), STORE_WAIT)?,
    })
}
