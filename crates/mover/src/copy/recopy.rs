//! Makes the side that does not own equal to the owner again, where the change
//! stream from the owner has lost changes and so cannot go on.
//!
//! As in the first copy a slot is made with an exported snapshot. But people may
//! read the target's rows meanwhile, and rows that stay may refer to them. So
//! the snapshot goes into temporary tables, and only what differs is changed, in
//! one transaction with the stream's row: until it commits, the target is as it
//! was. What is true after each step:
//!
//! | killed after | slot | target's tables | stream's row | a repeat |
//! |---|---|---|---|---|
//! | nothing yet | as it was found | as they were | as it was | begins |
//! | slot made | ahead of the row, which is a gap as well | as they were | as it was | begins |
//! | commit | there | as the snapshot | `applying` at the snapshot's position | finds no row that differs |
//!
//! A slot is made only where the stream has lost changes. One that is well stays,
//! with its publication, and the snapshot comes from a slot that passes with its
//! session: whatever fails then, the stream goes on from where it was.
//!
//! The stream of the other direction has nothing to bring: its source does not
//! own. Where that one is broken its slot is made again, and no row is touched.
//!
//! Refused where both sides insert into a table: a row that only the target has
//! may be its own or one that the owner has deleted.

use super::{
    pipe::Pipe,
    snapshot::{self, ExportedSnapshot, SnapshotSlot},
    worker::{copy_columns, copy_statement, files, is_binary},
};
use crate::{
    apply::{BEGIN, staying},
    catalog::{self, MovedTable, operators::KeyOperators},
    database::{lock_retry, session::Session, sql},
    error::MoverError,
    extraction::Mover,
    objects::{
        continuity::{self, Known},
        joining::{self, Joining},
        origins,
        owner::{self, Claims, RowLock},
        sessions, slots,
        stream::{self, Beginning, StreamRow},
    },
};
use bytes::Bytes;
use futures_util::StreamExt;
use plan::{TableName, TableWrites};
use protocol::{
    Epoch, Side,
    stream::{Direction, StreamState},
};
use serde::Serialize;

/// What was made good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recopied {
    /// Rows that were compared with the owner's; `None` where the stream from the
    /// owner had lost nothing.
    pub rows: Option<u64>,
    /// How many of them were inserted or written again.
    pub written: u64,
    /// Rows that the owner does not have, or has with other values.
    pub deleted: u64,
    /// Whether the stream to the owner was begun anew.
    pub begun_anew: bool,
}

/// Which rows are brought over.
struct Brought<'a> {
    /// All tables, which are published.
    moved: &'a [MovedTable],
    /// Those whose rows flow.
    tables: Vec<&'a MovedTable>,
    /// Which were added, as this began.
    joining: Joining,
}

/// Rows are written as the applier does: no triggers, no foreign keys.
const SESSION: &str = "set session_replication_role = replica";

impl Mover {
    /// Makes the other side's rows the owner's, and has the stream from the owner
    /// begin anew there. Where only the stream to the owner has lost changes, that
    /// one begins anew and no row is touched. Nobody may follow meanwhile. May be
    /// repeated; dropping the future leaves what a kill would.
    pub async fn recopy(&self, claims: &Claims, owner: Side) -> Result<Recopied, MoverError> {
        let (mut monolith, mut service) = sessions::both_at_work(self).await?;
        self.refuse_appended()?;
        let moved =
            catalog::moved_tables(&self.extraction.data.tables, &monolith, &service).await?;
        // Of a table of which each side keeps its own nothing is brought over, and of
        // one that is being added its own copy brings it.
        let split = owner::is_split(&*service, &self.extraction.name).await?;
        let joining = joining::read(&*service, &self.extraction).await?;
        let flows = |table: &MovedTable| {
            let own = split && table.mapping.writes == TableWrites::Split;
            !own && !joining.lacks(&table.mapping)
        };
        let tables = moved.iter().filter(|table| flows(table)).collect();
        let (source, target) = match owner {
            Side::Monolith => (&mut monolith, &mut service),
            Side::Service => (&mut service, &mut monolith),
        };
        let from_owner = Direction::from_source(owner);
        let to_owner = Direction::from_source(owner.other());
        let mut done = Recopied::default();
        let back = self.is_broken(target, source, to_owner, &joining).await?;
        let broken = self.is_broken(source, target, from_owner, &joining).await?;
        if !back || broken {
            let slot = if broken {
                SnapshotSlot::OfStream
            } else {
                SnapshotSlot::Passing
            };
            let brought = Brought {
                moved: &moved,
                tables,
                joining,
            };
            done = self
                .bring_over(source, target, &brought, slot, claims)
                .await?;
        }
        if back {
            self.begin_anew(target, source, &moved, claims).await?;
            done.begun_anew = true;
        }
        tracing::info!(extraction = %self.extraction.name, ?done, "copied again");
        Ok(done)
    }

