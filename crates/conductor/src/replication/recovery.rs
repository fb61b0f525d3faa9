//! Taking charge: the rows are claimed, then compared with the journal.

use super::{
    retry::Retry,
    state::{Charge, Replication},
};
use crate::{journal::JournalError, ports::Rows};
use protocol::reconcile::{Refusal, reconcile};

impl Replication {
    /// The rows have been claimed. A refusal is not tried again by itself
    /// any faster than the databases can change: somebody has to look.
    pub(super) async fn recovered(&mut self, rows: &Rows) -> Result<(), JournalError> {
        let events = match reconcile(&self.lifecycle, rows.monolith, rows.service, rows.copied) {
            Ok(events) => events,
            Err(refusal) => {
                self.refused(&refusal);
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

    fn refused(&mut self, refusal: &Refusal) {
        // A database that does not answer contradicts nothing.
        if !matches!(refusal, Refusal::Unreachable(_)) {
            self.charge = Charge::Lost;
        }
        let refusal = refusal.to_string();
        if self.trouble.as_ref() != Some(&refusal) {
            tracing::error!(extraction = %self.name, refusal, "not taking charge");
        }
        self.trouble = Some(refusal);
        self.retry.failed();
    }
}
