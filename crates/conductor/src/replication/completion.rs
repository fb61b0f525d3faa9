//! What becomes of finished work: its result is the state machine's next
//! command, its failure a reason to try again or to give up.

use super::{
    effect_result::EffectResult,
    retry::Retry,
    state::{Charge, Replication},
    work::{Finished, Work},
};
use crate::{
    journal::{JournalError, ReportKind, now_ms},
    ports::{HoldReport, Verification, WorkError},
    request::{Reply, Request, RequestError},
    status::VerifyStatus,
};
use protocol::{
    handover::Input,
    lifecycle::{Command, Verified},
};

impl Replication {
    /// Work has ended: its result becomes a command, or is tried again.
    pub(super) async fn finished(
        &mut self,
        work: &Work,
        result: Result<Finished, WorkError>,
    ) -> Result<(), JournalError> {
        match result {
            Ok(finished) => {
                if self
                    .failed_work
                    .take_if(|failed| *failed == work.name())
                    .is_some()
                {
                    // Not all that gets done is an event, which would say so.
                    self.trouble = None;
                    self.retry = Retry::default();
                }
                self.done(finished).await
            }
            Err(error) => self.failed(work, error).await,
        }
    }

    async fn done(&mut self, finished: Finished) -> Result<(), JournalError> {
        match finished {
            Finished::Looked(rows) => {
                self.looked(&rows).await?;
                return self.take_early().await;
            }
            Finished::Claimed(rows) => {
                self.claimed(&rows).await?;
                return self.take_early().await;
            }
            Finished::Checked(findings) => return self.checked(findings).await,
            Finished::Prepared => self.feed(Command::Prepared).await?,
            Finished::Copied => self.feed(Command::Copied).await?,
            Finished::Cancelled(cancelled) => {
                self.cancelled = Some(cancelled);
                self.context.journal.forget_reports(&self.name).await?;
                self.feed(Command::Cancelled).await?;
            }
            Finished::Kept => self.feed(Command::Finished).await?,
            Finished::Verified(verification) => self.verified(verification).await?,
            Finished::Unfenced(side) => self.unfenced = Some(side),
            Finished::Following => {
                self.following = true;
                if !self.context.mover.joining().is_empty() {
                    // What was proven was proven of the tables before.
                    self.disproven().await?;
                }
                self.reply_done(|request| request == Request::Start);
                self.reply_recopied();
                return self.take_early().await;
            }
            Finished::Joined => {
                // The stream may have gone back: nobody reads there before it has come on.
                self.staleness.withdraw();
                self.following = false;
            }
            Finished::Recopied(recopied) => {
                self.following = false;
                self.recopied = Some(recopied);
                // What was proven was proven of other rows.
                self.disproven().await?;
            }
            Finished::Resumed => {
                self.trouble = None;
                self.reply_done(|request| request == Request::Resume);
            }
            Finished::Reported(hold) => self.reported(hold).await?,
            Finished::Effect(EffectResult { input, waited_for }) => {
                self.waited_for(waited_for);
                failpoint::hit(match &input {
                    Input::Held(_) => "after-hold",
                    Input::Fenced => "after-fence",
                    Input::Decided(_) => "after-commit-point",
                    Input::Opened => "after-opening",
                    _ => "",
                });
                self.feed(Command::Handover(self.with_clock(input))).await?;
            }
        }
        Ok(())
    }

    /// The hold begins now, for the gateways that live now.
    fn with_clock(&self, input: Input) -> Input {
        match input {
            Input::Locked { .. } => Input::Locked {
                now: self.now(),
                hold: self.context.hold,
                gateways: self.context.publisher.gateways().live(),
            },
            other => other,
        }
    }

    async fn verified(&mut self, verification: Verification) -> Result<(), JournalError> {
        let at_ms = now_ms();
        let result = match verification.differences {
            0 => Verified::Agreed(u64::try_from(at_ms).unwrap_or_default()),
            _ => Verified::Differed,
        };
        self.last_verify = Some(VerifyStatus {
            rows: verification.rows,
            differences: verification.differences,
            at_ms,
            tables: verification.tables.clone(),
        });
        self.feed(Command::Verified(result)).await?;
        let journal = &self.context.journal;
        journal
            .keep_report(&self.name, ReportKind::Verify, &self.last_verify)
            .await?;
        journal
            .keep_report(&self.name, ReportKind::Verification, &verification)
            .await?;
        let done = Ok(Reply {
            verification: Some(verification),
            ..Reply::with(self.snapshot())
        });
        self.reply(|request| request == Request::Verify, &done);
        Ok(())
    }

    /// What the last verify has proven is so no more, also after a restart.
    async fn disproven(&mut self) -> Result<(), JournalError> {
        self.last_verify = None;
        let journal = &self.context.journal;
        journal
            .keep_report(&self.name, ReportKind::Verify, &self.last_verify)
            .await?;
        self.feed(Command::Verified(Verified::Never)).await
    }

