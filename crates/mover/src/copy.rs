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
//! somebody else's and refused.
//!
//! Each lane loads under an origin of its own (a session has an origin to
//! itself), so nothing that we write is taken for the service's.

mod lane;
mod snapshot;

use crate::{
    Claims, Mover, MoverError,
    catalog::{self, MovedTable},
    connect::Session,
    layout::{Layout, SCHEMA},
    owner::{self, RowLock},
    patience::{self, Patience},
    slots, sql,
};
use futures_util::future::try_join_all;
pub use lane::LANES;
use plan::TableName;
use protocol::{
    Lsn, Side,
    owner::{Claim, Owner, OwnerRow},
    stream::Direction,
};
use serde::Serialize;
use snapshot::Exported;
pub(crate) use snapshot::configuration as replication_session;
use std::sync::atomic::AtomicUsize;
use tokio::sync::watch;
use tokio_postgres::Transaction;

/// How far the copy is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CopyProgress {
    /// Rows written so far, also those not committed yet.
    pub rows_copied: u64,
    /// All rows: an estimate of the monolith's statistics at first, corrected
    /// as tables are done.
    pub rows_total: u64,
    /// Bytes moved so far.
    pub bytes: u64,
    /// The table begun last, by its name in the monolith.
    pub table: Option<TableName>,
}

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

/// What the service's database says of an earlier copy.
enum Begun {
    Fresh,
    Done,
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
        let (mut monolith, mut service) = tokio::try_join!(
            Session::open(Side::Monolith, self.database(Side::Monolith)),
            Session::open(Side::Service, self.database(Side::Service)),
        )?;
        let mut tables =
            catalog::moved_tables(&self.extraction.data.tables, &monolith, &service).await?;
        self.check_monolith(&mut monolith, claims.monolith).await?;
        if let Begun::Done = self.begin(&mut service, claims.service, &tables).await? {
            return Ok(CopyDone::AlreadyCopied);
        }
        let rows_total = largest_first(&monolith, &mut tables).await?;
        progress.send_replace(CopyProgress {
            rows_total,
            ..CopyProgress::default()
        });

        let slot = self.layout().slot(Direction::Forward);
        slots::drop_if_exists(&monolith, &slot).await?;
        let exported = Exported::open(self.database(Side::Monolith), &slot).await?;
        let next = AtomicUsize::new(0);
        let lanes = (0..LANES.min(tables.len())).map(|number| {
            let lane = lane::Lane {
                mover: self,
                number,
                claim: claims.service,
                snapshot: &exported.name,
                progress,
            };
            Box::pin(lane.run(&tables, &next))
        });
        let copied = try_join_all(lanes).await?;
        for table in &tables {
            let analyze = format!("analyze {}", sql::table(table.name(Side::Service)));
            let wrap = MoverError::sql(Side::Service, "gathering statistics after the copy");
            service.batch_execute(&analyze).await.map_err(wrap)?;
        }
        self.finish(&mut service, claims.service, &exported).await?;
        let (rows, bytes) = copied
            .iter()
            .fold((0, 0), |sum, lane| (sum.0 + lane.rows, sum.1 + lane.bytes));
        progress.send_modify(|progress| progress.rows_total = rows);
        tracing::info!(extraction = %self.extraction.name, rows, bytes, "copied");
        Ok(CopyDone::Copied {
            rows,
            bytes,
            position: exported.position,
        })
    }

    /// A copy is made from the owner only.
    async fn check_monolith(&self, monolith: &mut Session, claim: Claim) -> Result<(), MoverError> {
        let transaction = patience::begin(monolith).await?;
        self.locked_for_copy(&transaction, Side::Monolith, claim, RowLock::Share)
            .await
    }

    async fn locked_for_copy(
        &self,
        transaction: &Transaction<'_>,
        side: Side,
        claim: Claim,
        lock: RowLock,
    ) -> Result<(), MoverError> {
        let OwnerRow { owner, epoch, .. } =
            owner::locked(transaction, side, &self.extraction.name, claim, lock).await?;
        if owner == Owner::Monolith {
            return Ok(());
        }
        let problem = format!("a copy is made while the monolith owns the data; now it is {owner}");
        Err(MoverError::Row {
            extraction: self.extraction.name.clone(),
            side,
            epoch,
            problem,
        })
    }

    /// *begin*, retried where it meets locks: those of a copy that was just
    /// killed among them.
    async fn begin(
        &self,
        service: &mut Session,
        claim: Claim,
        tables: &[MovedTable],
    ) -> Result<Begun, MoverError> {
        let mut patience = Patience::new(Side::Service, "beginning the copy (a table is locked)");
        loop {
            match self.try_begin(service, claim, tables).await {
                Ok(begun) => return Ok(begun),
                Err(error) => patience.again(error).await?,
            }
        }
    }

    async fn try_begin(
        &self,
        service: &mut Session,
        claim: Claim,
        tables: &[MovedTable],
    ) -> Result<Begun, MoverError> {
        let wrap = || MoverError::sql(Side::Service, "beginning the copy");
        let name = self.extraction.name.as_str();
        let layout = self.layout();
        let transaction = patience::begin(service).await?;
        self.locked_for_copy(&transaction, Side::Service, claim, RowLock::Update)
            .await?;
        let state = transaction
            .query_opt(
                &format!("select state from {SCHEMA}.stream where extraction = $1"),
                &[&name],
            )
            .await
            .map_err(wrap())?
            .map(|row| row.get::<_, String>(0));
        match state.as_deref() {
            None => {
                refuse_rows(&transaction, tables).await?;
                let insert = format!(
                    "insert into {SCHEMA}.stream \
                     (extraction, state, epoch, position, system_identifier, timeline) \
                     values ($1, 'copying', 0, '0/0', '', 0)"
                );
                transaction
                    .execute(&insert, &[&name])
                    .await
                    .map_err(wrap())?;
            }
            Some("copying") => empty(&transaction, tables).await?,
            Some(_) => return Ok(Begun::Done),
        }
        for lane in 0..LANES {
            transaction
                .execute(
                    "select pg_replication_origin_create($1) \
                     where pg_replication_origin_oid($1) is null",
                    &[&layout.copy_origin(lane)],
                )
                .await
                .map_err(wrap())?;
        }
        transaction.commit().await.map_err(wrap())?;
        Ok(Begun::Fresh)
    }

    /// *finish*: from here on the copy is done.
    async fn finish(
        &self,
        service: &mut Session,
        claim: Claim,
        exported: &Exported,
    ) -> Result<(), MoverError> {
        let mut patience = Patience::new(Side::Service, "finishing the copy");
        loop {
            match self.try_finish(service, claim, exported).await {
                Ok(()) => return Ok(()),
                Err(error) => patience.again(error).await?,
            }
        }
    }

    async fn try_finish(
        &self,
        service: &mut Session,
        claim: Claim,
        exported: &Exported,
    ) -> Result<(), MoverError> {
        let wrap = || MoverError::sql(Side::Service, "finishing the copy");
        let transaction = patience::begin(service).await?;
        self.locked_for_copy(&transaction, Side::Service, claim, RowLock::Update)
            .await?;
        drop_copy_origins(&transaction, &self.layout()).await?;
        let update = format!(
            "update {SCHEMA}.stream set state = 'applying', epoch = 0, \
                position = $2::text::pg_lsn, system_identifier = $3, timeline = $4, \
                changed_at = now() \
             where extraction = $1 and state = 'copying'"
        );
        let name = self.extraction.name.as_str();
        let position = exported.position.to_string();
        let cluster = &exported.cluster;
        let changed = transaction
            .execute(
                &update,
                &[
                    &name,
                    &position,
                    &cluster.system_identifier,
                    &cluster.timeline,
                ],
            )
            .await
            .map_err(wrap())?;
        if changed != 1 {
            return Err(MoverError::Row {
                extraction: self.extraction.name.clone(),
                side: Side::Service,
                epoch: protocol::Epoch::default(),
                problem: "the copy's row was taken away while it ran; start it again".to_owned(),
            });
        }
        transaction.commit().await.map_err(wrap())
    }
}

