//! The loop of one connection: events in, target transactions out.
//!
//! A batch is committed when the source has nothing more to send for now: it
//! then tells its position, and a moment of silence says the same. So one
//! change alone is committed at once, and under load a batch holds what came
//! while the one before it was being committed.

use super::{
    assembly::{Assembly, Todo},
    feed::{Feed, FeedEvent, Portion},
    opening::Opened,
    status::Reporter,
};
use crate::{
    MoverError,
    apply::{Applier, tables::Tables},
    connect::Session,
    pgoutput::LogicalMessage,
};
use postgres_types::PgLsn;
use protocol::Lsn;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long a batch waits for more when the source has not said that it has
/// sent everything.
const LINGER: Duration = Duration::from_millis(1);

/// The longest that a batch grows while more keeps coming.
const LONGEST_BATCH: Duration = Duration::from_millis(50);

/// Progress without rows is stored this often, so that the source can drop
/// its log. It costs a commit on the target, and log there.
const STORE_INTERVAL: Duration = Duration::from_secs(10);

/// How often the end of the source's log is asked for, to know the lag.
const END_INTERVAL: Duration = Duration::from_millis(250);

/// Streams until asked to stop (`Ok`) or until something fails.
pub(super) async fn stream(
    opened: Opened,
    reporter: &Arc<Reporter>,
    stopping: &CancellationToken,
) -> Result<(), MoverError> {
    let Opened {
        applier,
        row,
        tables,
        source,
        feed,
        own_origin,
    } = opened;
    let assembly = Assembly::new(applier.instance(), own_origin, row.state, row.position);
    reporter.streaming(row.state, row.position);
    let mut end = End(tokio::spawn(watch_end(
        Arc::clone(&source),
        Arc::clone(reporter),
    )));
    let reporter = Arc::clone(reporter);
    let began = Instant::now();
    let mut stream = Stream {
        applier,
        tables,
        source,
        feed,
        assembly,
        reporter,
        stored_at: began,
        batch_began: began,
        row_state: row.state,
    };
    loop {
        let portion = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            portion = stream.next() => portion?,
            ended = &mut end.0 => return ended.unwrap_or(Ok(())),
        };
        stream.turn(portion).await?;
    }
}

struct Stream {
    applier: Applier,
    tables: Tables,
    source: Arc<Session>,
    feed: Feed,
    assembly: Assembly,
    reporter: Arc<Reporter>,
    stored_at: Instant,
    batch_began: Instant,
    /// The state in the stream's row.
    row_state: protocol::stream::StreamState,
}

