//! The loop of one connection: events in, target transactions out.
//!
//! A batch is committed when the source has nothing more to send for now: when
//! its keepalive arrives, or nothing for [`LINGER`]. So one change alone is
//! committed at once, and under load a batch holds what arrived while the one
//! before it was being committed.

use super::{
    assembler::{Action, TransactionAssembler},
    feed::{Feed, FeedEvent, Portion},
    opening::{Opened, PublishedThen},
    status::Reporter,
};
use crate::{
    apply::{Applier, tables::Tables},
    database::session::Session,
    error::MoverError,
    pgoutput::LogicalMessage,
};
use protocol::Lsn;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a batch waits for more when the source has not said that it has
/// sent everything.
const LINGER: Duration = Duration::from_millis(1);

/// The longest that a batch grows while more keeps coming.
const LONGEST_BATCH: Duration = Duration::from_millis(50);

/// Progress without rows is stored this often, so that the source can drop
/// its log. It costs a commit on the target, and log there.
const STORE_INTERVAL: Duration = Duration::from_secs(10);

/// The publication is looked at this often, and at each mark and opening: what
/// comes before one of them was published as it should be, or the stream fails.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Streams until asked to stop (`Ok`) or until something fails.
pub(super) async fn stream(
    opened: Opened,
    reporter: &Arc<Reporter>,
    one_by_one: Lsn,
    stopping: &CancellationToken,
) -> Result<(), MoverError> {
    let Opened {
        applier,
        row,
        tables,
        source,
        feed,
        keeps_log,
        publication,
        own_origins,
    } = opened;
    let assembler = TransactionAssembler::new(
        applier.instance(),
        tables.direction(),
        own_origins,
        row.state,
        row.position,
        one_by_one,
    );
    reporter.split(applier.is_split());
    reporter.streaming();
    let reporter = Arc::clone(reporter);
    let began = Instant::now();
    let mut stream = Stream {
        applier,
        tables,
        source,
        feed,
        keeps_log,
        publication,
        looked_at: began,
        assembler,
        reporter,
        stored_at: began,
        batch_began: began,
        row_state: row.state,
    };
    let mover = stream.publication.mover().clone();
    loop {
        let portion = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            portion = stream.next() => portion?,
        };
        tokio::select! {
            biased;
            processed = Box::pin(stream.process(portion)) => processed?,
            silence = mover.unanswered() => return Err(silence),
        }
    }
}

struct Stream {
    applier: Applier,
    tables: Tables,
    source: Session,
    feed: Feed,
    keeps_log: bool,
    publication: PublishedThen,
    /// When the publication was looked at last.
    looked_at: Instant,
    assembler: TransactionAssembler,
    reporter: Arc<Reporter>,
    stored_at: Instant,
    batch_began: Instant,
    /// The state in the stream's row.
    row_state: protocol::stream::StreamState,
}

