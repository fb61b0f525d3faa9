//! The way to a rollout's loop: what persons order, and how it stands.

use crate::{precondition::Precondition, status::RolloutStatus};
use protocol::rollout::Actor;
use tokio::sync::{mpsc, oneshot, watch};

/// What a person orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepVerb {
    /// To promote nothing.
    Pause,
    /// To go on, with a step by its number from 1, or with the one that it stopped in.
    Resume(Option<usize>),
    /// To let the step begin that waits for it.
    Approve,
}

/// An order with who gave it.
pub(super) struct GivenVerb {
    pub(super) verb: StepVerb,
    pub(super) by: Actor,
    pub(super) note: String,
    /// `None`: however it stands.
    pub(super) expected: Option<Precondition>,
    pub(super) reply: oneshot::Sender<Result<(), String>>,
}

/// The way to one rollout's loop. Cheap to clone.
#[derive(Clone)]
pub struct RolloutHandle {
    orders: mpsc::Sender<GivenVerb>,
    status: watch::Receiver<RolloutStatus>,
}

/// Orders that may wait.
const ORDERS_MAX: usize = 16;

impl RolloutHandle {
    /// A handle, and the ends of its channels for the loop behind it.
    pub(super) fn new() -> (
        Self,
        mpsc::Receiver<GivenVerb>,
        watch::Sender<RolloutStatus>,
    ) {
        let (orders, receiver) = mpsc::channel(ORDERS_MAX);
        let (sender, status) = watch::channel(RolloutStatus::default());
        (Self { orders, status }, receiver, sender)
    }

    /// How it stands.
    pub fn status(&self) -> RolloutStatus {
        self.status.borrow().clone()
    }

    /// Orders something. The error says why it was not done; nothing was changed then.
    pub async fn order(&self, verb: StepVerb, by: Actor, note: &str) -> Result<(), String> {
        self.order_if(verb, by, note, None).await
    }

    /// The same, unless it has changed by the time at which the loop takes the order.
    pub async fn order_if(
        &self,
        verb: StepVerb,
        by: Actor,
        note: &str,
        expected: Option<Precondition>,
    ) -> Result<(), String> {
        let (reply, result) = oneshot::channel();
        let given = GivenVerb {
            verb,
            by,
            note: note.to_owned(),
            expected,
            reply,
        };
        let gone = || "banyan is stopping; ask again when it runs".to_owned();
        self.orders.send(given).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}