/// Drops what *begin* made for the lanes.
pub(crate) async fn drop_copy_origins(
    transaction: &Transaction<'_>,
    layout: &Layout,
) -> Result<(), MoverError> {
    let names: Vec<String> = (0..LANES).map(|lane| layout.copy_origin(lane)).collect();
    transaction
        .execute(
            "select pg_replication_origin_drop(roname) from pg_replication_origin \
             where roname = any($1)",
            &[&names],
        )
        .await
        .map_err(MoverError::sql(
            Side::Service,
            "dropping the copy's origins",
        ))?;
    Ok(())
}

/// Rows that no copy of ours has written are somebody else's.
async fn refuse_rows(
    transaction: &Transaction<'_>,
    tables: &[MovedTable],
) -> Result<(), MoverError> {
    for table in tables {
        let name = table.name(Side::Service);
        let exists = format!("select exists (select from {})", sql::table(name));
        let row = transaction
            .query_one(&exists, &[])
            .await
            .map_err(MoverError::sql(
                Side::Service,
                "looking for rows in the targets",
            ))?;
        if row.get(0) {
            return Err(MoverError::Data {
                object: name.to_string(),
                problem: "the service's table is not empty, and its rows are not a copy of ours"
                    .to_owned(),
                remedy: "Empty it, or name another table in the plan".to_owned(),
            });
        }
    }
    Ok(())
}

/// All in one statement: they may refer to each other.
async fn empty(transaction: &Transaction<'_>, tables: &[MovedTable]) -> Result<(), MoverError> {
    let names: Vec<String> = tables
        .iter()
        .map(|table| sql::table(table.name(Side::Service)))
        .collect();
    transaction
        .batch_execute(&format!("truncate {}", names.join(", ")))
        .await
        .map_err(MoverError::sql(
            Side::Service,
            "emptying the targets of an interrupted copy",
        ))
}

/// Orders the tables so that no lane ends with the largest one alone, and
/// estimates all rows.
async fn largest_first(monolith: &Session, tables: &mut [MovedTable]) -> Result<u64, MoverError> {
    let names: Vec<String> = tables
        .iter()
        .map(|table| sql::table(table.name(Side::Monolith)))
        .collect();
    let rows = monolith
        .query(
            "select pg_table_size(c.oid), greatest(c.reltuples, 0)::float8 \
             from unnest($1::text[]) with ordinality n(name, position) \
             join pg_class c on c.oid = n.name::regclass order by n.position",
            &[&names],
        )
        .await
        .map_err(MoverError::sql(Side::Monolith, "estimating the tables"))?;
    let mut sizes: Vec<(i64, usize)> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| (row.get(0), at))
        .collect();
    sizes.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let ordered: Vec<MovedTable> = sizes.iter().map(|(_, at)| tables[*at].clone()).collect();
    tables.clone_from_slice(&ordered);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    let total = rows.iter().map(|row| row.get::<_, f64>(1)).sum::<f64>() as u64;
    Ok(total)
}
