//! What people ask of an extraction, and how they are answered.

use super::{Charge, Loop, Shift};
use crate::{
    journal::JournalError,
    ports::{Mover, Verification},
    status::ExtractionStatus,
};
use plan::Percent;
use protocol::{
    InstanceId, Nonce, Side,
    finding::{Finding, Severity},
    lifecycle::{Command, Lifecycle, Rejection, Verified},
    shared_data,
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

/// Questions that may wait for a worker; more are told to come back.
const QUESTIONS: usize = 32;

/// What people can ask of an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Prepare, copy, follow.
    Start,
    /// Change the share of reads, of writes, or of both.
    Shift(Shift),
    /// Send back to the monolith what can go back without a hand-over.
    Withdraw,
    /// Compare both sides.
    Verify,
    /// Hand over to the service, or back.
    HandOver(Side),
    /// End it without a trace.
    Cancel,
}

/// Why something asked for was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// Not in this state. Nothing was touched.
    #[error("{0}")]
    State(#[from] Rejection),
    /// The same, where both sides share the data.
    #[error("{0}")]
    Shared(#[from] shared_data::Rejection),
    /// Its writes have one owner. Nothing was touched.
    #[error(
        "its data move (`mode: replicate`), so that its writes have one owner and cannot be split. \
         `banyan switch` hands all of them over; a share of them needs `mode: shared`, where both \
         sides work on the same tables"
    )]
    NotShared,
    /// `check` says no. Nothing was touched.
    #[error("it cannot be moved as it is: see `banyan check`")]
    Findings(Vec<Finding>),
    /// It did not work.
    #[error("{0}")]
    Failed(String),
}

/// The answer: the status when it was done, and the report of a verify.
pub type Answer = Result<(ExtractionStatus, Option<Verification>), Refused>;

pub(crate) struct Question {
    pub(crate) asked: Asked,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// The way to one extraction's loop. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    questions: mpsc::Sender<Question>,
    status: watch::Receiver<ExtractionStatus>,
    /// `None`: both sides share the data.
    mover: Option<Arc<dyn Mover>>,
}

impl Worker {
    /// One whose loop answers what comes, and says how it stands.
    pub(crate) fn new(
        mover: Option<Arc<dyn Mover>>,
    ) -> (
        Self,
        mpsc::Receiver<Question>,
        watch::Sender<ExtractionStatus>,
    ) {
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let (says, status) = watch::channel(ExtractionStatus::default());
        let worker = Self {
            questions,
            status,
            mover,
        };
        (worker, asked, says)
    }

    /// Whether its writes can be split: both sides share the data.
    pub fn splits_writes(&self) -> bool {
        self.mover.is_none()
    }

    /// Asks, and waits until it is done. Giving up waiting stops nothing.
    pub async fn ask(&self, asked: Asked) -> Answer {
        let (reply, answer) = oneshot::channel();
        let gone = || Refused::Failed("banyan is stopping; ask again when it runs".to_owned());
        self.questions
            .try_send(Question { asked, reply })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    Refused::Failed("too many questions wait already; try again".to_owned())
                }
                mpsc::error::TrySendError::Closed(_) => gone(),
            })?;
        answer.await.map_err(|_| gone())?
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

impl Loop {
    pub(super) fn waits_for(&self, asked: Asked) -> bool {
        self.waiting.iter().any(|question| question.asked == asked)
    }

    pub(super) async fn asked(&mut self, question: Question) -> Result<(), JournalError> {
        if self.charge != Charge::Taken {
            match &self.trouble {
                // The first look at the databases is under way: no reason to
                // turn anybody away.
                None => self.early.push(question),
                Some(trouble) => {
                    let text = format!("not in charge of `{}` yet: {trouble}", self.name);
                    drop(question.reply.send(Err(Refused::Failed(text))));
                }
            }
            return Ok(());
        }
        let command = match question.asked {
            // Looked at first; the command follows when `check` is content.
            Asked::Start if self.state == Lifecycle::Planned => {
                self.waiting.push(question);
                return Ok(());
            }
            Asked::Start => Command::Start {
                instance: InstanceId(Uuid::new_v4()),
            },
            Asked::Shift(Shift::Reads(share)) => Command::ShiftReads(share),
            Asked::Shift(Shift::Writes(_) | Shift::Both { .. }) => {
                drop(question.reply.send(Err(Refused::NotShared)));
                return Ok(());
            }
            Asked::Withdraw => Command::ShiftReads(Percent::ZERO),
            Asked::HandOver(to) => Command::HandOver {
                to,
                nonce: Nonce(Uuid::new_v4()),
            },
            Asked::Cancel => Command::Cancel,
            Asked::Verify => {
                // Asks whether it may be; nothing happens until it has ended.
                if let Err(rejection) = self.state.decide(Command::Verified(Verified::Never)) {
                    drop(question.reply.send(Err(rejection.into())));
                } else {
                    self.waiting.push(question);
                }
                return Ok(());
            }
        };
        match self.apply(command).await? {
            Err(rejection) => drop(question.reply.send(Err(rejection.into()))),
            Ok(()) if matches!(question.asked, Asked::Shift(_) | Asked::Withdraw) => {
                drop(question.reply.send(Ok((self.snapshot(), None))));
            }
            Ok(()) => self.waiting.push(question),
        }
        Ok(())
    }

    /// Whoever asked early is answered now, one way or the other.
    pub(super) async fn ask_again(&mut self) -> Result<(), JournalError> {
        for question in std::mem::take(&mut self.early) {
            Box::pin(self.asked(question)).await?;
        }
        Ok(())
    }

    /// `check` has looked whether it may be started.
    pub(super) async fn checked(&mut self, findings: Vec<Finding>) -> Result<(), JournalError> {
        if findings
            .iter()
            .any(|finding| finding.severity == Severity::Refuse)
        {
            self.answer(
                |asked| asked == Asked::Start,
                &Err(Refused::Findings(findings)),
            );
            return Ok(());
        }
        let start = Command::Start {
            instance: InstanceId(Uuid::new_v4()),
        };
        self.feed(start).await?;
        Ok(())
    }

    /// Answers those who wait for something.
    pub(super) fn answer(&mut self, which: impl Fn(Asked) -> bool, answer: &Answer) {
        let (answered, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|question| which(question.asked));
        self.waiting = kept;
        for Question { reply, .. } in answered {
            // Whoever asked may have left.
            drop(reply.send(answer.clone()));
        }
    }
}
