//! Carries sagas out. Any number of runners may work at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Postgres, Transaction};
use tokio::task::JoinSet;
use tracing::{Instrument, error, info, info_span, warn};
use uuid::Uuid;

use super::progress::{Advance, Direction, Stage, StepOutcome, Try, advance};
use super::store::{self, CHANNEL, Leased};
use super::{Context, Definition, Step, StepError};
use crate::backoff::Backoff;
use crate::database::{Database, DatabaseError, Notices, commit};
use crate::outbox::shortened;

/// How a runner works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunnerSettings {
    /// So many sagas at once. Each holds a connection while it works.
    pub concurrency: usize,
    /// How long one try of a step may take.
    pub step_timeout: Duration,
    /// How often to look without a notification.
    pub poll_interval: Duration,
    /// Tries of a step going forward.
    pub forward: Backoff,
    /// Tries of a compensation, before the saga is stuck.
    pub backward: Backoff,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        let first = Duration::from_secs(1);
        Self {
            concurrency: 4,
            step_timeout: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            // About four minutes: a caller may be waiting for it.
            forward: Backoff {
                first,
                longest: Duration::from_mins(1),
                attempts: 8,
            },
            // About two hours: a compensation must not be given up early.
            backward: Backoff {
                first,
                longest: Duration::from_mins(10),
                attempts: 20,
            },
        }
    }
}

/// A lease outlives its step by this much.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// For a success it does not matter.
const FIRST: Try = Try {
    is_first: true,
    is_last: false,
};

/// Carries out the sagas of some kinds.
#[derive(Debug, Clone)]
pub struct Runner {
    database: Database,
    settings: RunnerSettings,
    definitions: Arc<BTreeMap<&'static str, Definition>>,
}

impl Runner {
    /// For the sagas of these kinds.
    pub fn new(
        database: Database,
        settings: RunnerSettings,
        definitions: impl IntoIterator<Item = Definition>,
    ) -> Self {
        let definitions = definitions.into_iter().map(|one| (one.kind, one));
        Self {
            database,
            settings,
            definitions: Arc::new(definitions.collect()),
        }
    }

