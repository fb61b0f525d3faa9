//! Keeps answers, and answers by them where all that could answer are down.

use super::{forward::has_failed, outcome::Outcome};
use crate::{
    base::index::UpstreamIndex,
    body::Inbound,
    state::worker::Worker,
    upstream::{
        cache::{Cache, Key},
        response_body::ResponseBody,
    },
};
use http::Response;
use std::sync::Arc;

/// A request whose answer is kept, or that is answered by what was kept.
pub(crate) struct Keeping<'a> {
    cache: &'a Arc<Cache>,
    key: Key,
}

impl<'a> Keeping<'a> {
    /// Where the plan wants that for an upstream, and the request is such. One with a
    /// body is not: the answer may be made of it, which is no part of the key, and
    /// would be served to all.
    pub(crate) fn of(
        worker: &'a Worker,
        upstream: UpstreamIndex,
        body: &Inbound,
        key: impl FnOnce() -> Option<Key>,
    ) -> Option<Self> {
        let cache = worker.config.upstreams.get(upstream).cache.as_ref()?;
        let mut key = key().filter(|_| body.is_none())?;
        key.is_personal |= worker.config.access.asks_who();
        Some(Self { cache, key })
    }

    /// Keeps a good answer; takes what was kept in place of a failure where
    /// all that could answer are down.
    pub(crate) fn settle(
        self,
        worker: &Worker,
        upstreams: &[UpstreamIndex],
        outcome: Outcome,
    ) -> Outcome {
        if has_failed(&outcome.answer) {
            let down = |index: &UpstreamIndex| worker.config.upstreams.get(*index).is_down();
            return match self.cache.find(&self.key) {
                Some(kept) if upstreams.iter().all(down) => Outcome {
                    side: None,
                    answer: Ok(kept.map(ResponseBody::own)),
                },
                _ => outcome,
            };
        }
        match (outcome.side, outcome.answer) {
            (Some(side), Ok(response)) => {
                let (head, body) = response.into_parts();
                let body = match self.cache.tee(self.key, side, &head) {
                    Some(tee) => body.keep(tee),
                    None => body,
                };
                Outcome::at(side, Ok(Response::from_parts(head, body)))
            }
            (side, answer) => Outcome { side, answer },
        }
    }
}
