//! What becomes of a request: a command now, work first, or a refusal.

use super::state::{Charge, Replication};
use crate::{
    journal::JournalError,
    request::{Reply, Request, RequestError, Shift, ShownOwner},
    worker::PendingRequest,
};
use protocol::{
    InstanceId, Nonce, Side,
    finding::{Finding, Severity},
    lifecycle::{Command, Lifecycle, Verified},
};
use uuid::Uuid;

impl Replication {
    pub(super) async fn requested(&mut self, pending: PendingRequest) -> Result<(), JournalError> {
        if pending.request == Request::Resume {
            self.retry.now();
        }
        if self.charge != Charge::Taken {
            match &self.trouble {
                // The first look at the databases is under way: no reason to
                // turn anybody away.
                None => self.early.push(pending),
                Some(trouble) => {
                    let text = format!("not in charge of `{}` yet: {trouble}", self.name);
                    pending.reply(Err(RequestError::Failed(text)));
                }
            }
            return Ok(());
        }
        let joins = || self.joins_before(pending.request).map(RequestError::Failed);
        if let Some(refusal) = pending.is_late(&self.snapshot()).or_else(joins) {
            pending.reply(Err(refusal));
            return Ok(());
        }
        let command = match pending.request {
            // Looked at first; the command follows when `check` is content.
            Request::Start if self.lifecycle == Lifecycle::Planned => {
                self.waiting.push(pending);
                return Ok(());
            }
            Request::Start => start(),
            Request::Shift(Shift::Reads(share)) => Command::ShiftReads(share),
            Request::Shift(Shift::Writes(_) | Shift::Both { .. }) => {
                pending.reply(Err(RequestError::NotShared));
                return Ok(());
            }
            Request::Withdraw => Command::Withdraw,
            // It would throw away what was read so far.
            Request::Switch | Request::RollBack(_) | Request::Rehearse
                if self.agreed_recopy().is_some() =>
            {
                let text =
                    "its rows are being copied again (`banyan recopy`): wait until that ends";
                pending.reply(Err(RequestError::Failed(text.to_owned())));
                return Ok(());
            }
            // What waits for the report of the last one would be told of this one.
            Request::Switch | Request::RollBack(_) | Request::Rehearse
                if self.report_due && self.trouble.is_none() =>
            {
                self.early.push(pending);
                return Ok(());
            }
            // They are being started: no reason to turn it away.
            Request::Switch | Request::RollBack(_) | Request::Rehearse
                if self.trouble.is_none()
                    && !self.following
                    && matches!(self.lifecycle, Lifecycle::Owned(_)) =>
            {
                self.early.push(pending);
                return Ok(());
            }
            Request::Switch => hand_over(Side::Service),
            Request::RollBack(_) => hand_over(Side::Monolith),
            Request::Rehearse => Command::Rehearse {
                nonce: Nonce(Uuid::new_v4()),
            },
            Request::Cancel { .. } => Command::Cancel,
            Request::Finish => Command::Finish,
            // What is under way in other states is tried again at once, too.
            Request::Resume if matches!(self.lifecycle, Lifecycle::Owned(_)) => {
                self.waiting.push(pending);
                return Ok(());
            }
            Request::Recopy(shown) => {
                self.recopy(pending, shown);
                return Ok(());
            }
            Request::Resume => {
                pending.reply(Ok(Reply::with(self.snapshot())));
                return Ok(());
            }
            Request::Verify => {
                // Only whether it may be; nothing happens until it has ended.
                match self.lifecycle.decide(Command::Verified(Verified::Never)) {
                    Err(rejection) => pending.reply(Err(rejection.into())),
                    Ok(_) => self.waiting.push(pending),
                }
                return Ok(());
            }
        };
        let applied = match self.apply(command).await {
            Err(error @ JournalError::Storage { .. }) => {
                pending.reply(Err(RequestError::Failed(error.unwritten())));
                return Ok(());
            }
            applied => applied?,
        };
        match applied {
            Err(rejection) => pending.reply(Err(rejection.into())),
            Ok(())
                if matches!(pending.request, Request::Shift(_) | Request::Withdraw)
                    || matches!(self.lifecycle, Lifecycle::Finished(_)) =>
            {
                pending.reply(Ok(Reply::with(self.snapshot())));
            }
            Ok(()) => self.waiting.push(pending),
        }
        Ok(())
    }

    /// Whose rows are lost was agreed to of one owner, at one epoch.
    fn recopy(&mut self, pending: PendingRequest, shown: ShownOwner) {
        match &self.lifecycle {
            Lifecycle::Owned(owned) if (owned.by, owned.epoch) == (shown.owner, shown.epoch) => {
                self.waiting.push(pending);
            }
            Lifecycle::Owned(owned) => pending.reply(Err(RequestError::OwnerChanged {
                shown,
                now: owned.by,
                epoch: owned.epoch,
            })),
            state => pending.reply(Err(state.rejection().into())),
        }
    }

    /// Why a request has to wait for tables that are being added: it would end their
    /// copy, or need it.
    fn joins_before(&self, request: Request) -> Option<String> {
        let waits = matches!(
            request,
            Request::Switch
                | Request::RollBack(_)
                | Request::Rehearse
                | Request::Verify
                | Request::Resume
        );
        let joining = self.context.mover.joining();
        (waits && !joining.is_empty()).then(|| {
            format!(
                "{} being added to it: wait until `banyan status` shows that the copy is done{}",
                match joining.as_slice() {
                    [one] => format!("{one} is"),
                    more => format!("{} are", more.join(", ")),
                },
                match &self.trouble {
                    Some(trouble) => format!(". It is not, because {trouble}"),
                    None => String::new(),
                }
            )
        })
    }

    /// The databases have been looked at: early requests are taken or refused.
    pub(super) async fn take_early(&mut self) -> Result<(), JournalError> {
        for pending in std::mem::take(&mut self.early) {
            Box::pin(self.requested(pending)).await?;
        }
        Ok(())
    }

    /// `check` has looked whether it may be started.
    pub(super) async fn checked(&mut self, findings: Vec<Finding>) -> Result<(), JournalError> {
        if findings
            .iter()
            .any(|finding| finding.severity == Severity::Refuse)
        {
            let refused = Err(RequestError::Findings(findings));
            self.reply(|request| request == Request::Start, &refused);
            return Ok(());
        }
        self.feed(start()).await
    }
}

fn hand_over(to: Side) -> Command {
    Command::HandOver {
        to,
        nonce: Nonce(Uuid::new_v4()),
    }
}

fn start() -> Command {
    Command::Start {
        instance: InstanceId(Uuid::new_v4()),
    }
}