    /// Works until `stop` ends, and then ends the steps that are under way.
    /// Dropped earlier, they are tried again when their leases have ended.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let listening = Notices::listen(&self.database, CHANNEL);
        let mut notices = listening.subscribe();
        let mut stop = std::pin::pin!(stop);
        let mut under_way = JoinSet::new();
        let stopping = tokio_util::sync::CancellationToken::new();
        loop {
            notices.clear();
            let room = self.settings.concurrency.max(1) - under_way.len();
            let mut is_full = room == 0;
            if !is_full {
                let token = Uuid::new_v4();
                match self.lease(room, token).await {
                    Ok(leased) => {
                        is_full = leased.len() == room;
                        for saga in leased {
                            let span = info_span!("saga", id = %saga.id, kind = saga.kind);
                            let work = self.clone().carry_out(saga, token, stopping.clone());
                            under_way.spawn(work.instrument(span));
                        }
                    }
                    Err(error) => warn!(%error, "cannot look for sagas"),
                }
            }
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = under_way.join_next() => said(ended),
                _ = notices.next(), if !is_full => {}
                () = tokio::time::sleep(self.settings.poll_interval), if !is_full => {}
            }
        }
        stopping.cancel();
        while let Some(ended) = under_way.join_next().await {
            said(ended);
        }
    }

    fn lease_duration(&self) -> Duration {
        self.settings.step_timeout + LEASE_MARGIN
    }

    async fn lease(&self, room: usize, token: Uuid) -> Result<Vec<Leased>, DatabaseError> {
        let kinds: Vec<&str> = self.definitions.keys().copied().collect();
        store::lease(&self.database, &kinds, room, token, self.lease_duration()).await
    }

    async fn carry_out(
        self,
        saga: Leased,
        token: Uuid,
        stopping: tokio_util::sync::CancellationToken,
    ) {
        let Some(definition) = self.definitions.get(saga.kind.as_str()) else {
            return;
        };
        let (mut stage, mut attempt) = (saga.stage(), saga.attempts());
        loop {
            match self
                .try_step(&saga, definition, stage, attempt, token)
                .await
            {
                Ok(Some(next)) => (stage, attempt) = (next, 1),
                Ok(None) => return,
                Err(error) => {
                    // Whatever was not committed is tried again after the lease.
                    warn!(%error, "cannot note a step");
                    return;
                }
            }
            if !matches!(stage, Stage::Forward { .. } | Stage::Backward { .. }) {
                return;
            }
            if stopping.is_cancelled() {
                return;
            }
        }
    }

    /// Tries the step of a stage once; the next stage if the saga goes on now.
    async fn try_step(
        &self,
        saga: &Leased,
        definition: &Definition,
        stage: Stage,
        attempt: u32,
        token: Uuid,
    ) -> Result<Option<Stage>, DatabaseError> {
        let (Stage::Forward { step: number } | Stage::Backward { step: number }) = stage else {
            return Ok(None);
        };
        let count = u32::try_from(definition.steps.len()).unwrap_or(u32::MAX);
        let Some(step) = definition.steps.get(number as usize) else {
            return self.out_of_steps(saga, stage, count, token).await;
        };
        let (direction, tries) = match stage {
            Stage::Backward { .. } => (Direction::Backward, self.settings.backward),
            _ => (Direction::Forward, self.settings.forward),
        };
        if attempt > tries.attempts {
            let reason = "nobody lived to tell what became of the last tries".to_owned();
            let outcome = (StepOutcome::Failed, reason);
            return self
                .not_done(saga, stage, outcome, attempt, tries, token)
                .await;
        }
        let Some(mut transaction) = self.held(saga.id, token).await? else {
            return Ok(None);
        };
        let work = perform(&mut transaction, saga, &**step, direction);
        let result = match tokio::time::timeout(self.settings.step_timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(StepError::Failed("it took too long".to_owned())),
        };
        let reason = match result {
            Ok(output) => {
                return self
                    .done(
                        transaction,
                        saga.id,
                        (number, step.name()),
                        stage,
                        &output,
                        count,
                    )
                    .await
                    .map(Some);
            }
            Err(StepError::Refused(reason)) => (StepOutcome::Refused, reason),
            Err(StepError::Failed(reason)) => (StepOutcome::Failed, reason),
        };
        transaction.rollback().await?;
        self.not_done(saga, stage, reason, attempt, tries, token)
            .await
    }

    async fn held(
        &self,
        saga: Uuid,
        token: Uuid,
    ) -> Result<Option<Transaction<'static, Postgres>>, DatabaseError> {
        let mut transaction = self.database.begin().await?;
        // A step that asks another service leaves the transaction idle.
        sqlx::query("select set_config('idle_in_transaction_session_timeout', $1, true)")
            .bind(format!("{}ms", self.lease_duration().as_millis()))
            .execute(&mut *transaction)
            .await?;
        if store::hold(&mut transaction, saga, token).await? {
            return Ok(Some(transaction));
        }
        warn!("another runner has taken it over");
        Ok(None)
    }

    async fn done(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        saga: Uuid,
        (number, name): (u32, &'static str),
        stage: Stage,
        output: &serde_json::Value,
        steps: u32,
    ) -> Result<Stage, DatabaseError> {
        if let Stage::Forward { .. } = stage {
            store::performed(&mut transaction, saga, number, name, output).await?;
        } else {
            store::undone(&mut transaction, saga, number).await?;
        }
        let next = match advance(stage, StepOutcome::Done, FIRST, steps) {
            Advance::To(next) => next,
            Advance::Again => stage,
        };
        let lease = self.lease_duration();
        store::moved(&mut transaction, saga, next, None, lease).await?;
        commit(transaction).await?;
        info!(step = name, ?next, "a step is done");
        Ok(next)
    }

    async fn not_done(
        &self,
        saga: &Leased,
        stage: Stage,
        (outcome, reason): (StepOutcome, String),
        attempt: u32,
        tries: Backoff,
        token: Uuid,
    ) -> Result<Option<Stage>, DatabaseError> {
        let Some(mut transaction) = self.held(saga.id, token).await? else {
            return Ok(None);
        };
        let wait = tries.after(attempt);
        let reason = shortened(&reason);
        let which = Try {
            is_first: attempt == 1,
            is_last: wait.is_none(),
        };
        let next = match (advance(stage, outcome, which, u32::MAX), wait) {
            (Advance::To(next), _) => {
                let lease = self.lease_duration();
                store::moved(&mut transaction, saga.id, next, Some(&reason), lease).await?;
                Some(next)
            }
            (Advance::Again, wait) => {
                let wait = wait.unwrap_or(tries.longest);
                store::postponed(&mut transaction, saga.id, &reason, wait).await?;
                None
            }
        };
        commit(transaction).await?;
        match next {
            // The reason may quote the saga's input: it stays in the table.
            Some(Stage::Stuck { step }) => error!(step, "a compensation is stuck"),
            Some(next) => warn!(?next, "a step was given up"),
            None => warn!(?stage, "a step is tried again"),
        }
        Ok(next)
    }

    /// The definition has fewer steps than when this saga came here.
    async fn out_of_steps(
        &self,
        saga: &Leased,
        stage: Stage,
        steps: u32,
        token: Uuid,
    ) -> Result<Option<Stage>, DatabaseError> {
        let Some(mut transaction) = self.held(saga.id, token).await? else {
            return Ok(None);
        };
        let (Stage::Forward { step } | Stage::Backward { step }) = stage else {
            return Ok(None);
        };
        let reason = format!("kind {} has only {steps} steps now", saga.kind);
        let stuck = Stage::Stuck { step };
        store::moved(
            &mut transaction,
            saga.id,
            stuck,
            Some(&reason),
            Duration::ZERO,
        )
        .await?;
        commit(transaction).await?;
        error!(step, reason, "a saga is stuck");
        Ok(None)
    }
}

async fn perform(
    transaction: &mut Transaction<'static, Postgres>,
    saga: &Leased,
    step: &dyn Step,
    direction: Direction,
) -> Result<serde_json::Value, StepError> {
    let outputs = store::outputs(transaction, saga.id).await?;
    let mut context = Context {
        saga: saga.id,
        step: step.name(),
        direction,
        input: &saga.input,
        outputs: &outputs,
        connection: transaction,
    };
    match direction {
        Direction::Forward => step.perform(&mut context).await,
        Direction::Backward => {
            step.compensate(&mut context).await?;
            Ok(serde_json::Value::Null)
        }
    }
}

/// A step that panicked keeps its saga's lease until it ends, and has used a try.
fn said(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a saga's step ended badly");
    }
}
