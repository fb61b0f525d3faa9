//! The first, consistent copy of the tables.
//!
//! The forward slot is made with an exported snapshot: what the snapshot sees
//! is copied, what comes after it is in the slot. Killed anywhere, the copy is
//! started over, and once it is done it is never made again. What is true
//! after each step:
//!
//! | killed after | forward stream's row | slot | tables | a repeat |
//! |---|---|---|---|---|
//! | nothing yet | none | none | empty | begins |
//! | *begin*: row written | `copying` | none | empty | empties, begins |
//! | slot made | `copying` | there, its snapshot gone with the session | empty | drops the slot, empties, begins |
//! | some tables committed | `copying` | there | partly filled | the same |
//! | *finish*: row changed | `applying` at the slot's position | there | as the snapshot | does nothing |
//!
//! Emptying is the dangerous step: it happens in one transaction that has
//! locked the service's row, found the monolith as its owner, and found the
//! stream `copying`. A table that has rows while there is no stream's row is
//! not a copy of ours, and refused.
//!
//! Later, where the change stream of a direction has lost changes, *recopy* makes
//! the side that does not own equal to the owner again, in one transaction.
//!
//! What a snapshot shows of a table that was truncated or rewritten after it was
//! taken is an empty table (see PostgreSQL's manual, "Caveats" of concurrency
//! control), and a rewrite writes no change into the log. So the files of each
//! table are compared: before the slot is made, and behind the table's copy,
//! whose lock is still held. Where they differ, the copy is started over.
//!
//! Each worker loads under an origin of its own (only one session can use an
//! origin), so nothing that we write is taken for the service's.

pub(crate) mod indexes;
mod join;
mod pipe;
mod progress;
mod publishing;
mod recopy;
mod snapshot;
mod target;
mod worker;

pub use progress::{CopyProgress, TableProgress, TableStage};
pub use recopy::Recopied;

use crate::{
    catalog::{self, MovedTable},
    database::{lock_retry, session::Session, sql},
    error::MoverError,
    extraction::Mover,
    layout::COPY_WORKERS,
    objects::{
        continuity,
        owner::{Claims, RowLock},
        sessions, slots,
    },
};
use futures_util::future::try_join_all;
use indexes::{Copying, Refused};
use plan::TableName;
use protocol::{Lsn, Side, owner::Claim, stream::Direction};
use serde::Serialize;
use snapshot::{ExportedSnapshot, SnapshotSlot};
use std::{collections::BTreeMap, sync::atomic::AtomicUsize};
use target::{Begun, CopiedFrom};
use tokio::sync::watch;
use worker::{Copied, CopyWorker};

/// How often the copy is started over because a table was truncated or rewritten
/// meanwhile. Who does that all the time is to rest, or the table to stay.
const MOST_REWRITES: u32 = 5;

/// How the copy ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyDone {
    /// It was made now.
    Copied {
        /// Rows of all tables.
        rows: u64,
        /// Bytes of all tables, as they went over the wire.
        bytes: u64,
        /// Where following begins.
        position: Lsn,
    },
    /// It had been made before; it is never made again. What it held then is
    /// not known any more.
    AlreadyCopied,
}

impl Mover {
    /// Copies the tables from one snapshot, and leaves the forward stream
    /// ready to be followed from there. May be repeated; dropping the future
    /// leaves what a kill would.
    pub async fn copy(
        &self,
        claims: &Claims,
        progress: &watch::Sender<CopyProgress>,
    ) -> Result<CopyDone, MoverError> {
        self.unless_rewritten(|| self.copy_once(claims, progress))
            .await
    }

    /// Copies, and starts over where a table was truncated or rewritten meanwhile.
    async fn unless_rewritten<T, Copying>(
        &self,
        copy: impl Fn() -> Copying,
    ) -> Result<T, MoverError>
    where
        Copying: Future<Output = Result<T, MoverError>>,
    {
        for rewrites in 1.. {
            let table = match Box::pin(copy()).await {
                Err(MoverError::Reshaped { table, .. }) => table,
                done => return done,
            };
            tracing::warn!(extraction = %self.extraction.name, %table, "rewritten while it was copied");
            if rewrites == MOST_REWRITES {
                return Err(MoverError::Data {
                    object: table.to_string(),
                    problem: format!(
                        "{MOST_REWRITES} copies in a row were void, because a table was truncated \
                         or rewritten while they were made"
                    ),
                    remedy:
                        "Let whoever does that rest until the copy is done, or leave the table \
                             out of the plan"
                            .to_owned(),
                });
            }
        }
        unreachable!("the loop ends by itself")
    }

