//! The journal: what has happened, in order, in SQLite.
//!
//! It is the state of everything but ownership, whose truth is in the
//! databases (`protocol::reconcile` compares). An event is durable
//! before any effect of it is begun. Entries are chained by their hashes ([`chain`]).

mod chain;
mod entry;
mod error;
mod history;
mod order;
mod permissions;
mod report;

pub use chain::{BrokenChain, ChainCheck};
pub use entry::{JournalEntry, JournalHead, JournalPage, JournalQuery, PAGE_ENTRIES_MAX};
pub use error::JournalError;
pub use history::{History, RecordedEvent};
pub use order::{OrderEvent, OrderOutcome};
pub use report::ReportEvent;
pub(crate) use report::ReportKind;

use crate::ports::Verification;
use chain::link;
use entry::{PAGE_BYTES_MAX, PAGE_ENTRIES};
use plan::{ExtractionName, Plan};
use protocol::ConductorId;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    SqlitePool,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The file in the state directory.
pub const JOURNAL_FILE: &str = "journal.db";

/// In place of an extraction's name, which cannot be this.
const OF_ALL: &str = "*";

/// The format of events; a reader refuses newer ones.
const VERSION: i64 = 1;

/// Finds the column of the hashes, where a journal has it.
const HASH_COLUMN: &str = "select name from pragma_table_info('journal') where name = 'hash'";

/// The journal of one installation, held by one process.
pub struct Journal {
    pool: SqlitePool,
}

