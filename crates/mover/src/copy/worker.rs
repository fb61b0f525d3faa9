//! One worker of the copy: a session on each side, and the rows' bytes passed
//! from `COPY TO` to `COPY FROM` undecoded.

use super::{
    pipe::Pipe,
    progress::{CopyProgress, TableStage},
    snapshot,
};
use crate::{
    catalog::MovedTable,
    database::{session::Session, sql},
    error::MoverError,
    extraction::Mover,
    objects::{origins, owner::RowLock, sessions},
};
use bytes::Bytes;
use futures_util::StreamExt;
use plan::TableName;
use protocol::{Side, owner::Claim};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};
use tokio::sync::watch;

/// Rows between two reports of progress.
const REPORT_ROWS: u64 = 1000;

/// Whether the columns' binary forms mean the same in another database: not
/// so where they hold OIDs (arrays and composites of own types), or where a
/// type has no binary form. Enums are sent by label.
const BINARY: &str = "select coalesce(bool_and( \
        t.typtype = 'e' \
        or (t.oid < 16384 and t.typtype in ('b', 'r', 'm') and t.typsend::oid <> 0) \
        or (t.typtype = 'd' and b.oid < 16384 and b.typtype = 'b' and b.typsend::oid <> 0) \
    ), true) \
    from pg_attribute a join pg_type t on t.oid = a.atttypid \
    left join pg_type b on b.oid = t.typbasetype \
    where a.attrelid = $1::text::regclass and a.attname = any($2::text[])";

/// Copies tables, one after the other.
pub(super) struct CopyWorker<'a> {
    pub(super) mover: &'a Mover,
    pub(super) number: usize,
    pub(super) claim: Claim,
    pub(super) snapshot: &'a str,
    /// The tables' files before the snapshot was taken.
    pub(super) files: &'a BTreeMap<TableName, String>,
    pub(super) progress: &'a watch::Sender<CopyProgress>,
}

/// What a worker, or one table, has copied.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Copied {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl CopyWorker<'_> {
    /// Copies tables until none is left.
    pub(super) async fn run(
        self,
        tables: &[MovedTable],
        next: &AtomicUsize,
    ) -> Result<Copied, MoverError> {
        let monolith = self.open_source().await?;
        let mut service = self.open_target().await?;
        let mut total = Copied::default();
        while let Some(table) = tables.get(next.fetch_add(1, Ordering::Relaxed)) {
            let copied = self.table(&monolith, &mut service, table).await?;
            total.rows += copied.rows;
            total.bytes += copied.bytes;
        }
        // It is dropped soon.
        origins::leave(&service).await?;
        Ok(total)
    }

    async fn open_source(&self) -> Result<Session, MoverError> {
        let session = Session::open(Side::Monolith, self.mover.database(Side::Monolith)).await?;
        snapshot::take(&session, self.snapshot).await?;
        Ok(session)
    }

    async fn open_target(&self) -> Result<Session, MoverError> {
        let session = Session::open(Side::Service, self.mover.database(Side::Service)).await?;
        sessions::mark_at_work(&session, &self.mover.layout()).await?;
        let origin = self.mover.layout().copy_origin(self.number);
        let doing = "taking the copy's origin (another copy may be running)";
        origins::take(&session, &origin, doing).await?;
        Ok(session)
    }

    /// One table, in one transaction of the target.
    async fn table(
        &self,
        monolith: &Session,
        service: &mut Session,
        table: &MovedTable,
    ) -> Result<Copied, MoverError> {
        let wrap = || MoverError::sql(Side::Service, "writing the copy");
        let name = table.name(Side::Monolith);
        self.progress.send_modify(|progress| {
            progress.table = Some(name.clone());
            if let Some(one) = progress.of(name) {
                one.stage = TableStage::Copying(Instant::now());
            }
        });
        let binary = is_binary(monolith, service, table).await?;
        let out = copy_statement(table, Side::Monolith, "to stdout", binary);
        let into = copy_statement(table, Side::Service, "from stdin", binary);

        let transaction = service.client_mut().transaction().await.map_err(wrap())?;
        self.mover
            .locked_for_copy(
                &transaction,
                Side::Service,
                Side::Monolith,
                self.claim,
                RowLock::Share,
            )
            .await?;
        transaction
            .batch_execute("set local session_replication_role = replica")
            .await
            .map_err(wrap())?;
        let from = monolith
            .copy_out(&out)
            .await
            .map_err(MoverError::sql(Side::Monolith, "reading the copy"))?;
        let to = transaction
            .copy_in::<_, Bytes>(&into)
            .await
            .map_err(wrap())?;
        let copied = self.pipe(name, from, to).await?;
        // What was read has the table locked, so that nobody rewrites it before this.
        if self.files.get(name) != Some(&files(monolith, name).await?) {
            return Err(MoverError::Reshaped {
                side: Side::Monolith,
                table: name.clone(),
            });
        }
        transaction.commit().await.map_err(wrap())?;
        self.progress.send_modify(|progress| {
            if let Some(one) = progress.of(name) {
                one.rows_total = Some(copied.rows);
                one.stage = TableStage::Done;
            }
        });
        Ok(copied)
    }

    /// Bytes pass as they are. The source sends a message per row, by which
    /// progress is counted until the target returns the true number.
    async fn pipe(
        &self,
        table: &TableName,
        from: tokio_postgres::CopyOutStream,
        to: tokio_postgres::CopyInSink<Bytes>,
    ) -> Result<Copied, MoverError> {
        let wrap = || MoverError::sql(Side::Service, "writing the copy");
        let (mut from, mut to) = (Box::pin(from), Pipe::new(to));
        let mut copied = Copied::default();
        let mut reported = Copied::default();
        while let Some(message) = from.next().await {
            let message = message.map_err(MoverError::sql(Side::Monolith, "reading the copy"))?;
            copied.rows += 1;
            copied.bytes += message.len() as u64;
            to.pass(message).await.map_err(wrap())?;
            if copied.rows - reported.rows >= REPORT_ROWS {
                self.report(table, &mut reported, copied);
            }
        }
        copied.rows = to.finish().await.map_err(wrap())?;
        self.report(table, &mut reported, copied);
        Ok(copied)
    }

    fn report(&self, table: &TableName, reported: &mut Copied, copied: Copied) {
        self.progress.send_modify(|progress| {
            progress.rows_copied =
                (progress.rows_copied + copied.rows).saturating_sub(reported.rows);
            progress.bytes += copied.bytes - reported.bytes;
            progress.rows_total = progress.rows_total.max(progress.rows_copied);
            if let Some(one) = progress.of(table) {
                one.rows_copied = copied.rows;
                one.bytes = copied.bytes;
            }
        });
        *reported = copied;
    }
}