impl Stream {
    /// What comes next; `None`: nothing for a moment. Cancel safe.
    async fn next(&mut self) -> Result<Option<Portion>, MoverError> {
        let patience = if !self.assembly.is_empty() && self.assembly.is_whole() {
            LINGER
        } else if self.assembly.position > self.applier.stored() {
            STORE_INTERVAL
        } else {
            Duration::MAX
        };
        match timeout(patience, self.feed.next()).await {
            Ok(portion) => portion.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Deals with what came, and with what is there by then.
    async fn turn(&mut self, portion: Option<Portion>) -> Result<(), MoverError> {
        let Some(mut portion) = portion else {
            return self.settle().await;
        };
        loop {
            let mut sent_all = false;
            for event in portion.events {
                sent_all = matches!(event, FeedEvent::Reached(_));
                self.event(event).await?;
            }
            match self.feed.ready() {
                Some(more) => portion = more?,
                None if sent_all || self.assembly.is_empty() => return self.settle().await,
                // It goes on: linger, unless that went on for long.
                None if self.batch_began.elapsed() > LONGEST_BATCH => return self.settle().await,
                None => return Ok(()),
            }
        }
    }

    async fn event(&mut self, event: FeedEvent) -> Result<(), MoverError> {
        let message = match event {
            FeedEvent::Reached(position) => {
                self.assembly.reached(position);
                return Ok(());
            }
            FeedEvent::Message(message) => message,
        };
        let todo = match message {
            LogicalMessage::Begin { commit_time, .. } => {
                if self.assembly.is_empty() {
                    self.batch_began = Instant::now();
                }
                self.reporter.pending(commit_time);
                self.assembly.begin();
                Todo::Nothing
            }
            LogicalMessage::Commit { end_lsn, .. } => self.assembly.commit(end_lsn, self.row_state),
            LogicalMessage::Origin { name } => {
                self.assembly.origin(&name);
                Todo::Nothing
            }
            LogicalMessage::Relation(relation) => {
                self.tables.announce(relation);
                Todo::Nothing
            }
            LogicalMessage::Message {
                transactional: true,
                prefix,
                content,
                ..
            } => {
                self.assembly.message(&prefix, &content)?;
                Todo::Nothing
            }
            rows @ (LogicalMessage::Insert { .. }
            | LogicalMessage::Update { .. }
            | LogicalMessage::Delete { .. }
            | LogicalMessage::Truncate { .. }) => {
                if self.assembly.applies() {
                    self.rows(rows).await?
                } else {
                    Todo::Nothing
                }
            }
            LogicalMessage::Type { .. } | LogicalMessage::Message { .. } => Todo::Nothing,
        };
        match todo {
            Todo::Nothing => Ok(()),
            Todo::Write => self.write().await,
            Todo::Commit => self.settle().await,
        }
    }

    async fn write(&mut self) -> Result<(), MoverError> {
        self.applier
            .write(&self.tables, &self.assembly.changes)
            .await?;
        self.assembly.written();
        Ok(())
    }

    /// Takes in rows that are to be applied.
    async fn rows(&mut self, message: LogicalMessage) -> Result<Todo, MoverError> {
        for &relation in message.relations() {
            self.tables.learn(relation, &self.source).await?;
        }
        if let LogicalMessage::Truncate { relations, .. } = message {
            let these = self.tables.truncated(&relations)?;
            self.write().await?;
            self.applier.truncate(&self.tables, &these).await?;
            self.assembly.dirty = true;
            return Ok(Todo::Nothing);
        }
        self.assembly.row(message, &self.tables)
    }

    /// Commits what can be, and tells how far everything is.
    async fn settle(&mut self) -> Result<(), MoverError> {
        if !self.assembly.is_whole() {
            return Ok(());
        }
        let (state, position) = (self.assembly.state, self.assembly.position);
        let overdue =
            position > self.applier.stored() && self.stored_at.elapsed() >= STORE_INTERVAL;
        if self.assembly.dirty || overdue {
            self.write().await?;
            self.applier.commit(&self.tables, state, position).await?;
            if state != self.row_state {
                tracing::info!(?state, %position, "stream changed its state");
            }
            self.row_state = state;
            self.stored_at = Instant::now();
            // Only now: the source forgets what it is told.
            self.feed.acknowledge(position);
        }
        let gained = self.assembly.settled();
        self.reporter.gained(state, position, gained);
        Ok(())
    }
}

/// Ends with the stream.
struct End(JoinHandle<Result<(), MoverError>>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells the end of the source's log and its clock now and then; ends only
/// with an error.
async fn watch_end(source: Arc<Session>, reporter: Arc<Reporter>) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(source.side(), "asking for the end of the log");
    let statement = source
        .prepare(
            "select pg_current_wal_flush_lsn(), \
             (extract(epoch from clock_timestamp() - '2000-01-01 00:00:00+00') * 1000000)::bigint",
        )
        .await
        .map_err(wrap())?;
    loop {
        let row = source.query_one(&statement, &[]).await.map_err(wrap())?;
        reporter.heard(Lsn(row.get::<_, PgLsn>(0).into()), row.get(1));
        tokio::time::sleep(END_INTERVAL).await;
    }
}