    async fn copy_once(
        &self,
        claims: &Claims,
        progress: &watch::Sender<CopyProgress>,
    ) -> Result<CopyDone, MoverError> {
        let (mut monolith, mut service) = sessions::both_at_work(self).await?;
        let mut tables =
            catalog::moved_tables(&self.extraction.data.tables, &monolith, &service).await?;
        self.check_monolith(&mut monolith, claims.monolith).await?;
        let estimates = largest_first(&monolith, &mut tables).await?;
        let large = estimates
            .iter()
            .zip(&tables)
            .filter_map(|(estimate, table)| {
                (estimate.size_bytes >= indexes::PUT_OFF_FROM_BYTES).then_some(table)
            });
        if let Begun::AlreadyCopied = self
            .begin_copy(
                &mut service,
                claims.service,
                &tables,
                &large.collect::<Vec<_>>(),
            )
            .await?
        {
            return Ok(CopyDone::AlreadyCopied);
        }
        progress.send_replace(CopyProgress::beginning(estimates));

        let layout = self.layout();
        // Before the slot: whatever is edited after this is noticed.
        let published = self
            .published_as_ours(&mut monolith, &tables, claims)
            .await?;
        slots::drop_if_exists(&monolith, &layout.slot(Direction::Forward)).await?;
        let database = self.database(Side::Monolith);
        let files = files_of(&monolith, &tables).await?;
        let exported = ExportedSnapshot::open(
            database,
            &monolith,
            &layout,
            Direction::Forward,
            SnapshotSlot::OfStream,
        )
        .await?;
        let Copied { rows, bytes } = self
            .load(&tables, &files, &exported, claims.service, progress)
            .await?;
        let copying = Copying {
            mover: self,
            claim: claims.service,
        };
        progress.send_modify(CopyProgress::indexing);
        indexes::give_back(self, &copying, Refused::Fails).await?;
        progress.send_modify(CopyProgress::done);
        analyze(&service, &tables).await?;
        let source = CopiedFrom {
            monolith: &monolith,
            exported: &exported,
            published: &published,
        };
        // What was left out while it was made is in no stream.
        if continuity::edited(&monolith, &layout, &published, &[])
            .await?
            .is_some()
        {
            return Err(publishing::edited_meanwhile(&layout));
        }
        self.finish_copy(&source, &mut service, claims.service, &tables)
            .await?;
        tracing::info!(extraction = %self.extraction.name, rows, bytes, "copied");
        Ok(CopyDone::Copied {
            rows,
            bytes,
            position: exported.position,
        })
    }

    /// The rows of a snapshot, by several workers at once.
    async fn load(
        &self,
        tables: &[MovedTable],
        files: &BTreeMap<TableName, String>,
        exported: &ExportedSnapshot,
        claim: Claim,
        progress: &watch::Sender<CopyProgress>,
    ) -> Result<Copied, MoverError> {
        let next = AtomicUsize::new(0);
        let workers = (0..COPY_WORKERS.min(tables.len())).map(|number| {
            let worker = CopyWorker {
                mover: self,
                number,
                claim,
                snapshot: &exported.name,
                files,
                progress,
            };
            Box::pin(worker.run(tables, &next))
        });
        let mut all = Copied::default();
        for copied in try_join_all(workers).await? {
            all.rows += copied.rows;
            all.bytes += copied.bytes;
        }
        progress.send_modify(|progress| progress.rows_total = all.rows);
        Ok(all)
    }

    /// A copy is made from the owner only.
    async fn check_monolith(&self, monolith: &mut Session, claim: Claim) -> Result<(), MoverError> {
        let transaction = lock_retry::begin(monolith).await?;
        self.locked_for_copy(
            &transaction,
            Side::Monolith,
            Side::Monolith,
            claim,
            RowLock::Share,
        )
        .await
    }
}

/// What each table is stored in.
async fn files_of(
    monolith: &Session,
    tables: &[MovedTable],
) -> Result<BTreeMap<TableName, String>, MoverError> {
    let mut files = BTreeMap::new();
    for table in tables {
        let name = table.name(Side::Monolith);
        files.insert(name.clone(), worker::files(monolith, name).await?);
    }
    Ok(files)
}

async fn analyze(service: &Session, tables: &[MovedTable]) -> Result<(), MoverError> {
    for table in tables {
        let analyze = format!("analyze {}", sql::table(table.name(Side::Service)));
        let wrap = MoverError::sql(Side::Service, "gathering statistics after the copy");
        service.batch_execute(&analyze).await.map_err(wrap)?;
    }
    Ok(())
}

/// Orders the tables so that no worker ends with the largest one alone; what is
/// estimated of each.
async fn largest_first(
    monolith: &Session,
    tables: &mut [MovedTable],
) -> Result<Vec<TableProgress>, MoverError> {
    let names: Vec<String> = tables
        .iter()
        .map(|table| sql::table(table.name(Side::Monolith)))
        .collect();
    // A table that was never analyzed has -1 rows, or 0 on older servers.
    let rows = monolith
        .query(
            "select pg_table_size(c.oid), case when c.reltuples > 0 then c.reltuples::float8 \
             when c.reltuples = 0 and pg_relation_size(c.oid) = 0 then 0 end \
             from unnest($1::text[]) with ordinality n(name, position) \
             join pg_class c on c.oid = n.name::regclass order by n.position",
            &[&names],
        )
        .await
        .map_err(MoverError::sql(Side::Monolith, "estimating the tables"))?;
    let mut sized: Vec<(TableProgress, MovedTable)> = rows
        .iter()
        .zip(tables.iter())
        .map(|(row, table)| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an estimate"
            )]
            let rows_total = row.get::<_, Option<f64>>(1).map(|rows| rows as u64);
            let estimate = TableProgress {
                table: table.name(Side::Monolith).clone(),
                rows_copied: 0,
                rows_total,
                size_bytes: row.get::<_, i64>(0).try_into().unwrap_or_default(),
                bytes: 0,
                stage: TableStage::Waiting,
            };
            (estimate, table.clone())
        })
        .collect();
    sized.sort_by_key(|(estimate, _)| std::cmp::Reverse(estimate.size_bytes));
    let (estimates, ordered): (Vec<_>, Vec<_>) = sized.into_iter().unzip();
    tables.clone_from_slice(&ordered);
    Ok(estimates)
}
