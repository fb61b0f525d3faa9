//! A service that runs, and calls that prepare it.

use anyhow::{Result, bail};
use http::{HeaderName, HeaderValue};
use serde_json::Value;
use std::time::Duration;
use testbed::http_client::{self, Call};

/// Preparing calls may take so long, each.
const LIMIT: Duration = Duration::from_secs(30);

/// A service that runs, to be asked.
pub(super) struct RunningService {
    pub(super) url: String,
    pub(super) pid: u32,
    /// The key of other services.
    pub(super) key: String,
}

impl RunningService {
    /// A call with that key.
    pub(super) fn with_key(&self, call: Call) -> Call {
        with_key(call, &self.key)
    }

    /// Sends a call that prepares something; its answer must be good.
    pub(super) async fn send(&self, call: &Call) -> Result<Value> {
        let answer = http_client::call(&self.url, call, LIMIT).await?;
        if !answer.status.is_success() {
            bail!("{}: {}: {}", call.line(), answer.status, answer.body_head());
        }
        Ok(answer.json())
    }
}

pub(super) fn with_key(mut call: Call, key: &str) -> Call {
    let key = HeaderValue::from_str(key).unwrap_or(HeaderValue::from_static(""));
    call.headers
        .insert(HeaderName::from_static("x-api-key"), key);
    call
}
