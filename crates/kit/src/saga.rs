//! Work over several services that ends whole or is undone.
//!
//! A saga is a row: which step is next, forward or backward. It is begun in the
//! caller's transaction ([`begin`]) and carried out by a [`Runner`] in any
//! instance. A step that fails is tried again with back-off; one that is
//! refused, or has failed too often, is followed by the compensations of what
//! was done, the last first. A compensation that keeps failing leaves the saga
//! stuck: it is listed ([`stuck`]) and can be gone on with ([`resume`]).
//!
//! What a step does through its connection is committed with the note that it
//! was done: once, whatever crashes. What it does elsewhere may happen again
//! after a crash, and must carry the step's key ([`Context::key`]), by which the
//! other side can tell.

mod progress;
mod runner;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

pub use progress::{Advance, Direction, Stage, StepOutcome, Try, advance};
pub use runner::{Runner, RunnerSettings};
pub use store::{SagaError, Status, begin, resume, status, stuck, sweep};

/// Why a step did not succeed. The reason is kept and shown: no secrets in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepError {
    /// It may have had an effect, and may succeed later.
    Failed(String),
    /// It had no effect and never will: go back. For a compensation it is the
    /// same as `Failed`: it cannot be refused.
    Refused(String),
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        crate::database::DatabaseError::from(error).into()
    }
}

impl From<crate::database::DatabaseError> for StepError {
    fn from(error: crate::database::DatabaseError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What a step works with.
#[derive(Debug)]
pub struct Context<'a> {
    /// Which saga.
    pub saga: Uuid,
    pub(crate) step: &'static str,
    pub(crate) direction: Direction,
    pub(crate) input: &'a Value,
    pub(crate) outputs: &'a [(String, Value)],
    pub(crate) connection: &'a mut PgConnection,
}

impl Context<'_> {
    /// Names this step of this saga, in this direction: the `Idempotency-Key`
    /// of what it asks of others. The same after every crash.
    pub fn key(&self) -> String {
        let back = match self.direction {
            Direction::Forward => "",
            Direction::Backward => ":undo",
        };
        format!("{}:{}{back}", self.saga, self.step)
    }

    /// The transaction in which it is noted that the step is done.
    pub fn connection(&mut self) -> &mut PgConnection {
        self.connection
    }

    /// What the saga was begun with.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, StepError> {
        T::deserialize(self.input).map_err(|error| StepError::Refused(error.to_string()))
    }

    /// What an earlier step, or for a compensation this step, has answered;
    /// none if it did not get to answer.
    pub fn output<T: DeserializeOwned>(&self, step: &str) -> Option<T> {
        let (_, value) = self.outputs.iter().find(|(name, _)| name == step)?;
        T::deserialize(value).ok()
    }
}

/// One step. Both directions must bear to be repeated, and the compensation to
/// be called for a step of which it is not known whether it had an effect.
#[async_trait]
pub trait Step: Send + Sync + 'static {
    /// Its name, for good, unlike the others' of its saga.
    fn name(&self) -> &'static str;

    /// Goes forward; the answer is there for later steps.
    async fn perform(&self, context: &mut Context<'_>) -> Result<Value, StepError>;

    /// Undoes it, or finds that there is nothing to undo.
    async fn compensate(&self, context: &mut Context<'_>) -> Result<(), StepError>;
}

/// A kind of saga: its steps in order.
#[derive(Clone)]
pub struct Definition {
    pub(crate) kind: &'static str,
    pub(crate) steps: Vec<Arc<dyn Step>>,
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps: Vec<_> = self.steps.iter().map(|step| step.name()).collect();
        f.debug_struct("Definition")
            .field("kind", &self.kind)
            .field("steps", &steps)
            .finish()
    }
}

impl Definition {
    /// `kind` names the sagas in the database. A change of steps while some are
    /// under way needs another kind, such as `order/2`, beside the old one.
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            steps: Vec::new(),
        }
    }

    /// Adds the next step.
    #[must_use]
    pub fn then(mut self, step: impl Step) -> Self {
        self.steps.push(Arc::new(step));
        self
    }
}

/// The answer of a step, for [`Step::perform`].
pub fn answer(value: &impl Serialize) -> Result<Value, StepError> {
    serde_json::to_value(value).map_err(|error| StepError::Refused(error.to_string()))
}
