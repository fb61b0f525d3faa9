//! Taking charge: the rows are claimed, then compared with the journal.

use super::{Loop, Retry};
use crate::{journal::JournalError, ports::Rows};
use protocol::reconcile::reconcile;

impl Loop {
    /// The rows have been claimed. A refusal is not tried again by itself
    /// any faster than the databases can change: somebody has to look.
    pub(super) async fn recovered(&mut self, rows: &Rows) -> Result<(), JournalError> {
        let events = match reconcile(&self.state, rows.monolith, rows.service, rows.copied) {
            Ok(events) => events,
            Err(refusal) => {
                if self.trouble.as_deref() != Some(refusal.to_string().as_str()) {
                    tracing::error!(extraction = %self.name, %refusal, "not taking charge");
                }
                self.trouble = Some(refusal.to_string());
                self.retry.failed();
                return Ok(());
            }
        };
        self.record(events).await?;
        self.ready = true;
        self.trouble = None;
        self.retry = Retry::default();
        tracing::info!(extraction = %self.name, phase = self.state.name(), "took charge");
        Ok(())
    }
}
