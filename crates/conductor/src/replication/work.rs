//! The pieces of work that a state asks for, and how each is begun.

use super::{context::Context, effect::DueEffect, effect_result::EffectResult};
use crate::ports::{Cancellation, HoldReport, Recopied, Rows, Verification, WorkError};
use futures_util::{FutureExt, future::BoxFuture};
use protocol::{InstanceId, Side, finding::Finding};
use std::sync::Arc;

/// Work that is due. Two are the same work when they are equal: what is
/// running then goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Read the rows.
    Look,
    /// Claim them.
    Claim,
    /// Look whether it can be moved.
    Check,
    Prepare(InstanceId),
    Copy,
    Follow,
    /// Copy the tables that were added.
    Join,
    /// Try the streams again now.
    Resume,
    /// Have the streams begin anew, from this owner.
    Recopy(Side),
    /// Whose rows, `None` for whatever there is; and whether the service's tables are to
    /// be emptied in any case.
    Cancel(Option<InstanceId>, bool),
    Finish(InstanceId),
    Verify(Side),
    Unfence(Side),
    /// Ask the gateways how long they held.
    Report,
    Effect(DueEffect),
}

/// What finished work led to.
pub(super) enum Finished {
    Looked(Rows),
    Claimed(Rows),
    Checked(Vec<Finding>),
    Prepared,
    Copied,
    Following,
    Joined,
    Resumed,
    Recopied(Recopied),
    Cancelled(Cancellation),
    Kept,
    Verified(Verification),
    Unfenced(Side),
    Reported(HoldReport),
    Effect(EffectResult),
}

impl Work {
    /// Its name, for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Claim => "claim",
            Self::Check => "check",
            Self::Prepare(_) => "prepare",
            Self::Copy => "copy",
            Self::Follow => "follow",
            Self::Join => "join",
            Self::Resume => "resume",
            Self::Recopy(_) => "recopy",
            Self::Cancel(..) => "cancel",
            Self::Finish(_) => "finish",
            Self::Verify(_) => "verify",
            Self::Unfence(_) => "unfence",
            Self::Report => "report",
            Self::Effect(due) => due.name(),
        }
    }

    /// Begins it. What asks databases ends when one of them no longer answers.
    pub(super) fn begin(
        &self,
        context: &Context,
    ) -> BoxFuture<'static, Result<Finished, WorkError>> {
        let work = self.begin_waiting(context);
        let asks_nothing = match self {
            Self::Report => true,
            Self::Effect(due) => due.asks_gateways(),
            _ => false,
        };
        if asks_nothing {
            return work;
        }
        let mover = Arc::clone(&context.mover);
        Box::pin(async move {
            tokio::select! {
                biased;
                done = work => done,
                silence = mover.unanswered() => Err(silence),
            }
        })
    }

    fn begin_waiting(&self, context: &Context) -> BoxFuture<'static, Result<Finished, WorkError>> {
        let mover = Arc::clone(&context.mover);
        let conductor = context.conductor;
        match self.clone() {
            Self::Look => Box::pin(async move { mover.look().await.map(Finished::Looked) }),
            Self::Claim => {
                Box::pin(async move { mover.claim(conductor).await.map(Finished::Claimed) })
            }
            Self::Check => Box::pin(async move { mover.check().await.map(Finished::Checked) }),
            Self::Prepare(instance) => Box::pin(async move {
                mover
                    .prepare(instance, conductor)
                    .await
                    .map(|()| Finished::Prepared)
            }),
            Self::Copy => Box::pin(async move { mover.copy().await.map(|()| Finished::Copied) }),
            Self::Follow => {
                Box::pin(async move { mover.follow().await.map(|()| Finished::Following) })
            }
            Self::Join => Box::pin(async move { mover.join().await.map(|()| Finished::Joined) }),
            Self::Resume => {
                Box::pin(async move { mover.resume().await.map(|()| Finished::Resumed) })
            }
            Self::Recopy(owner) => {
                Box::pin(async move { mover.recopy(owner).await.map(Finished::Recopied) })
            }
            Self::Cancel(whose, empty) => Box::pin(async move {
                mover.stop_following().await;
                mover.cancel(whose, empty).await.map(Finished::Cancelled)
            }),
            Self::Finish(whose) => Box::pin(async move {
                mover.stop_following().await;
                mover.finish(whose).await.map(|()| Finished::Kept)
            }),
            Self::Verify(owner) => {
                Box::pin(async move { mover.verify(owner).await.map(Finished::Verified) })
            }
            Self::Unfence(side) => {
                Box::pin(
                    async move { mover.unfence(side).await.map(|()| Finished::Unfenced(side)) },
                )
            }
            Self::Report => {
                let gateways = Arc::clone(context.publisher.gateways());
                let name = context.extraction.name.clone();
                Box::pin(async move { Ok(Finished::Reported(gateways.hold_report(&name).await)) })
            }
            Self::Effect(due) => due
                .begin(context)
                .map(|result| result.map(Finished::Effect))
                .boxed(),
        }
    }
}
