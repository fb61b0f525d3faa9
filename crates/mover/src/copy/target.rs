//! The copy's steps at the service: *begin* and *finish*, by the stream's row.

use super::{indexes, snapshot::ExportedSnapshot};
use crate::{
    catalog::MovedTable,
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
        sql,
    },
    error::MoverError,
    extraction::Mover,
    layout::{COPY_WORKERS, FenceScope, SCHEMA},
    objects::{
        key_range, origins,
        owner::{self, RowLock},
        stream,
    },
};
use plan::TableWrites;
use protocol::{
    Side,
    owner::{Claim, Owner},
};
use tokio_postgres::{GenericClient, Transaction};

/// What *begin* found.
pub(super) enum Begun {
    /// The tables are empty, and to be copied.
    Fresh,
    /// An earlier copy was finished.
    AlreadyCopied,
}

/// What was copied, and from where it is followed.
pub(super) struct CopiedFrom<'a> {
    pub(super) monolith: &'a Session,
    pub(super) exported: &'a ExportedSnapshot,
    /// What the publication was made of before the slot was made.
    pub(super) published: &'a str,
}

impl Mover {
    /// Locks a side's row for a step of a copy, which is made from the owner only.
    pub(super) async fn locked_for_copy(
        &self,
        client: &impl GenericClient,
        side: Side,
        owner: Side,
        claim: Claim,
        lock: RowLock,
    ) -> Result<(), MoverError> {
        let row = owner::locked(client, side, &self.extraction.name, claim, lock).await?;
        if row.owner == Owner::from(owner) {
            return Ok(());
        }
        Err(MoverError::Row {
            extraction: self.extraction.name.clone(),
            side,
            epoch: row.epoch,
            problem: format!(
                "a copy is made from the {owner} while it owns the data; now the owner is {}",
                row.owner
            ),
        })
    }

    /// *begin*, retried where it fails on locks: a copy that was just killed may
    /// still hold some.
    pub(super) async fn begin_copy(
        &self,
        service: &mut Session,
        claim: Claim,
        tables: &[MovedTable],
        large: &[&MovedTable],
    ) -> Result<Begun, MoverError> {
        let mut retry = LockRetry::new("beginning the copy (a table is locked)");
        loop {
            match self.try_begin_copy(service, claim, tables, large).await {
                Ok(begun) => return Ok(begun),
                Err(error) => retry.wait_after(service, error).await?,
            }
        }
    }

    async fn try_begin_copy(
        &self,
        service: &mut Session,
        claim: Claim,
        tables: &[MovedTable],
        large: &[&MovedTable],
    ) -> Result<Begun, MoverError> {
        let wrap = || MoverError::sql(Side::Service, "beginning the copy");
        let name = self.extraction.name.as_str();
        let layout = self.layout();
        let transaction = lock_retry::begin(service).await?;
        self.locked_for_copy(
            &transaction,
            Side::Service,
            Side::Monolith,
            claim,
            RowLock::Update,
        )
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
            Some(_) => return Ok(Begun::AlreadyCopied),
        }
        indexes::put_off(&transaction, name, large).await?;
        for worker in 0..COPY_WORKERS {
            origins::create(&transaction, &layout.copy_origin(worker))
                .await
                .map_err(wrap())?;
        }
        transaction.commit().await.map_err(wrap())?;
        Ok(Begun::Fresh)
    }

    /// *finish*: from here on the copy is done, and the service may insert into
    /// the tables that both sides insert into, with keys of its own.
    pub(super) async fn finish_copy(
        &self,
        source: &CopiedFrom<'_>,
        service: &mut Session,
        claim: Claim,
        tables: &[MovedTable],
    ) -> Result<(), MoverError> {
        let mut retry = LockRetry::new("finishing the copy");
        loop {
            let finished = self.try_finish_copy(source, service, claim, tables);
            match finished.await {
                Ok(()) => return Ok(()),
                Err(error) => retry.wait_after(service, error).await?,
            }
        }
    }

    async fn try_finish_copy(
        &self,
        source: &CopiedFrom<'_>,
        service: &mut Session,
        claim: Claim,
        tables: &[MovedTable],
    ) -> Result<(), MoverError> {
        let wrap = || MoverError::sql(Side::Service, "finishing the copy");
        let transaction = lock_retry::begin(service).await?;
        self.lock_appended(&transaction, tables).await?;
        self.locked_for_copy(
            &transaction,
            Side::Service,
            Side::Monolith,
            claim,
            RowLock::Update,
        )
        .await?;
        self.open_for_appends(&transaction, source.monolith, tables)
            .await?;
        // A server tells nothing of an origin that has been dropped: the copied
        // rows would look like the service's own, and flow back.
        if !self.extraction.appends() {
            origins::drop_copy_origins(&transaction, &self.layout()).await?;
        }
        let update = format!(
            "update {SCHEMA}.stream set state = 'applying', epoch = 0, \
                position = $2::text::pg_lsn, system_identifier = $3, timeline = $4, \
                changed_at = now() \
             where extraction = $1 and state = 'copying'"
        );
        let name = self.extraction.name.as_str();
        let position = source.exported.position.to_string();
        let cluster = &source.exported.cluster;
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
        let name = &self.extraction.name;
        stream::keep_published(&transaction, Side::Service, name, source.published).await?;
        transaction.commit().await.map_err(wrap())
    }
}

impl Mover {
    /// Locks those of these tables that both sides insert into, as writers do: the
    /// table first, then the row.
    pub(super) async fn lock_appended(
        &self,
        transaction: &Transaction<'_>,
        tables: &[MovedTable],
    ) -> Result<(), MoverError> {
        let mut appended = appended(tables).peekable();
        if appended.peek().is_none() {
            return Ok(());
        }
        let names = sql::tables(appended.map(|table| table.name(Side::Service)));
        let lock = format!("lock table {names} in share row exclusive mode");
        let wrap = MoverError::sql(Side::Service, "locking tables that both sides insert into");
        transaction.batch_execute(&lock).await.map_err(wrap)
    }

    /// Lets the service insert into them, with keys of its own.
    pub(super) async fn open_for_appends(
        &self,
        transaction: &Transaction<'_>,
        monolith: &Session,
        tables: &[MovedTable],
    ) -> Result<(), MoverError> {
        let wrap = || MoverError::sql(Side::Service, "letting the service insert");
        for table in appended(tables) {
            key_range::move_service(table, monolith, transaction).await?;
            let name = table.name(Side::Service);
            let fence = self
                .layout()
                .create_fence(name, Side::Service, FenceScope::Changes);
            transaction.batch_execute(&fence).await.map_err(wrap())?;
        }
        Ok(())
    }
}

fn appended(tables: &[MovedTable]) -> impl Iterator<Item = &MovedTable> {
    let appended = |table: &&MovedTable| table.mapping.writes == TableWrites::Append;
    tables.iter().filter(appended)
}

/// Refuses tables with rows: no copy of ours has written them.
pub(super) async fn refuse_rows(
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
    let names = sql::tables(tables.iter().map(|table| table.name(Side::Service)));
    transaction
        .batch_execute(&format!("truncate {names}"))
        .await
        .map_err(MoverError::sql(
            Side::Service,
            "emptying the targets of an interrupted copy",
        ))
}
