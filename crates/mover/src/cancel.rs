//! Takes everything of ours away: the end of an extraction that has not
//! switched, without a trace.
//!
//! Refused unless both rows, where they are there, name the monolith. Then:
//!
//! 1. *Take charge* of both rows ([`crate::objects::removal`]). If the service's
//!    tables are to be emptied, its stream becomes `copying`: should this be
//!    killed and the extraction be started again instead, it is copied afresh.
//! 2. *Bring home* what the service has inserted into tables that both sides
//!    insert into: their fence closes at the service, and the reverse stream is
//!    followed to its end. Where they do not come in time, the service's tables
//!    are left as they are.
//! 3. *Drop the slots*, ending their readers.
//! 4. *Empty* the service's tables, if a copy was begun there and the service
//!    never owned the data: what is in them is a copy. Where it did own them
//!    for a while, only if that is asked for, and only if its fence still
//!    stands and nobody wrote past it. What cannot be emptied is left, and said.
//! 5. *Clear* the service's side, then the monolith's.
//!
//! Killed anywhere, a repeat goes on.

mod pending_rows;

use crate::{
    catalog,
    copy::indexes::{self, InCharge, Refused},
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
        sql,
    },
    error::MoverError,
    extraction::Mover,
    layout::SCHEMA,
    objects::{
        fence, joining, notes,
        owner::{Claims, RowLock},
        publication,
        removal::{Ending, Removal},
        sessions, slots,
    },
};
use plan::TableName;
use protocol::{ConductorId, Epoch, InstanceId, Side, owner::Claim, stream::Direction};
use serde::Serialize;
use tokio_postgres::{Transaction, error::SqlState};
use uuid::Uuid;

/// What was taken away, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cancelled {
    /// Whether there was anything of this extraction.
    pub found: bool,
    /// Tables of the service that were emptied.
    pub emptied: Vec<TableName>,
    /// Tables of the service that still have rows.
    pub left: Vec<TableName>,
    /// Why they were not emptied; `None` where only nobody asked for it.
    pub left_because: Option<String>,
    /// Indexes of the service that a copy had put off and its database would not make
    /// again: their statements, and why.
    pub lost_indexes: Vec<String>,
}

impl Mover {
    /// Ends an extraction that has not switched, and leaves both databases as
    /// they were before it was prepared; rows that the service's tables have
    /// since it owned them for a while stay, and are told. With `whose`, only that
    /// instance is ended: another one is refused. May be repeated.
    pub async fn cancel(&self, whose: Option<InstanceId>) -> Result<Cancelled, MoverError> {
        self.end(whose, false).await
    }

    /// The same, and the service's tables are emptied in any case, if nobody
    /// else can have written them.
    pub async fn cancel_and_empty(
        &self,
        whose: Option<InstanceId>,
    ) -> Result<Cancelled, MoverError> {
        self.end(whose, true).await
    }