impl Journal {
    /// Opens the journal in a directory, making both where they are missing.
    pub async fn open(state: &Path) -> Result<Self, JournalError> {
        let path = state.join(JOURNAL_FILE);
        permissions::make_private(&path).map_err(|source| JournalError::Directory {
            path: state.to_owned(),
            source,
        })?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // One process: a second one is refused instead of interleaving.
            .locking_mode(SqliteLockingMode::Exclusive)
            .busy_timeout(Duration::from_millis(500));
        let storage = |source: sqlx::Error| match &source {
            sqlx::Error::Database(error) if error.message().contains("locked") => {
                JournalError::InUse(path.clone())
            }
            _ => JournalError::Storage {
                path: path.clone(),
                source,
            },
        };
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(storage)?;
        sqlx::query(
            "create table if not exists journal (
                sequence integer primary key autoincrement,
                at_ms integer not null,
                extraction text not null,
                version integer not null,
                event text not null,
                hash text
            ) strict",
        )
        .execute(&pool)
        .await
        .map_err(storage)?;
        sqlx::query(
            "create table if not exists report (
                extraction text not null,
                kind text not null,
                report text not null,
                primary key (extraction, kind)
            ) strict",
        )
        .execute(&pool)
        .await
        .map_err(storage)?;
        sqlx::query(
            "create table if not exists claimant (
                sequence integer primary key autoincrement,
                at_ms integer not null,
                extraction text not null,
                conductor text not null
            ) strict",
        )
        .execute(&pool)
        .await
        .map_err(storage)?;
        let journal = Self { pool };
        let chained = journal.chain_older().await?;
        if chained > 0 {
            tracing::info!(
                chained,
                "entries of an earlier version chained by their hashes"
            );
        }
        Ok(journal)
    }

    /// Chains what was written before entries had hashes; how many that were. Not where some
    /// have one: whoever edits entries and takes their hashes away would have them made anew.
    async fn chain_older(&self) -> Result<usize, JournalError> {
        let mut transaction = self.pool.begin().await.map_err(storage)?;
        let has_hashes: Option<(String,)> = sqlx::query_as(HASH_COLUMN)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(storage)?;
        if has_hashes.is_none() {
            sqlx::query("alter table journal add column hash text")
                .execute(&mut *transaction)
                .await
                .map_err(storage)?;
        }
        let (hashed, unhashed): (i64, Option<i64>) = sqlx::query_as(
            "select count(hash), min(case when hash is null then sequence end) from journal",
        )
        .fetch_one(&mut *transaction)
        .await
        .map_err(storage)?;
        if hashed > 0 {
            if let Some(entry) = unhashed {
                tracing::warn!(
                    entry,
                    "the journal's chain is broken: see `banyan journal --check`"
                );
            }
            return Ok(0);
        }
        let unchained: Vec<Row> = sqlx::query_as(
            "select sequence, at_ms, extraction, version, event, hash from journal
             order by sequence",
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(storage)?;
        let count = unchained.len();
        for row in unchained {
            chain_on(&mut transaction, &entry_of(row)).await?;
        }
        transaction.commit().await.map_err(storage)?;
        Ok(count)
    }

    /// All entries of a journal that no process holds, or of a copy of one, and the last number
    /// that it gave. Changes nothing; those of earlier versions have empty hashes.
    pub async fn entries_of(file: &Path) -> Result<(Vec<JournalEntry>, i64), JournalError> {
        let wrong = |source| match &source {
            sqlx::Error::Database(error) if error.message().contains("locked") => {
                JournalError::InUse(file.to_owned())
            }
            _ => JournalError::Storage {
                path: file.to_owned(),
                source,
            },
        };
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await.map_err(wrong)?;
        let has_hashes: Option<(String,)> = sqlx::query_as(HASH_COLUMN)
            .fetch_optional(&pool)
            .await
            .map_err(wrong)?;
        let rows = if has_hashes.is_some() {
            "select sequence, at_ms, extraction, version, event, hash from journal
             order by sequence"
        } else {
            "select sequence, at_ms, extraction, version, event, null from journal
             order by sequence"
        };
        // Before the entries, so that none is missed that is written meanwhile.
        let (last,): (i64,) = sqlx::query_as(
            "select cast(coalesce(max(seq), 0) as integer) from sqlite_sequence
             where name = 'journal'",
        )
        .fetch_one(&pool)
        .await
        .map_err(wrong)?;
        let rows: Vec<Row> = sqlx::query_as(rows).fetch_all(&pool).await.map_err(wrong)?;
        pool.close().await;
        Ok((rows.into_iter().map(entry_of).collect(), last))
    }

    /// Entries, as they were written.
    pub async fn page(&self, query: &JournalQuery) -> Result<JournalPage, JournalError> {
        let limit = query.limit.unwrap_or(PAGE_ENTRIES).min(PAGE_ENTRIES_MAX);
        // Each goes along the primary key: a hand-over's events wait for the same connection.
        let rows = if query.before.is_none() {
            "select sequence, at_ms, extraction, version, event, hash from journal
             where sequence > ?1 and sequence < ?2 and (?3 is null or extraction = ?3)
             order by sequence limit ?4"
        } else {
            "select sequence, at_ms, extraction, version, event, hash from journal
             where sequence > ?1 and sequence < ?2 and (?3 is null or extraction = ?3)
             order by sequence desc limit ?4"
        };
        let rows: Vec<Row> = sqlx::query_as(rows)
            .bind(query.after)
            .bind(query.before.unwrap_or(i64::MAX))
            .bind(query.extraction.as_deref())
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(storage)?;
        let mut bytes = 0;
        let fits = |row: &Row| {
            let is_first = bytes == 0;
            bytes += row.4.len();
            is_first || bytes <= PAGE_BYTES_MAX
        };
        let mut entries: Vec<_> = rows.into_iter().take_while(fits).map(entry_of).collect();
        entries.sort_by_key(|entry| entry.seq);
        let head: Option<(i64, Option<String>)> =
            sqlx::query_as("select sequence, hash from journal order by sequence desc limit 1")
                .fetch_optional(&self.pool)
                .await
                .map_err(storage)?;
        let head = head.map(|(seq, hash)| JournalHead {
            seq,
            hash: hash.unwrap_or_default(),
        });
        Ok(JournalPage { entries, head })
    }

    /// Keeps the last report of a kind, for the status after a restart. No state
    /// follows from it. What a verify or a hand-over found stays as an entry, too.
    pub(crate) async fn keep_report(
        &self,
        extraction: &ExtractionName,
        kind: ReportKind,
        report: &impl Serialize,
    ) -> Result<(), JournalError> {
        let Ok(report) = serde_json::to_value(report) else {
            return Ok(());
        };
        let mut transaction = self.pool.begin().await.map_err(storage)?;
        sqlx::query("insert or replace into report (extraction, kind, report) values (?, ?, ?)")
            .bind(extraction.as_str())
            .bind(kind.as_str())
            .bind(report.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(storage)?;
        // Not the rows that differ, whose keys are not for everybody who reads the journal, nor
        // what is kept every few seconds.
        if let Some(of) = kind.recorded_as() {
            let of = of.to_owned();
            let event = ReportEvent::Reported { of, report };
            insert(&mut transaction, extraction.as_str(), &event).await?;
        }
        transaction.commit().await.map_err(storage)
    }

    /// The last report of a kind; none where it is another version's.
    pub(crate) async fn report<T: DeserializeOwned>(
        &self,
        extraction: &ExtractionName,
        kind: ReportKind,
    ) -> Result<Option<T>, JournalError> {
        let kept: Option<(String,)> =
            sqlx::query_as("select report from report where extraction = ? and kind = ?")
                .bind(extraction.as_str())
                .bind(kind.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(storage)?;
        Ok(kept.and_then(|(text,)| serde_json::from_str(&text).ok()))
    }

    /// What the last verify found, row by row.
    pub async fn verification(
        &self,
        extraction: &ExtractionName,
    ) -> Result<Option<Verification>, JournalError> {
        self.report(extraction, ReportKind::Verification).await
    }

    /// Forgets the reports of a life that has ended.
    pub(crate) async fn forget_reports(
        &self,
        extraction: &ExtractionName,
    ) -> Result<(), JournalError> {
        sqlx::query("delete from report where extraction = ?")
            .bind(extraction.as_str())
            .execute(&self.pool)
            .await
            .map_err(storage)?;
        Ok(())
    }

    /// The conductors of this journal that may have claimed an extraction's rows.
    /// None where it was begun by an earlier version, or is new.
    pub async fn claimants(
        &self,
        extraction: &ExtractionName,
    ) -> Result<Vec<ConductorId>, JournalError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "select sequence, conductor from claimant where extraction = ? order by sequence",
        )
        .bind(extraction.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(storage)?;
        let read = |(sequence, text): (i64, String)| {
            let id = text.parse().map_err(|_| JournalError::Unreadable {
                sequence,
                problem: "its conductor is no UUID".to_owned(),
            })?;
            Ok(ConductorId(id))
        };
        rows.into_iter().map(read).collect()
    }

    /// Writes down that a conductor is about to claim an extraction's rows; that
    /// is durable when this returns.
    pub async fn record_claimant(
        &self,
        extraction: &ExtractionName,
        conductor: ConductorId,
    ) -> Result<(), JournalError> {
        sqlx::query("insert into claimant (at_ms, extraction, conductor) values (?, ?, ?)")
            .bind(now_ms())
            .bind(extraction.as_str())
            .bind(conductor.to_string())
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(storage)
    }

    /// All events of an extraction, in order.
    pub async fn read(&self, extraction: &ExtractionName) -> Result<History, JournalError> {
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(
            "select sequence, at_ms, version, event from journal where extraction = ? \
             order by sequence",
        )
        .bind(extraction.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(storage)?;
        let mut history = History::default();
        for (sequence, at_ms, version, event) in rows {
            if version > VERSION {
                let problem = format!("it has version {version}, this program knows {VERSION}");
                return Err(JournalError::Unreadable { sequence, problem });
            }
            match serde_json::from_str(&event) {
                Ok(RecordedEvent::Replication(event)) => history.replicates(event, at_ms),
                Ok(RecordedEvent::SharedData(event)) => history.shared_data.push(event),
                Ok(RecordedEvent::Rollout(event)) => history.rollout.push(event),
                Ok(RecordedEvent::Checklist(event)) => history.checklist.push(event),
                Ok(RecordedEvent::BrownOut(event)) => history.brown_out.push(event),
                Ok(RecordedEvent::Order(_) | RecordedEvent::Report(_)) => {}
                Err(error) => {
                    let problem = error.to_string();
                    return Err(JournalError::Unreadable { sequence, problem });
                }
            }
        }
        Ok(history)
    }

    /// The extractions that were started and not cancelled, with their phase.
    async fn phases(&self) -> Result<Vec<(ExtractionName, &'static str)>, JournalError> {
        let names: Vec<(String,)> = sqlx::query_as("select distinct extraction from journal")
            .fetch_all(&self.pool)
            .await
            .map_err(storage)?;
        let mut phases = Vec::new();
        for (name,) in names {
            let Ok(name) = ExtractionName::new(&name) else {
                continue;
            };
            let history = self.read(&name).await?;
            phases.extend(history.phase().map(|phase| (name, phase)));
        }
        Ok(phases)
    }

    /// The same of a state directory that nobody uses; none where it has no
    /// journal.
    pub async fn phases_in(state: &Path) -> Result<Vec<(String, String)>, JournalError> {
        if !state.join(JOURNAL_FILE).exists() {
            return Ok(Vec::new());
        }
        let journal = Self::open(state).await?;
        let phases = journal.phases().await?;
        journal.pool.close().await;
        let words = |(name, phase): (ExtractionName, &str)| (name.to_string(), phase.to_owned());
        Ok(phases.into_iter().map(words).collect())
    }

    /// Refuses a plan that leaves out what has begun: nobody would route it.
    pub(crate) async fn refuse_left_out(&self, plan: &Plan) -> Result<(), JournalError> {
        for (extraction, phase) in self.phases().await? {
            if phase != "finished" && !plan.extractions.contains_key(&extraction) {
                return Err(JournalError::LeftOut { extraction, phase });
            }
        }
        Ok(())
    }

    /// Writes an event that is of no extraction alone; it is durable when this returns.
    pub(crate) async fn append_of_all(&self, event: &impl Serialize) -> Result<(), JournalError> {
        let mut transaction = self.pool.begin().await.map_err(storage)?;
        insert(&mut transaction, OF_ALL, event).await?;
        transaction.commit().await.map_err(storage)
    }

    /// The last such event of these kinds.
    pub(crate) async fn last_of_all<T: DeserializeOwned>(
        &self,
        kinds: [&str; 2],
    ) -> Result<Option<T>, JournalError> {
        let last: Option<(i64, String)> = sqlx::query_as(
            "select sequence, event from journal
             where extraction = ? and json_extract(event, '$.event') in (?, ?)
             order by sequence desc limit 1",
        )
        .bind(OF_ALL)
        .bind(kinds[0])
        .bind(kinds[1])
        .fetch_optional(&self.pool)
        .await
        .map_err(storage)?;
        let Some((sequence, text)) = last else {
            return Ok(None);
        };
        match serde_json::from_str(&text) {
            Ok(event) => Ok(Some(event)),
            Err(error) => Err(JournalError::Unreadable {
                sequence,
                problem: error.to_string(),
            }),
        }
    }

    /// Writes down an order or its end, of an extraction or of all; its number. It is
    /// durable when this returns.
    pub(crate) async fn append_order(
        &self,
        extraction: Option<&ExtractionName>,
        event: &OrderEvent,
    ) -> Result<i64, JournalError> {
        let mut transaction = self.pool.begin().await.map_err(storage)?;
        let of = extraction.map_or(OF_ALL, ExtractionName::as_str);
        let sequence = insert(&mut transaction, of, event).await?;
        transaction.commit().await.map_err(storage)?;
        Ok(sequence)
    }

    /// Writes events; they are durable when this returns.
    pub async fn append(
        &self,
        extraction: &ExtractionName,
        events: &[impl Serialize],
    ) -> Result<(), JournalError> {
        let mut transaction = self.pool.begin().await.map_err(storage)?;
        for event in events {
            insert(&mut transaction, extraction.as_str(), event).await?;
        }
        transaction.commit().await.map_err(storage)
    }
}

fn storage(source: sqlx::Error) -> JournalError {
    JournalError::Storage {
        path: PathBuf::from(JOURNAL_FILE),
        source,
    }
}

/// Number, time, extraction, version, event and hash.
type Row = (i64, i64, String, i64, String, Option<String>);

fn entry_of((seq, at_ms, extraction, version, event, hash): Row) -> JournalEntry {
    let content = (seq, at_ms, extraction, version);
    JournalEntry::of_row(content, &event, hash.unwrap_or_default())
}

/// Writes an event after the last one; its number.
async fn insert(
    transaction: &mut sqlx::SqliteTransaction<'_>,
    extraction: &str,
    event: &impl Serialize,
) -> Result<i64, JournalError> {
    let text = serde_json::to_string(event).map_err(|error| JournalError::Unreadable {
        sequence: 0,
        problem: error.to_string(),
    })?;
    let at_ms = now_ms();
    let (sequence,): (i64,) = sqlx::query_as(
        "insert into journal (at_ms, extraction, version, event) values (?, ?, ?, ?)
         returning sequence",
    )
    .bind(at_ms)
    .bind(extraction)
    .bind(VERSION)
    .bind(&text)
    .fetch_one(&mut **transaction)
    .await
    .map_err(storage)?;
    let row = (sequence, at_ms, extraction.to_owned(), VERSION);
    let entry = JournalEntry::of_row(row, &text, String::new());
    chain_on(transaction, &entry).await?;
    Ok(sequence)
}

/// Gives an entry its hash, by that of the one before it.
async fn chain_on(
    transaction: &mut sqlx::SqliteTransaction<'_>,
    entry: &JournalEntry,
) -> Result<(), JournalError> {
    let before: Option<(Option<String>,)> = sqlx::query_as(
        "select hash from journal where sequence < ? order by sequence desc limit 1",
    )
    .bind(entry.seq)
    .fetch_optional(&mut **transaction)
    .await
    .map_err(storage)?;
    let before = before.and_then(|(hash,)| hash);
    sqlx::query("update journal set hash = ? where sequence = ?")
        .bind(link(before.as_deref(), entry))
        .bind(entry.seq)
        .execute(&mut **transaction)
        .await
        .map(drop)
        .map_err(storage)
}

/// The wall clock: milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
