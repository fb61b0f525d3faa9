//! Adds tables to an extraction that has begun, while the others are followed.
//!
//! First they are *allowed* to join, by a person. Whoever goes by a plan that has
//! them then copies them from a snapshot of their own. What is true after each
//! step, of the added tables; of the others nothing changes:
//!
//! | killed after | `banyan.joining` | published | service's tables | a repeat |
//! |---|---|---|---|---|
//! | nothing yet | allowed | no | open, empty | begins |
//! | the monolith's part | allowed | by the monolith | open, empty | begins |
//! | the service's part | copying | by both | fenced, empty | empties, begins |
//! | some tables committed | copying | by both | fenced, partly filled | empties, begins |
//! | *finish* | joined at the snapshot | by both | fenced, as the snapshot | does nothing |
//!
//! A slot is made after the tables are published, so that every transaction which
//! it does not see, and which is not in its snapshot, began when they were.
//! From then on the log has them, and is kept (`follow::opening`): *finish* moves the
//! stream back to the snapshot, if it had come further.

use super::{
    CopyProgress,
    snapshot::{ExportedSnapshot, SnapshotSlot},
    target::refuse_rows,
};
use crate::{
    catalog::{self, MovedTable},
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
        sql,
    },
    error::MoverError,
    extraction::Mover,
    layout::{COPY_WORKERS, SCHEMA},
    objects::{
        continuity, declared, fence,
        joining::{self, Stage},
        notes, origins,
        owner::{self, Claims, RowLock},
        publication, schema, sessions, slots, stream,
    },
    prepare::first_fence,
};
use plan::{TableName, TableWrites};
use protocol::{
    Lsn, Side,
    owner::{Owner, OwnerRow},
    stream::Direction,
};
use tokio::sync::watch;
use tokio_postgres::Transaction;

impl Mover {
    /// Lets the tables join that the plan has more than the extraction was begun
    /// with, and says which. Nothing else is changed: whoever goes by this plan adds
    /// them. May be repeated.
    pub async fn let_tables_join(&self) -> Result<Vec<TableName>, MoverError> {
        let (monolith, mut service) = self.sessions().await?;
        for session in [&monolith, &service] {
            let side = session.side();
            let row = owner::read(&**session, side, &self.extraction.name).await?;
            self.refuse_unless_followed(side, row.as_ref())?;
        }
        // Refuses where the first copy has not ended.
        if stream::read(&*service, Side::Service, &self.extraction.name)
            .await?
            .is_none()
        {
            return Err(self.not_followed());
        }
        let mut moved =
            catalog::moved_tables(&self.extraction.data.tables, &monolith, &service).await?;
        let name = self.layout().publication();
        let published = publication::published(&*monolith, Side::Monolith, &name).await?;
        let there = publication::published(&*service, Side::Service, &name).await?;
        let planned: Vec<&TableName> = self.tables(Side::Monolith).collect();
        if let Some(table) = published.iter().find(|table| !planned.contains(table)) {
            return Err(MoverError::Data {
                object: table.to_string(),
                problem: "the extraction has begun with it, and the plan leaves it out".to_owned(),
                remedy: "Write it as it was".to_owned(),
            });
        }
        moved.retain(|table| {
            !published.contains(table.name(Side::Monolith))
                || !there.contains(table.name(Side::Service))
        });
        schema::bring_up_to_date(&mut service).await?;
        let wrap = || MoverError::sql(Side::Service, "letting tables join");
        let transaction = lock_retry::begin(&mut service).await?;
        let lock = format!("select 1 from {SCHEMA}.owner where extraction = $1 for update");
        let name = &self.extraction.name;
        transaction
            .execute(&lock, &[&name.as_str()])
            .await
            .map_err(wrap())?;
        let row = owner::read(&transaction, Side::Service, name).await?;
        self.refuse_unless_followed(Side::Service, row.as_ref())?;
        let known = joining::read(&transaction, &self.extraction).await?;
        let new: Vec<MovedTable> = moved
            .iter()
            .filter(|table| known.stage(&table.mapping).is_none())
            .cloned()
            .collect();
        self.refuse_split(&transaction, &new).await?;
        refuse_rows(&transaction, &new).await?;
        for table in &new {
            let monolith = table.name(Side::Monolith);
            joining::allow(&transaction, &self.extraction.name, monolith).await?;
        }
        transaction.commit().await.map_err(wrap())?;
        let names = moved.iter().map(|table| table.name(Side::Monolith).clone());
        Ok(names.collect())
    }