    async fn end(&self, whose: Option<InstanceId>, empty: bool) -> Result<Cancelled, MoverError> {
        let (mut monolith, mut service) = sessions::both_at_work(self).await?;
        let removal = Removal::new(self, Ending::Cancel, whose);
        // Both are asked before either is changed.
        for session in [&monolith, &service] {
            removal.allowed(session).await?;
        }
        let conductor = ConductorId(Uuid::new_v4());
        let old = removal.take_charge(&mut monolith, conductor).await?;
        let new = removal.take_charge(&mut service, conductor).await?;
        let mut cancelled = Cancelled {
            found: old.or(new).is_some(),
            ..Cancelled::default()
        };
        let kept = match (old, new) {
            (Some((_, monolith_claim)), Some((_, service_claim))) => {
                let claims = Claims {
                    monolith: monolith_claim,
                    service: service_claim,
                };
                let home = self.bring_home(&removal, &monolith, &mut service, &claims);
                home.await?
            }
            _ => Vec::new(),
        };
        let emptying = match new {
            Some((row, claim)) => {
                let untouched = row.epoch == Epoch::default();
                Some((claim, untouched || empty))
            }
            None => None,
        };
        if let Some((claim, true)) = emptying {
            self.forget_copy(&removal, &mut service, claim).await?;
        }
        let layout = self.layout();
        if removal.may_have_slots(old.or(new)) {
            let forward = layout.slot(Direction::Forward);
            cancelled.found |= slots::drop_if_exists(&monolith, &forward).await?;
            let reverse = layout.slot(Direction::Reverse);
            cancelled.found |= slots::drop_if_exists(&service, &reverse).await?;
        }
        if let Some((claim, empties)) = emptying {
            let name = &self.extraction.name;
            let tables =
                publication::published(&*service, Side::Service, &layout.publication()).await?;
            let strangers = notes::discarded(&*monolith, Side::Monolith, name).await?;
            if empties {
                let allowed = match strangers {
                    _ if !kept.is_empty() => Err(format!(
                        "rows that the service added to {} have not come to the monolith",
                        kept.iter()
                            .map(ToString::to_string)
                            .collect::<Vec<_>>()
                            .join(", ")
                    )),
                    // Without the monolith's row nothing was brought home.
                    _ if old.is_none() && self.extraction.appends() => Err(
                        "the monolith's side has nothing of the extraction any more, so rows that \
                         the service added may not have come to it"
                            .to_owned(),
                    ),
                    Some(rows) => Err(format!(
                        "{} changes of rows were written there past the fence",
                        rows.rows
                    )),
                    None => Ok(()),
                };
                match self
                    .empty(&removal, &mut service, claim, &tables, allowed)
                    .await
                {
                    Ok(emptied) => cancelled.emptied = emptied,
                    Err(NotEmptied::Because(why)) => cancelled.left_because = Some(why),
                    Err(NotEmptied::Failed(error)) => return Err(error),
                }
            }
            let others = tables
                .iter()
                .filter(|table| !cancelled.emptied.contains(table));
            cancelled.left = filled(&service, others).await?;
            self.tell_untouched(&service, &tables, &mut cancelled)
                .await?;
        }
        if let Some((_, claim)) = new {
            let ended = Ended {
                removal: &removal,
                claim,
            };
            cancelled.lost_indexes = indexes::give_back(self, &ended, Refused::GivenUp).await?;
            removal.clear(&mut service, claim).await?;
        }
        if let Some((_, claim)) = old {
            removal.clear(&mut monolith, claim).await?;
        }
        tracing::info!(extraction = %self.extraction.name, found = cancelled.found, "cancelled");
        Ok(cancelled)
    }

    /// Tables that were let join and are not copied have no rows of ours. Those that
    /// the service has put there since are never emptied, but would be in the way of
    /// the next copy.
    async fn tell_untouched(
        &self,
        service: &Session,
        copied: &[TableName],
        cancelled: &mut Cancelled,
    ) -> Result<(), MoverError> {
        let joining = joining::read(&**service, &self.extraction).await?;
        let untouched = joining.untouched(&self.extraction, Side::Service);
        let others = untouched.iter().filter(|table| !copied.contains(table));
        let filled = filled(service, others).await?;
        if filled.is_empty() {
            return Ok(());
        }
        let named: Vec<String> = filled.iter().map(ToString::to_string).collect();
        let why = format!(
            "{} may join and is not copied: what is there is the service's own",
            named.join(", ")
        );
        let because = match cancelled.left_because.take() {
            Some(before) => format!("{before}; {why}"),
            None if cancelled.left.is_empty() => why,
            None => format!("the service owned them for a while; {why}"),
        };
        cancelled.left_because = Some(because);
        cancelled.left.extend(filled);
        Ok(())
    }

    /// The copy at the service counts no more, if there is one.
    async fn forget_copy(
        &self,
        removal: &Removal<'_>,
        service: &mut Session,
        claim: Claim,
    ) -> Result<(), MoverError> {
        let wrap = || MoverError::sql(Side::Service, "giving up the copy");
        let transaction = lock_retry::begin(service).await?;
        removal
            .locked(&transaction, Side::Service, claim, RowLock::Update)
            .await?;
        let update = format!("update {SCHEMA}.stream set state = 'copying' where extraction = $1");
        transaction
            .execute(&update, &[&self.extraction.name.as_str()])
            .await
            .map_err(wrap())?;
        transaction.commit().await.map_err(wrap())
    }