impl Stream {
    /// The next portion; `None` when none came in time. Cancel safe.
    async fn next(&mut self) -> Result<Option<Portion>, MoverError> {
        let wait = if !self.assembler.is_empty() && self.assembler.is_whole() {
            LINGER
        } else if self.assembler.position > self.applier.stored() {
            STORE_INTERVAL
        } else {
            Duration::MAX
        };
        match timeout(wait, self.feed.next()).await {
            Ok(portion) => portion.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Processes a portion, and those that are queued behind it.
    async fn process(&mut self, portion: Option<Portion>) -> Result<(), MoverError> {
        let Some(mut portion) = portion else {
            return self.commit_whole().await;
        };
        loop {
            let mut sent_all = false;
            for event in portion.events {
                sent_all = matches!(event, FeedEvent::Reached(_));
                self.event(event).await?;
            }
            match self.feed.ready() {
                Some(more) => portion = more?,
                None if sent_all || self.assembler.is_empty() => return self.commit_whole().await,
                // More is expected: wait, unless the batch is old enough.
                None if self.batch_began.elapsed() > LONGEST_BATCH => {
                    return self.commit_whole().await;
                }
                None => return Ok(()),
            }
        }
    }

    async fn event(&mut self, event: FeedEvent) -> Result<(), MoverError> {
        let message = match event {
            FeedEvent::Reached(position) => {
                self.assembler.reached(position);
                return Ok(());
            }
            FeedEvent::Message(message) => message,
        };
        let action = match message {
            LogicalMessage::Begin {
                commit_time,
                final_lsn,
                ..
            } => {
                if self.assembler.is_empty() {
                    self.batch_began = Instant::now();
                }
                self.reporter.pending(commit_time, final_lsn);
                self.assembler.begin(final_lsn);
                Action::Nothing
            }
            LogicalMessage::Commit { lsn, end_lsn, .. } => {
                self.assembler.commit(lsn, end_lsn, self.row_state)
            }
            LogicalMessage::Origin { name } => {
                self.assembler.origin(&name);
                Action::Nothing
            }
            LogicalMessage::Relation(relation) => {
                self.tables.announce(relation);
                Action::Nothing
            }
            LogicalMessage::Message {
                transactional: true,
                prefix,
                content,
                ..
            } => {
                self.assembler.message(&prefix, &content)?;
                Action::Nothing
            }
            rows @ (LogicalMessage::Insert { .. }
            | LogicalMessage::Update { .. }
            | LogicalMessage::Delete { .. }
            | LogicalMessage::Truncate { .. }) => {
                let split = self.applier.is_split();
                match self.assembler.admitted(rows, &self.tables, split) {
                    Some(rows) => self.rows(rows).await?,
                    None => Action::Nothing,
                }
            }
            LogicalMessage::Type { .. } | LogicalMessage::Message { .. } => Action::Nothing,
        };
        match action {
            Action::Nothing => Ok(()),
            Action::Write => self.write().await,
            Action::Commit => self.commit_whole().await,
        }
    }

    async fn write(&mut self) -> Result<(), MoverError> {
        self.applier
            .write(&self.tables, &self.assembler.changes)
            .await?;
        self.assembler.written();
        Ok(())
    }

    /// Takes rows that are to be applied.
    async fn rows(&mut self, message: LogicalMessage) -> Result<Action, MoverError> {
        for &relation in message.relations() {
            self.tables.learn(relation, &self.source).await?;
        }
        if let LogicalMessage::Truncate { relations, .. } = message {
            let these = self.tables.truncated(&relations)?;
            self.write().await?;
            self.applier.truncate(&self.tables, &these).await?;
            self.assembler.dirty = true;
            return Ok(Action::Nothing);
        }
        self.assembler.row(message, &self.tables)
    }

    /// Commits the whole transactions received, and reports the position.
    async fn commit_whole(&mut self) -> Result<(), MoverError> {
        if !self.assembler.is_whole() {
            return Ok(());
        }
        let (state, position) = (self.assembler.state, self.assembler.position);
        if state != self.row_state || self.looked_at.elapsed() >= LOOK_INTERVAL {
            let owner = self.applier.owner();
            self.publication.check(&self.source, owner).await?;
            self.looked_at = Instant::now();
        }
        let overdue =
            position > self.applier.stored() && self.stored_at.elapsed() >= STORE_INTERVAL;
        if self.assembler.dirty || overdue {
            self.write().await?;
            let discarded = self.assembler.counts.discarded_rows;
            self.applier.remember_discarded(discarded).await?;
            self.applier.commit(&self.tables, state, position).await?;
            if state != self.row_state {
                tracing::info!(?state, %position, "stream changed its state");
            }
            self.row_state = state;
            self.stored_at = Instant::now();
            self.reporter.split(self.applier.is_split());
            // Only now: the source forgets what it is told.
            if !self.keeps_log {
                self.feed.acknowledge(position);
            }
        }
        let counts = self.assembler.committed();
        self.reporter.applied(state, position, counts);
        Ok(())
    }
}