    /// Takes back that tables may join, where nothing has come of it yet; says which,
    /// by the monolith's names.
    pub async fn let_no_tables_join(&self) -> Result<Vec<String>, MoverError> {
        let service = Session::open(Side::Service, self.database(Side::Service)).await?;
        joining::take_back(&*service, &self.extraction.name).await
    }

    fn not_followed(&self) -> MoverError {
        MoverError::Row {
            extraction: self.extraction.name.clone(),
            side: Side::Service,
            epoch: protocol::Epoch::default(),
            problem: "there is no stream that added tables could join".to_owned(),
        }
    }

    /// Where each side keeps its own by now, the service could write such a table
    /// before it is copied, and nothing of it would flow after it.
    async fn refuse_split(
        &self,
        service: &Transaction<'_>,
        tables: &[MovedTable],
    ) -> Result<(), MoverError> {
        let split = |table: &&MovedTable| table.mapping.writes == TableWrites::Split;
        let Some(table) = tables.iter().find(split) else {
            return Ok(());
        };
        if !owner::is_split(service, &self.extraction.name).await? {
            return Ok(());
        }
        Err(MoverError::Data {
            object: table.name(Side::Monolith).to_string(),
            problem:
                "the service has owned the extraction before, so that each side keeps its own \
                      of a table with `writes: split`: nothing of it would be copied"
                    .to_owned(),
            remedy: "Leave it out of the plan, and fill the service's as you like".to_owned(),
        })
    }

    /// The monolith owns, and its changes are followed: the state in which tables
    /// may be added.
    fn refuse_unless_followed(&self, side: Side, row: Option<&OwnerRow>) -> Result<(), MoverError> {
        let name = &self.extraction.name;
        let problem = match row.map(|row| row.owner) {
            Some(Owner::Monolith) => return Ok(()),
            None => format!("it has not begun: `banyan start {name}` copies all of its tables"),
            Some(Owner::Service) => format!(
                "the service owns it, and a table that joins has the monolith's rows. Go back with \
                 `banyan rollback {name}` first, or move the table by an extraction of its own"
            ),
            Some(Owner::Nobody) => "a hand-over is under way: wait until it has ended".to_owned(),
        };
        Err(MoverError::Row {
            extraction: name.clone(),
            side,
            epoch: row.map(|row| row.epoch).unwrap_or_default(),
            problem,
        })
    }

    /// The plan's tables that were added and are not copied yet.
    ///
    /// None where the service owns: they join when it has been rolled back.
    pub async fn lacking(&self) -> Result<Vec<TableName>, MoverError> {
        let service = Session::open(Side::Service, self.database(Side::Service)).await?;
        let row = owner::read(&*service, Side::Service, &self.extraction.name).await?;
        if row.is_none_or(|row| row.owner != Owner::Monolith) {
            return Ok(Vec::new());
        }
        let joining = joining::read(&*service, &self.extraction).await?;
        Ok(joining.lacking(&self.extraction, Side::Monolith))
    }

    /// Copies the tables that were added, and leaves the stream where their changes
    /// and those of the others are followed from. A follower that runs meanwhile
    /// must have been started since they were allowed to join; it ends when this is
    /// done (`stop` is called right before, so that it need not fail). May be
    /// repeated; dropping the future leaves what a kill would.
    pub async fn join(
        &self,
        claims: &Claims,
        progress: &watch::Sender<CopyProgress>,
        stop: &(dyn Fn() + Send + Sync),
    ) -> Result<Vec<TableName>, MoverError> {
        self.unless_rewritten(|| self.join_once(claims, progress, stop))
            .await
    }

    async fn join_once(
        &self,
        claims: &Claims,
        progress: &watch::Sender<CopyProgress>,
        stop: &(dyn Fn() + Send + Sync),
    ) -> Result<Vec<TableName>, MoverError> {
        let (mut monolith, mut service) = sessions::both_at_work(self).await?;
        let joining = joining::read(&*service, &self.extraction).await?;
        let mut tables =
            catalog::moved_tables(&self.extraction.data.tables, &monolith, &service).await?;
        tables.retain(|table| joining.lacks(&table.mapping));
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let (interrupted, new): (Vec<MovedTable>, Vec<MovedTable>) = tables
            .iter()
            .cloned()
            .partition(|table| joining.stage(&table.mapping) == Some(Stage::Copying));
        self.looked_at(&mut service, &new).await?;
        for session in [&mut monolith, &mut service] {
            self.admit(session, &tables, claims).await?;
        }
        self.empty_interrupted(&mut service, &interrupted, claims)
            .await?;
        self.publish_to_reverse(&mut monolith, &service, &tables, claims)
            .await?;

        let layout = self.layout();
        let parts = parts(&monolith, &layout.publication(), &tables).await?;
        let estimates = super::largest_first(&monolith, &mut tables).await?;
        progress.send_replace(CopyProgress::beginning(estimates));
        let files = super::files_of(&monolith, &tables).await?;
        let exported = self.snapshot_of(&monolith).await?;
        let copied = self
            .load(&tables, &files, &exported, claims.service, progress)
            .await?;
        super::analyze(&service, &tables).await?;
        stop();
        self.finish_joining(&monolith, &mut service, &tables, &exported, &parts, claims)
            .await?;
        let names: Vec<TableName> = names(&tables, Side::Monolith);
        tracing::info!(extraction = %self.extraction.name, ?names, rows = copied.rows, "added");
        Ok(names)
    }