    /// Empties what was copied, whole or not at all.
    async fn empty(
        &self,
        removal: &Removal<'_>,
        service: &mut Session,
        claim: Claim,
        tables: &[TableName],
        allowed: Result<(), String>,
    ) -> Result<Vec<TableName>, NotEmptied> {
        allowed.map_err(NotEmptied::Because)?;
        for table in tables {
            // One that was made again under its name has none: its rows are not ours.
            if !fence::is_fenced(&**service, Side::Service, table).await? {
                return Err(NotEmptied::Because(format!(
                    "{table} has no fence any more"
                )));
            }
        }
        let mut retry = LockRetry::new("emptying the copy (a table is locked)");
        loop {
            match self.try_empty(removal, service, claim, tables).await {
                Ok(emptied) => return Ok(emptied),
                // A right that is missing, a foreign key of a table that is not
                // of the extraction: trying again does not help.
                Err(MoverError::Sql { source, .. })
                    if source.as_db_error().is_some() && !lock_retry::met_a_lock(&source) =>
                {
                    let why = source.as_db_error().map(|error| error.message().to_owned());
                    return Err(NotEmptied::Because(why.unwrap_or_default()));
                }
                Err(error) => retry.wait_after(service, error).await?,
            }
        }
    }

    /// A copy that never began has no stream's row.
    async fn try_empty(
        &self,
        removal: &Removal<'_>,
        service: &mut Session,
        claim: Claim,
        tables: &[TableName],
    ) -> Result<Vec<TableName>, MoverError> {
        let wrap = || MoverError::sql(Side::Service, "emptying the copy");
        let transaction = lock_retry::begin(service).await?;
        removal
            .locked(&transaction, Side::Service, claim, RowLock::Share)
            .await?;
        let begun = format!("select 1 from {SCHEMA}.stream where extraction = $1");
        let begun = transaction
            .query_opt(&begun, &[&self.extraction.name.as_str()])
            .await
            .map_err(wrap())?;
        if begun.is_none() || tables.is_empty() {
            return Ok(Vec::new());
        }
        let truncate = format!("truncate {}", sql::tables(tables));
        transaction.batch_execute(&truncate).await.map_err(wrap())?;
        let layout = self.layout();
        for table in fence::appended_tables(&transaction, Side::Service, &layout).await? {
            begin_sequences_anew(&transaction, &table).await?;
        }
        transaction.commit().await.map_err(wrap())?;
        Ok(tables.to_vec())
    }
}

/// Whoever ends it, at the service.
struct Ended<'a> {
    removal: &'a Removal<'a>,
    claim: Claim,
}

impl InCharge for Ended<'_> {
    async fn check(&self, transaction: &Transaction<'_>) -> Result<(), MoverError> {
        self.removal
            .locked(transaction, Side::Service, self.claim, RowLock::Share)
            .await
    }
}

/// Why the service's tables were not emptied.
enum NotEmptied {
    /// They must not or cannot be, and that stays so.
    Because(String),
    /// It did not work.
    Failed(MoverError),
}

impl From<MoverError> for NotEmptied {
    fn from(error: MoverError) -> Self {
        Self::Failed(error)
    }
}

/// The tables that have rows, and those in which our role may not look.
async fn filled(
    session: &Session,
    tables: impl Iterator<Item = &TableName>,
) -> Result<Vec<TableName>, MoverError> {
    let mut filled = Vec::new();
    for table in tables {
        let select = format!("select exists (select from {})", sql::table(table));
        let has_rows = match session.query_one(&select, &[]).await {
            Ok(row) => row.get(0),
            // What is not known is no reason not to end.
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => true,
            Err(source) => {
                let doing = "looking whether tables are empty";
                return Err(MoverError::sql(session.side(), doing)(source));
            }
        };
        if has_rows {
            filled.push(table.clone());
        }
    }
    Ok(filled)
}

/// Sequences that were moved into a range of the service's own begin where they
/// were made to.
async fn begin_sequences_anew(
    transaction: &tokio_postgres::Transaction<'_>,
    table: &TableName,
) -> Result<(), MoverError> {
    let described = catalog::table_of(transaction, Side::Service, table).await?;
    let columns = described.map(|table| table.columns).unwrap_or_default();
    for sequence in columns.iter().filter_map(|column| column.sequence.as_ref()) {
        transaction
            .execute(
                "select setval(seqrelid::regclass, seqstart, false) from pg_sequence \
                 where seqrelid = $1::text::regclass",
                &[sequence],
            )
            .await
            .map_err(MoverError::sql(Side::Service, "taking a sequence back"))?;
    }
    Ok(())
}
