//! Good answers, kept for when nobody answers.

use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::Answer;

/// Answers that are kept of one service, and the largest of them: 16 MiB.
const KEPT_MAX: usize = 256;
const KEPT_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Kept(Cache<String, (Instant, Answer)>);

impl Default for Kept {
    fn default() -> Self {
        Self(Cache::new(KEPT_MAX))
    }
}

impl Kept {
    pub(super) fn keep(&self, path: &str, answer: &Answer) {
        if answer.status == http::StatusCode::OK && answer.body.len() <= KEPT_BYTES_MAX {
            self.0
                .insert(path.to_owned(), (Instant::now(), answer.clone()));
        }
    }

    pub(super) fn find(&self, path: &str, age_max: Duration) -> Option<Answer> {
        let (at, answer) = self.0.get(path)?;
        (at.elapsed() <= age_max).then_some(Answer {
            is_kept: true,
            ..answer
        })
    }
}
