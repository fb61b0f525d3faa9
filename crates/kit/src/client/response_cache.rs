//! Good responses, cached for when a service fails ("stale if error").

use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::message::Response;

/// Responses that are cached of one service, and the largest of them: 16 MiB.
const ENTRIES_MAX: usize = 256;
const ENTRY_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct ResponseCache(Cache<String, (Instant, Response)>);

impl Default for ResponseCache {
    fn default() -> Self {
        Self(Cache::new(ENTRIES_MAX))
    }
}

impl ResponseCache {
    pub(super) fn store(&self, path: &str, response: &Response) {
        if response.status == http::StatusCode::OK && response.body.len() <= ENTRY_BYTES_MAX {
            self.0
                .insert(path.to_owned(), (Instant::now(), response.clone()));
        }
    }

    pub(super) fn find(&self, path: &str, age_max: Duration) -> Option<Response> {
        let (at, response) = self.0.get(path)?;
        (at.elapsed() <= age_max).then_some(Response {
            is_stale: true,
            ..response
        })
    }
}
