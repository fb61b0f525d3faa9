//! The way to a rollout's loop: what persons order, and how it stands.

use crate::{precondition::Precondition, request::STOPPING, status::RolloutStatus};
use plan::Schedule;
use protocol::rollout::Actor;
use std::sync::Arc;
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

/// A plan that a reload has read.
pub(super) struct GivenPlan {
    pub(super) schedule: Schedule,
    /// Of its text.
    pub(super) digest: Arc<str>,
    /// Whether it takes effect, where that is safe; else it is only asked.
    pub(super) takes_effect: bool,
    pub(super) reply: oneshot::Sender<Result<(), String>>,
}

/// What reaches a rollout's loop.
pub(super) enum Message {
    Verb(GivenVerb),
    Plan(GivenPlan),
}

/// The way to one rollout's loop. Cheap to clone.
#[derive(Clone)]
pub struct RolloutHandle {
    messages: mpsc::Sender<Message>,
    status: watch::Receiver<RolloutStatus>,
}

/// Messages that may wait.
const MESSAGES_MAX: usize = 16;

impl RolloutHandle {
    /// A handle, and the ends of its channels for the loop behind it.
    pub(super) fn new() -> (Self, mpsc::Receiver<Message>, watch::Sender<RolloutStatus>) {
        let (messages, receiver) = mpsc::channel(MESSAGES_MAX);
        let (sender, status) = watch::channel(RolloutStatus::default());
        (Self { messages, status }, receiver, sender)
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
        self.send(Message::Verb(given), result).await
    }

    /// Whether the steps of a plan that a reload has read would take effect now. The error
    /// says why not, and is shown until one would.
    pub async fn accepts(&self, schedule: &Schedule, digest: &Arc<str>) -> Result<(), String> {
        self.give(schedule, digest, false).await
    }

    /// Has the steps of such a plan take effect. The error says why they do not.
    pub async fn replace(&self, schedule: &Schedule, digest: &Arc<str>) -> Result<(), String> {
        self.give(schedule, digest, true).await
    }

    async fn give(
        &self,
        schedule: &Schedule,
        digest: &Arc<str>,
        takes_effect: bool,
    ) -> Result<(), String> {
        let (reply, result) = oneshot::channel();
        let given = GivenPlan {
            schedule: schedule.clone(),
            digest: Arc::clone(digest),
            takes_effect,
            reply,
        };
        self.send(Message::Plan(given), result).await
    }

    async fn send(
        &self,
        message: Message,
        result: oneshot::Receiver<Result<(), String>>,
    ) -> Result<(), String> {
        let gone = || STOPPING.to_owned();
        self.messages.send(message).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}
