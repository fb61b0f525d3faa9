//! Copies of writes, to an upstream whose data may be spoiled.
//!
//! A copy is made after the owner has answered, of a write that the owner has
//! answered, and of nothing else: what was refused or lost is nobody's to
//! repeat. Its status is compared with the owner's, its body is not read: the
//! scratch upstream's data go their own way.

use super::mark;
use crate::{
    base::{deadline::timeout, index::RouteIndex},
    body::{BODY_BYTES_MAX, RequestBody, Whole},
    shadow::ledger::Copied,
    state::worker::Worker,
    upstream::addresses::Addresses,
};
use http::{Request, StatusCode, request::Parts};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::task::spawn_local;

/// How long a connection may take, and all of a copy.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A write that is copied once it has been answered.
pub(crate) struct WriteCopy {
    worker: Rc<Worker>,
    route: RouteIndex,
    request: Request<Whole>,
}

impl WriteCopy {
    /// Prepares one, where the plan wants that, it is this write's turn, and
    /// its body is here.
    pub(crate) fn of(
        worker: &Rc<Worker>,
        route: RouteIndex,
        parts: &Parts,
        body: &RequestBody,
    ) -> Option<Self> {
        let shadow = worker
            .config
            .features
            .get(route.extraction)
            .shadow
            .as_ref()?;
        shadow.scratch.as_ref()?;
        if !shadow.is_due(worker.upstreams.random.next()) {
            return None;
        }
        let body = body.whole()?;
        if body.len() > BODY_BYTES_MAX as u64 {
            return None;
        }
        let mut copy = Request::from_parts(parts.clone(), body);
        mark(copy.headers_mut());
        Some(Self {
            worker: Rc::clone(worker),
            route,
            request: copy,
        })
    }

    /// The owner has answered with this. Nobody waits for what follows.
    pub(crate) fn send(self, owner: StatusCode) {
        let Ok(permit) = Arc::clone(&self.worker.copies.writes).try_acquire_owned() else {
            return self.tell(Copied::Dropped);
        };
        spawn_local(async move {
            let copied = match self.ask().await {
                None => Copied::Unanswered,
                Some(status) if status == owner => Copied::Equal,
                Some(_) => Copied::Different,
            };
            self.tell(copied);
            drop(permit);
        });
    }

    async fn ask(&self) -> Option<StatusCode> {
        let features = self.worker.config.features.get(self.route.extraction);
        let scratch = features.shadow.as_ref()?.scratch.as_ref()?;
        let asked = timeout(TIMEOUT, Box::pin(exchange(scratch, self.request.clone()))).await;
        match asked {
            Ok(Ok(status)) => Some(status),
            Ok(Err(error)) => {
                tracing::debug!(upstream = %scratch.authority(), %error, "write not copied");
                None
            }
            Err(_) => None,
        }
    }

    fn tell(&self, copied: Copied) {
        let state = &self.worker.state;
        let entry = self.worker.config.table.entry(self.route.extraction);
        let path = entry.routes[self.route.route].path.to_string();
        state
            .extraction(self.route.extraction)
            .shadow
            .copied(copied);
        let metrics = &state.shadows.metrics;
        metrics.copied(&entry.service, &path, copied);
    }
}

/// Over a connection of its own: copies are few, and none may be repeated.
async fn exchange(scratch: &Addresses, request: Request<Whole>) -> std::io::Result<StatusCode> {
    let wire = scratch.connect(CONNECT_TIMEOUT).await?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(wire))
        .await
        .map_err(std::io::Error::other)?;
    let asking = async move {
        // Sender and answer are dropped here, which ends the connection.
        let answer = sender.send_request(request.map(RequestBody::Whole)).await;
        answer.map(|answer| answer.status())
    };
    let (status, _ended) = tokio::join!(asking, connection);
    status.map_err(std::io::Error::other)
}