    fn refuse_appended(&self) -> Result<(), MoverError> {
        if !self.extraction.appends() {
            return Ok(());
        }
        let name = &self.extraction.name;
        Err(MoverError::Data {
            object: format!("extraction `{name}`"),
            problem: "both sides insert into a table of it, so that a row which only one has may \
                      be its own or one that the other has deleted"
                .to_owned(),
            remedy: self.extraction.made_equal(),
        })
    }

    /// The owner's rows, and the stream from where they were read.
    async fn bring_over(
        &self,
        source: &mut Session,
        target: &Session,
        brought: &Brought<'_>,
        slot: SnapshotSlot,
        claims: &Claims,
    ) -> Result<Recopied, MoverError> {
        let mut done = Recopied::default();
        let tables = brought.tables.as_slice();
        let (owner, side) = (source.side(), target.side());
        let direction = Direction::from_source(owner);
        let layout = self.layout();
        let published = match slot {
            SnapshotSlot::OfStream => {
                let moved = brought.moved;
                let published = self.publish_anew(source, moved, owner, claims).await?;
                slots::drop_if_exists(source, &layout.slot(direction)).await?;
                published
            }
            // As it was when the stream was found to be well.
            SnapshotSlot::Passing => {
                stream::published(&**target, side, &self.extraction.name).await?
            }
        };
        let mut before = Vec::with_capacity(tables.len());
        for table in tables {
            before.push(files(source, table.name(owner)).await?);
        }
        let exported =
            ExportedSnapshot::open(self.database(owner), source, &layout, direction, slot).await?;
        let wrap = || MoverError::sql(side, "writing the rows again");
        let origin = self.layout().origin(side);
        origins::take(target, &origin, "taking the replication origin").await?;
        target.batch_execute(SESSION).await.map_err(wrap())?;
        snapshot::take(source, &exported.name).await?;
        target.batch_execute(BEGIN).await.map_err(wrap())?;
        self.locked_for_copy(&**target, side, owner, claims.of(side), RowLock::Share)
            .await?;
        let mut rows = 0;
        for (at, table) in tables.iter().enumerate() {
            rows += fetched(source, target, table, at).await?;
        }
        // All that was read is locked: nobody rewrites it after this.
        for (table, before) in tables.iter().zip(before) {
            if files(source, table.name(owner)).await? != before {
                return Err(rewritten(table.name(owner)));
            }
        }
        // All that goes before all that comes: they may share unique values.
        let mut operators = Vec::new();
        for (at, table) in tables.iter().enumerate() {
            let own = KeyOperators::of(target, table.name(side)).await?;
            let delete = other_rows_deleted(table, &own, side, at);
            operators.push(own);
            done.deleted += target.execute(&delete, &[]).await.map_err(wrap())?;
        }
        for (at, (table, own)) in tables.iter().zip(&operators).enumerate() {
            let insert = missing_rows_inserted(table, own, side, at);
            done.written += target.execute(&insert, &[]).await.map_err(wrap())?;
        }
        staying::check(self, direction, target).await?;
        let beginning = Beginning {
            state: StreamState::Applying(self.epoch_of(source).await?),
            position: exported.position,
            system_identifier: &exported.cluster.system_identifier,
            timeline: exported.cluster.timeline,
            published: &published,
        };
        if !stream::begin_anew(&**target, side, &self.extraction.name, &beginning).await? {
            return Err(no_stream(self, side, direction));
        }
        if side == Side::Service {
            // A copy of added tables may have ended after all, as this began.
            if joining::read(&**target, &self.extraction).await? != brought.joining {
                return Err(joined_meanwhile(self));
            }
            joining::forget_joined(&**target, &self.extraction.name).await?;
        }
        target.batch_execute("commit").await.map_err(wrap())?;
        done.rows = Some(rows);
        origins::leave(target).await?;
        let end = MoverError::sql(owner, "ending the snapshot");
        source.batch_execute("commit").await.map_err(end)?;
        Ok(done)
    }