    /// Before anything of them is published: what cannot join is not begun.
    async fn looked_at(&self, service: &mut Session, new: &[MovedTable]) -> Result<(), MoverError> {
        let transaction = lock_retry::begin(service).await?;
        self.refuse_split(&transaction, new).await?;
        refuse_rows(&transaction, new).await
    }

    /// Takes away what an interrupted copy has left. Under the copy's origin, so that
    /// it does not look like the service's own; and not truncated, since tables that
    /// are there from the start may refer to them.
    async fn empty_interrupted(
        &self,
        service: &mut Session,
        tables: &[MovedTable],
        claims: &Claims,
    ) -> Result<(), MoverError> {
        if tables.is_empty() {
            return Ok(());
        }
        let side = Side::Service;
        let doing = "emptying the targets of an interrupted copy";
        let wrap = || MoverError::sql(side, doing);
        origins::take(service, &self.layout().copy_origin(0), doing).await?;
        let transaction = lock_retry::begin(service).await?;
        let claim = claims.service;
        self.locked_for_copy(&transaction, side, Side::Monolith, claim, RowLock::Share)
            .await?;
        let unchecked = "set local session_replication_role = replica";
        transaction.batch_execute(unchecked).await.map_err(wrap())?;
        for table in tables {
            let delete = format!("delete from {}", sql::table(table.name(side)));
            transaction.batch_execute(&delete).await.map_err(wrap())?;
        }
        transaction.commit().await.map_err(wrap())?;
        origins::leave(service).await
    }

    /// A side's part: the fence, the publication, and at the service empty tables.
    async fn admit(
        &self,
        session: &mut Session,
        tables: &[MovedTable],
        claims: &Claims,
    ) -> Result<(), MoverError> {
        let mut retry = LockRetry::new("locking a table to add it");
        loop {
            match self.try_admit(session, tables, claims).await {
                Ok(()) => return Ok(()),
                Err(error) => retry.wait_after(session, error).await?,
            }
        }
    }

    async fn try_admit(
        &self,
        session: &mut Session,
        tables: &[MovedTable],
        claims: &Claims,
    ) -> Result<(), MoverError> {
        let (side, layout, name) = (session.side(), self.layout(), &self.extraction.name);
        let wrap = || MoverError::sql(side, "adding tables");
        let transaction = lock_retry::begin(session).await?;
        let displaced = sql::tables(tables.iter().map(|table| table.name(side)));
        lock_retry::displace_autovacuum(&transaction, &displaced)
            .await
            .map_err(wrap())?;
        let fences = tables.iter().filter_map(|table| {
            let scope = first_fence(side, table.mapping.writes)?;
            Some((table.name(side), scope))
        });
        fence::put_up(&transaction, side, &layout, fences).await?;
        publication::add(&transaction, side, &layout, &names(tables, side)).await?;
        declared::keep(&transaction, side, &layout, tables).await?;
        self.locked_for_copy(
            &transaction,
            side,
            Side::Monolith,
            claims.of(side),
            RowLock::Share,
        )
        .await?;
        if side == Side::Monolith {
            // Nobody has looked who writes them.
            notes::look_anew(&transaction, name).await?;
        } else {
            let joining = joining::read(&transaction, &self.extraction).await?;
            let mut new = tables.to_vec();
            new.retain(|table| joining.stage(&table.mapping) != Some(Stage::Copying));
            refuse_rows(&transaction, &new).await?;
            for worker in 0..COPY_WORKERS {
                let origin = layout.copy_origin(worker);
                origins::create(&transaction, &origin)
                    .await
                    .map_err(wrap())?;
            }
            let names = names(tables, Side::Monolith);
            joining::set(&transaction, name, &names, Stage::Copying).await?;
        }
        transaction.commit().await.map_err(wrap())
    }