    /// The rows were copied again, and are followed from there.
    fn reply_recopied(&mut self) {
        if let Some(recopied) = self.recopied.take() {
            let done = Ok(Reply {
                recopied: Some(recopied),
                ..Reply::with(self.snapshot())
            });
            self.reply(Request::is_recopy, &done);
        }
    }

    /// The gateways have released what they held: the report is complete.
    async fn reported(&mut self, hold: HoldReport) -> Result<(), JournalError> {
        let split_tables = self.split_tables();
        if let Some(handover) = self.last_handovers.newest_mut() {
            // One that was aborted before it held: these are an earlier one's.
            if handover.held() {
                handover.hold = hold;
            }
            if handover.outcome == "committed" {
                handover.split_tables = split_tables;
            }
            let kind = if handover.rehearsal {
                ReportKind::Rehearsal
            } else {
                ReportKind::Handover
            };
            let journal = &self.context.journal;
            journal.keep_report(&self.name, kind, handover).await?;
        }
        self.report_due = false;
        self.reply_done(Request::holds);
        self.take_early().await
    }

    /// Tables of which each side keeps its own.
    fn split_tables(&self) -> Vec<String> {
        let tables = self.context.mover.progress().shared_tables;
        let split = tables.into_iter().filter(|table| table.writes == "split");
        split.map(|table| table.table).collect()
    }

    /// A row is another than our claims led to: restored and older than our claim, or
    /// further than the hand-over. This one does not end by that: it takes charge as after
    /// a restart, where the rows go with the journal, and whoever waits goes on waiting.
    async fn look_anew(&mut self, text: String) {
        tracing::error!(extraction = %self.name, trouble = text, "taking charge anew");
        self.context.mover.stop_following().await;
        self.following = false;
        self.unfenced = None;
        self.charge = Charge::Unknown;
        self.trouble = Some(text);
        self.retry.failed();
    }

    async fn failed(&mut self, work: &Work, error: WorkError) -> Result<(), JournalError> {
        tracing::warn!(extraction = %self.name, work = work.name(), trouble = %error, "did not get done");
        if let WorkError::RowChanged(text) = error {
            self.look_anew(text).await;
            return Ok(());
        }
        let lost_to: Option<fn(String) -> JournalError> = match error {
            WorkError::Superseded(_) => Some(JournalError::Superseded),
            WorkError::InCharge(_) => Some(JournalError::InCharge),
            WorkError::Transient(_) | WorkError::Permanent(_) | WorkError::RowChanged(_) => None,
        };
        if let Some(lost) = lost_to {
            // Somebody else is in charge: claim nothing, route nothing.
            self.charge = Charge::Lost;
            let text = error.to_string();
            self.trouble = Some(text.clone());
            self.reply(|_| true, &Err(RequestError::Failed(text.clone())));
            return Err(lost(text));
        }
        if self.charge == Charge::Compared {
            // The claim did not come about: until the next, much may change.
            self.charge = Charge::Unknown;
        }
        let failed = Err(RequestError::Failed(error.to_string()));
        if *work == Work::Resume {
            // The stream's own trouble says it for as long as it lasts.
            self.reply(|request| request == Request::Resume, &failed);
            return Ok(());
        }
        if matches!(work, Work::Recopy(_)) {
            // No row has changed; the streams say again what is wrong with them.
            self.reply(Request::is_recopy, &failed);
            return Ok(());
        }
        self.trouble = Some(error.to_string());
        self.failed_work = Some(work.name());
        self.retry.failed();
        self.take_early().await?;
        match work {
            Work::Effect(_) => {
                let failed = Command::Handover(Input::Failed(error.to_string()));
                self.feed(failed).await?;
            }
            Work::Check => self.reply(|request| request == Request::Start, &failed),
            Work::Verify(_) => self.reply(|request| request == Request::Verify, &failed),
            // It may have ended the followers.
            Work::Join => self.following = false,
            // The rows were copied; what is wrong with the streams, the status says.
            Work::Follow => self.reply_recopied(),
            _ => {}
        }
        // It is tried again until it works; those who wait for it, or for what comes
        // after it, are told why not when it is not the network's fault.
        let ends_it = matches!(work, Work::Cancel(..) | Work::Finish(_));
        let comes_first = matches!(
            work,
            Work::Prepare(_) | Work::Copy | Work::Follow | Work::Join | Work::Unfence(_)
        );
        if ends_it && matches!(error, WorkError::Permanent(_)) {
            self.reply(
                |request| matches!(request, Request::Cancel { .. } | Request::Finish),
                &failed,
            );
        }
        if comes_first && matches!(error, WorkError::Permanent(_)) {
            self.reply(
                |request| matches!(request, Request::Start | Request::Resume | Request::Verify),
                &failed,
            );
        }
        Ok(())
    }
}