    /// The decision that made this side the owner.
    async fn epoch_of(&self, owner: &Session) -> Result<Epoch, MoverError> {
        let name = &self.extraction.name;
        let row = owner::read(&**owner, owner.side(), name).await?;
        Ok(row.map(|row| row.epoch).unwrap_or_default())
    }

    /// Whether a direction has lost changes.
    async fn is_broken(
        &self,
        source: &Session,
        target: &Session,
        direction: Direction,
        joining: &Joining,
    ) -> Result<bool, MoverError> {
        let row = self.stream_row(target, direction).await?;
        let cluster = slots::cluster(source).await?;
        let name = &self.extraction.name;
        let published = stream::published(&**target, target.side(), name).await?;
        let lacking = joining.lacking(&self.extraction, source.side());
        let layout = self.layout();
        let known = Known {
            row: &row,
            published: &published,
            joining: &lacking,
            had: joining.had_until(direction),
            unseen: row.unchanged,
        };
        let gap = continuity::gap(source, &layout, &known, &cluster).await?;
        Ok(gap.is_some() || self.publishes_otherwise(source, &lacking).await?)
    }

    async fn stream_row(
        &self,
        target: &Session,
        direction: Direction,
    ) -> Result<StreamRow, MoverError> {
        let name = &self.extraction.name;
        let row = stream::read(&**target, target.side(), name).await?;
        row.ok_or_else(|| no_stream(self, target.side(), direction))
    }

    /// The stream of the side that does not own, from a slot made now.
    async fn begin_anew(
        &self,
        source: &mut Session,
        target: &mut Session,
        moved: &[MovedTable],
        claims: &Claims,
    ) -> Result<(), MoverError> {
        let direction = Direction::from_source(source.side());
        let slot = self.layout().slot(direction);
        let published = self
            .publish_anew(source, moved, target.side(), claims)
            .await?;
        slots::drop_if_exists(source, &slot).await?;
        let position = slots::create(source, &slot).await?;
        let cluster = slots::cluster(source).await?;
        let row = self.stream_row(target, direction).await?;
        let side = target.side();
        let transaction = lock_retry::begin(target).await?;
        self.locked_for_copy(&transaction, side, side, claims.of(side), RowLock::Share)
            .await?;
        let beginning = Beginning {
            // Nothing is applied before the source is opened.
            state: match row.state {
                StreamState::Applying(epoch) => StreamState::Stopped(epoch),
                state => state,
            },
            position,
            system_identifier: &cluster.system_identifier,
            timeline: cluster.timeline,
            published: &published,
        };
        let name = &self.extraction.name;
        if !stream::begin_anew(&transaction, side, name, &beginning).await? {
            return Err(no_stream(self, side, direction));
        }
        if side == Side::Service {
            joining::forget_joined(&transaction, name).await?;
        }
        let wrap = MoverError::sql(side, "beginning the stream anew");
        transaction.commit().await.map_err(wrap)
    }
}

fn no_stream(mover: &Mover, target: Side, direction: Direction) -> MoverError {
    MoverError::Row {
        extraction: mover.extraction.name.clone(),
        side: target,
        epoch: Epoch::default(),
        problem: format!("there is no {} stream", direction.as_str()),
    }
}