/// What a table is stored in: another one after a truncation, a rewrite, or when
/// it was made again. The newest, whatever the session's snapshot.
pub(super) async fn files(session: &Session, table: &TableName) -> Result<String, MoverError> {
    let query = "select concat(oid, '/', pg_relation_filenode(oid)) \
                 from (select $1::text::regclass::oid) t (oid)";
    let row = session
        .query_one(query, &[&sql::table(table)])
        .await
        .map_err(MoverError::sql(
            session.side(),
            "looking at a table's storage",
        ))?;
    Ok(row.get(0))
}

pub(super) fn copy_statement(
    table: &MovedTable,
    side: Side,
    direction: &str,
    binary: bool,
) -> String {
    let name = sql::table(table.name(side));
    copy_columns(&name, table, side, direction, binary)
}

/// `name`: quoted.
pub(super) fn copy_columns(
    name: &str,
    table: &MovedTable,
    side: Side,
    direction: &str,
    binary: bool,
) -> String {
    format!(
        "copy {name} ({}) {direction} (format {})",
        sql::identifiers(table.column_names(side)),
        if binary { "binary" } else { "text" },
    )
}

/// Whether rows go from one side to the other in binary: in a form that both read
/// alike.
pub(super) async fn is_binary(
    source: &Session,
    target: &Session,
    table: &MovedTable,
) -> Result<bool, MoverError> {
    // An older server may take a newer one's bytes for another value, as it does
    // with an infinite interval. Texts it refuses.
    Ok(version(target).await? >= version(source).await?
        && means_the_same(source, table).await?
        && means_the_same(target, table).await?)
}

async fn version(session: &Session) -> Result<i32, MoverError> {
    let row = session
        .query_one(
            "select current_setting('server_version_num')::integer / 10000",
            &[],
        )
        .await
        .map_err(MoverError::sql(
            session.side(),
            "asking for the server's version",
        ))?;
    Ok(row.get(0))
}

async fn means_the_same(session: &Session, table: &MovedTable) -> Result<bool, MoverError> {
    let side = session.side();
    let name = sql::table(table.name(side));
    let row = session
        .query_one(BINARY, &[&name, &table.column_names(side)])
        .await
        .map_err(MoverError::sql(side, "reading the columns' types"))?;
    Ok(row.get(0))
}