    async fn snapshot_of(&self, session: &Session) -> Result<ExportedSnapshot, MoverError> {
        let side = session.side();
        let (database, layout) = (self.database(side), self.layout());
        let direction = Direction::from_source(side);
        ExportedSnapshot::open(database, session, &layout, direction, SnapshotSlot::Passing).await
    }

    /// Has the way back know that the service publishes them, once no transaction
    /// runs there that began before.
    async fn publish_to_reverse(
        &self,
        monolith: &mut Session,
        service: &Session,
        tables: &[MovedTable],
        claims: &Claims,
    ) -> Result<(), MoverError> {
        let (layout, name) = (self.layout(), &self.extraction.name);
        drop(self.snapshot_of(service).await?);
        let parts = parts(service, &layout.publication(), tables).await?;
        let side = Side::Monolith;
        let transaction = lock_retry::begin(monolith).await?;
        let claim = claims.of(side);
        self.locked_for_copy(&transaction, side, side, claim, RowLock::Share)
            .await?;
        let before = stream::published(&transaction, side, name).await?;
        if !before.is_empty() {
            let after = continuity::with(&before, &parts);
            stream::keep_published(&transaction, side, name, &after).await?;
        }
        let wrap = MoverError::sql(side, "writing down what the service publishes");
        transaction.commit().await.map_err(wrap)
    }

    /// *finish*: they are as the snapshot, and followed from there.
    async fn finish_joining(
        &self,
        monolith: &Session,
        service: &mut Session,
        tables: &[MovedTable],
        exported: &ExportedSnapshot,
        parts: &[String],
        claims: &Claims,
    ) -> Result<(), MoverError> {
        let mut retry = LockRetry::new("finishing the copy of added tables");
        loop {
            let finished =
                self.try_finish_joining(monolith, service, tables, exported, parts, claims);
            match finished.await {
                Ok(()) => return Ok(()),
                Err(error) => retry.wait_after(service, error).await?,
            }
        }
    }

    async fn try_finish_joining(
        &self,
        monolith: &Session,
        service: &mut Session,
        tables: &[MovedTable],
        exported: &ExportedSnapshot,
        parts: &[String],
        claims: &Claims,
    ) -> Result<(), MoverError> {
        let (side, name) = (Side::Service, &self.extraction.name);
        let wrap = || MoverError::sql(side, "finishing the copy of added tables");
        let transaction = lock_retry::begin(service).await?;
        self.lock_appended(&transaction, tables).await?;
        let claim = claims.service;
        // No change of the stream is being applied while this is held.
        self.locked_for_copy(&transaction, side, Side::Monolith, claim, RowLock::Update)
            .await?;
        self.open_for_appends(&transaction, monolith, tables)
            .await?;
        // The copy's origins stay: of one that is dropped the server says nothing, and
        // its rows would look like the service's own.
        let from = exported.position;
        let Some(others_from) = stream::go_back(&transaction, side, name, from).await? else {
            return Err(self.not_followed());
        };
        self.refuse_forgotten_log(monolith, from).await?;
        let joined = Stage::Joined { from, others_from };
        joining::set(&transaction, name, &names(tables, Side::Monolith), joined).await?;
        let before = stream::published(&transaction, side, name).await?;
        let after = continuity::with(&before, parts);
        stream::keep_published(&transaction, side, name, &after).await?;
        transaction.commit().await.map_err(wrap())
    }

    /// The stream's slot must still have all that was committed since the snapshot.
    async fn refuse_forgotten_log(&self, monolith: &Session, from: Lsn) -> Result<(), MoverError> {
        let slot = self.layout().slot(Direction::Forward);
        match slots::find(monolith, &slot).await? {
            Some(found) if found.confirmed > from => Err(MoverError::Data {
                object: format!("replication slot {slot}"),
                problem: format!(
                    "it is at {}, past {from}, from where the added tables are to be followed",
                    found.confirmed
                ),
                remedy: "Nothing is lost: they are copied once more. Let nobody else read or \
                         advance the slot"
                    .to_owned(),
            }),
            // A gap is the stream's to tell.
            _ => Ok(()),
        }
    }
}

fn names(tables: &[MovedTable], side: Side) -> Vec<TableName> {
    tables
        .iter()
        .map(|table| table.name(side).clone())
        .collect()
}

async fn parts(
    source: &Session,
    publication: &str,
    tables: &[MovedTable],
) -> Result<Vec<String>, MoverError> {
    continuity::parts_of(source, publication, &names(tables, source.side())).await
}
