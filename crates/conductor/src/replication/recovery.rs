//! Taking charge: the rows are read and compared with the journal, then claimed,
//! then compared again, since they may have changed in between.
//!
//! Who finds somebody else in charge, or rows that a conductor has claimed of
//! which its journal knows nothing, has changed nothing, and ends.

use super::{
    retry::Retry,
    state::{Charge, Replication},
};
use crate::{journal::JournalError, ports::Rows, request::RequestError};
use protocol::{
    lifecycle::Lifecycle,
    reconcile::{Refusal, recognise, reconcile},
};

impl Replication {
    /// The rows have been read. What follows from them is not written down yet:
    /// only that they are about to be claimed, and by whom.
    pub(super) async fn looked(&mut self, rows: &Rows) -> Result<(), JournalError> {
        let journal = &self.context.journal;
        // Cancelling and finishing claim as conductors of their own.
        if !matches!(
            self.lifecycle,
            Lifecycle::Cancelling { .. } | Lifecycle::Finishing(_)
        ) {
            let known = journal.claimants(&self.name).await?;
            if let Err(refusal) = recognise(&known, rows.monolith, rows.service) {
                self.refused(&refusal).await;
                return Err(JournalError::OldState(format!(
                    "extraction `{}`: {refusal}",
                    self.name
                )));
            }
        }
        if let Err(refusal) = reconcile(&self.lifecycle, rows.monolith, rows.service, rows.copied) {
            self.refused(&refusal).await;
            return Ok(());
        }
        let (journal, conductor) = (&self.context.journal, self.context.conductor);
        journal.record_claimant(&self.name, conductor).await?;
        self.charge = Charge::Compared;
        self.trouble = None;
        Ok(())
    }

    /// The rows have been claimed. A refusal is not tried again by itself
    /// any faster than the databases can change: somebody has to look.
    pub(super) async fn claimed(&mut self, rows: &Rows) -> Result<(), JournalError> {
        let events = match reconcile(&self.lifecycle, rows.monolith, rows.service, rows.copied) {
            Ok(events) => events,
            Err(refusal) => {
                self.refused(&refusal).await;
                return Ok(());
            }
        };
        self.record(events).await?;
        self.charge = Charge::Taken;
        self.trouble = None;
        self.retry = Retry::default();
        tracing::info!(extraction = %self.name, phase = self.lifecycle.name(), "took charge");
        Ok(())
    }

    async fn refused(&mut self, refusal: &Refusal) {
        // A database that does not answer contradicts nothing.
        self.charge = match refusal {
            Refusal::Unreachable(_) if self.charge != Charge::Lost => Charge::Unknown,
            _ => Charge::Lost,
        };
        // Whoever can go on from these rows may.
        self.context.mover.leave().await;
        let refusal = refusal.to_string();
        if self.trouble.as_ref() != Some(&refusal) {
            tracing::error!(extraction = %self.name, refusal, "not taking charge");
        }
        if self.charge == Charge::Lost {
            // What somebody waits for was under way, and does not go on.
            self.reply(|_| true, &Err(RequestError::Failed(refusal.clone())));
        }
        self.trouble = Some(refusal);
        self.retry.failed();
    }
}
