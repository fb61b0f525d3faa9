//! The handle of one extraction's worker: requests go to its loop through a
//! bounded channel, each with a channel for its reply; the status comes back
//! through a watch. The loops are [`crate::replication`] and
//! [`crate::shared_data`].

use crate::{
    ports::Mover,
    precondition::Precondition,
    request::{Reply, Request, RequestError, STOPPING},
    status::ExtractionStatus,
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Requests that may wait for a worker; more are told to come back.
const PENDING_MAX: usize = 32;

/// A request that waits for its reply.
pub(crate) struct PendingRequest {
    pub(crate) request: Request,
    /// `None`: however it stands.
    expected: Option<Precondition>,
    reply: oneshot::Sender<Result<Reply, RequestError>>,
}

impl PendingRequest {
    /// Why it is not carried out as it stands now, where that is not how it stood when
    /// it was decided on.
    pub(crate) fn is_late(&self, now: &ExtractionStatus) -> Option<RequestError> {
        let refusal = self.expected.as_ref()?.refusal(now);
        refusal.map(RequestError::Changed)
    }

    /// Replies. Whoever requested it may have stopped waiting.
    pub(crate) fn reply(self, result: Result<Reply, RequestError>) {
        drop(self.reply.send(result));
    }
}

/// The way to one extraction's loop. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    requests: mpsc::Sender<PendingRequest>,
    status: watch::Receiver<ExtractionStatus>,
    /// `None`: both sides share the data.
    mover: Option<Arc<dyn Mover>>,
}

impl Worker {
    /// A handle, and the ends of its channels for the loop behind it.
    pub(crate) fn new(
        mover: Option<Arc<dyn Mover>>,
    ) -> (
        Self,
        mpsc::Receiver<PendingRequest>,
        watch::Sender<ExtractionStatus>,
    ) {
        let (requests, receiver) = mpsc::channel(PENDING_MAX);
        let (sender, status) = watch::channel(ExtractionStatus::default());
        let worker = Self {
            requests,
            status,
            mover,
        };
        (worker, receiver, sender)
    }

    /// Whether its writes can be split: both sides share the data.
    pub fn splits_writes(&self) -> bool {
        self.mover.is_none()
    }

    /// Requests something, and waits until it is done. Giving up waiting stops
    /// nothing.
    pub async fn request(&self, request: Request) -> Result<Reply, RequestError> {
        self.request_if(request, None).await
    }

    /// The same, unless it has changed by the time at which the loop takes the request.
    pub async fn request_if(
        &self,
        request: Request,
        expected: Option<Precondition>,
    ) -> Result<Reply, RequestError> {
        let (reply, result) = oneshot::channel();
        let gone = || RequestError::Failed(STOPPING.to_owned());
        self.requests
            .try_send(PendingRequest {
                request,
                expected,
                reply,
            })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    RequestError::Failed("too many questions wait already; try again".to_owned())
                }
                mpsc::error::TrySendError::Closed(_) => gone(),
            })?;
        result.await.map_err(|_| gone())?
    }

    /// How it stands.
    pub fn status(&self) -> ExtractionStatus {
        let mut status = self.status.borrow().clone();
        if let Some(mover) = &self.mover {
            status.progress = mover.progress();
        }
        status
    }
}