fn joined_meanwhile(mover: &Mover) -> MoverError {
    MoverError::Data {
        object: format!("extraction `{}`", mover.extraction.name),
        problem: "tables were added to it while its rows were read, so nothing was changed"
            .to_owned(),
        remedy: "Do the same again".to_owned(),
    }
}

/// To the snapshot it may look empty.
fn rewritten(table: &TableName) -> MoverError {
    MoverError::Data {
        object: table.to_string(),
        problem: "it was truncated or rewritten while it was read, so nothing was changed"
            .to_owned(),
        remedy: "Do the same again, while nobody truncates or rewrites tables that move".to_owned(),
    }
}

/// A table's rows in the snapshot, in a temporary table of the target. Returns
/// how many there are.
async fn fetched(
    source: &Session,
    target: &Session,
    table: &MovedTable,
    at: usize,
) -> Result<u64, MoverError> {
    let (owner, side) = (source.side(), target.side());
    let wrap = || MoverError::sql(side, "reading the owner's rows into a temporary table");
    let create = format!(
        "create temporary table {} on commit drop as select {} from {} with no data",
        fetched_name(at),
        sql::identifiers(table.column_names(side)),
        sql::table(table.name(side)),
    );
    target.batch_execute(&create).await.map_err(wrap())?;
    let binary = is_binary(source, target, table).await?;
    let out = copy_statement(table, owner, "to stdout", binary);
    let from = source.copy_out(&out).await;
    let from = from.map_err(MoverError::sql(owner, "reading the owner's rows"))?;
    let into = copy_columns(&fetched_name(at), table, side, "from stdin", binary);
    let to = target.copy_in::<_, Bytes>(&into).await.map_err(wrap())?;
    let (mut from, mut to) = (Box::pin(from), Pipe::new(to));
    while let Some(message) = from.next().await {
        let message = message.map_err(MoverError::sql(owner, "reading the owner's rows"))?;
        to.pass(message).await.map_err(wrap())?;
    }
    let rows = to.finish().await.map_err(wrap())?;
    let analyze = format!("analyze {}", fetched_name(at));
    target.batch_execute(&analyze).await.map_err(wrap())?;
    Ok(rows)
}

fn fetched_name(at: usize) -> String {
    format!("pg_temp.banyan_recopy_{at}")
}

/// Joins the table, `t`, with what was fetched, `f`, by the key.
fn by_key(table: &MovedTable, operators: &KeyOperators, side: Side) -> String {
    let names = table.key_names(side);
    let equal = names.into_iter().map(|name| {
        let equals = operators.between(name, "=");
        let name = sql::identifier(name);
        format!("t.{name} {equals} f.{name}")
    });
    equal.collect::<Vec<_>>().join(" and ")
}

/// Deletes what the owner does not have, or has with other values. As texts: some
/// types know no equality, some types and collations call values equal that are
/// not the same.
fn other_rows_deleted(
    table: &MovedTable,
    operators: &KeyOperators,
    side: Side,
    at: usize,
) -> String {
    let same = table.column_names(side).into_iter().map(|name| {
        let name = sql::identifier(name);
        format!("t.{name}::text collate \"C\" is not distinct from f.{name}::text collate \"C\"")
    });
    format!(
        "delete from {} t where not exists (select from {} f where {} and {})",
        sql::table(table.name(side)),
        fetched_name(at),
        by_key(table, operators, side),
        same.collect::<Vec<_>>().join(" and ")
    )
}

/// Inserts what is not there, or not any more.
fn missing_rows_inserted(
    table: &MovedTable,
    operators: &KeyOperators,
    side: Side,
    at: usize,
) -> String {
    let columns = sql::identifiers(table.column_names(side));
    let name = sql::table(table.name(side));
    format!(
        "insert into {name} ({columns}) overriding system value \
         select {columns} from {} f where not exists (select from {name} t where {})",
        fetched_name(at),
        by_key(table, operators, side),
    )
}
