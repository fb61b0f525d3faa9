//! The mover of this process for one extraction, as the conductor sees it:
//! claims, locks and followers are kept here between one call and the next.

mod applied;
mod blockers;
mod claims;
mod errors;
mod followers;
mod looks;
mod presences;
mod readiness;
mod tables;

use super::current_plan::CurrentPlan;
use applied::AppliedPositions;
use async_trait::async_trait;
use claims::ClaimStore;
use conductor::ports::{
    self, Cancellation, CopyProgress, Progress, Recopied, Rows, SharedTable, Verification, Wanted,
    WorkError,
};
use errors::work_error;
use followers::Followers;
use looks::Looks;
use mover::{
    Claims, Mover, MoverError,
    archive::{ArchiveError, RestoredTable},
    copy,
    handover::SourceLock,
    objects::{
        notes::{DiscardedRows, Writer},
        refusals::Refusals,
    },
    positions::Sampler,
    verify,
};
use plan::{DatabaseUrl, Extraction, Replicate, TableName, TableWrites, WriterPattern};
use presences::Presences;
use protocol::{
    ConductorId, HandoverId, InstanceId, Lsn, Side,
    finding::Finding,
    owner::{Outcome, RowRead},
    retire::TableUse,
    stream::{Direction, StreamState},
};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};

pub(super) struct LocalMover {
    mover: Mover,
    current: CurrentPlan,
    samplers: [Sampler; 2],
    applied: AppliedPositions,
    copy: watch::Sender<copy::CopyProgress>,
    verify: watch::Sender<verify::VerifyProgress>,
    verifying: AtomicBool,
    /// Tables that were added and are not copied yet.
    joining: watch::Sender<Vec<String>>,
    presences: Presences,
    claims: ClaimStore,
    lock: Mutex<Option<SourceLock>>,
    followers: Followers,
    looks: Looks,
}

impl LocalMover {
    /// Must be called inside a runtime.
    pub(super) fn new(current: &CurrentPlan, extraction: &Extraction, data: &Replicate) -> Self {
        let mover = Mover::new(&extraction.name, data);
        let samplers = Side::BOTH.map(|side| Sampler::start(side, mover.database(side)));
        Self {
            current: current.clone(),
            samplers,
            applied: AppliedPositions::new(),
            copy: watch::Sender::new(copy::CopyProgress::default()),
            verify: watch::Sender::new(verify::VerifyProgress::default()),
            verifying: AtomicBool::new(false),
            joining: watch::Sender::new(Vec::new()),
            presences: Presences::default(),
            claims: ClaimStore::default(),
            lock: Mutex::new(None),
            followers: Followers::default(),
            looks: Looks::default(),
            mover,
        }
    }

    /// Archives a side's tables and restores them for trial, beside `scratch`.
    pub(super) async fn restore_for_trial(
        &self,
        side: Side,
        scratch: &DatabaseUrl,
        directory: &Path,
    ) -> Result<Vec<RestoredTable>, ArchiveError> {
        let tried = self.mover.restore_for_trial(side, scratch, directory);
        tried.await
    }

    /// How often the monolith's server has seen the old tables used.
    pub(super) async fn use_of_old_tables(&self) -> Result<TableUse, MoverError> {
        self.mover.use_of_old_tables().await
    }

    pub(super) async fn sample(&self, side: Side) -> Option<Lsn> {
        self.samplers[usize::from(side == Side::Service)]
            .sample()
            .await
    }

    pub(super) fn applied(&self, source: Side) -> watch::Receiver<Lsn> {
        self.applied.of(source)
    }

    /// How many statements a side's fence has refused, and when; `None`: that is not
    /// known, or it does not count.
    pub(super) fn refused(&self, side: Side) -> Option<Refusals> {
        let seen = self.followers.seen().refused;
        seen.into_iter().find(|one| one.side == side)
    }

    /// Takes the applied positions from the streams' rows while another process
    /// follows, until what this returns is dropped.
    pub(super) fn watch_remote_progress(&self) -> JoinSet<()> {
        self.applied.watch_remote_progress(&self.mover)
    }

    /// What the plan says of the move now: a reload changes writers and bounds.
    fn planned(&self) -> Replicate {
        let plan = self.current.get();
        let extraction = plan.extractions.get(&self.mover.extraction().name);
        let data = extraction.and_then(|one| one.data.replicate());
        data.unwrap_or(&self.mover.extraction().data).clone()
    }

    /// The tables that both sides write, and whether their rows flow.
    fn shared_tables(&self) -> Vec<SharedTable> {
        let split = self
            .followers
            .status(Direction::Forward)
            .is_some_and(|status| status.borrow().split);
        let tables = self.mover.extraction().data.tables.iter();
        tables
            .filter(|table| table.writes != TableWrites::Owner)
            .map(|table| SharedTable {
                table: table.monolith.to_string(),
                writes: table.writes.to_string(),
                flows: table.writes == TableWrites::Append || !split,
            })
            .collect()
    }

    async fn claims(&self, sides: &[Side]) -> Result<Claims, WorkError> {
        for side in sides {
            // One that did not answer before, perhaps.
            let there = self.presences.at(&self.mover, *side).await;
            there.map_err(work_error)?;
        }
        self.claims.on(&self.mover, sides).await
    }

    /// What came of something; where a right was missing, with what gives it.
    async fn told<T>(&self, done: Result<T, MoverError>) -> Result<T, WorkError> {
        match done {
            Ok(done) => Ok(done),
            Err(error) => Err(work_error(self.mover.with_grants(error).await)),
        }
    }

    /// One side's row; a database that is down is not an error.
    async fn look_at(&self, side: Side) -> Result<RowRead, WorkError> {
        let looked = async {
            self.presences.at(&self.mover, side).await?;
            self.mover.read_row(side).await
        };
        match looked.await {
            Ok(None) => Ok(RowRead::NoRow),
            Ok(Some(row)) => Ok(RowRead::Row(row)),
            Err(error) if error.is_transient() => {
                tracing::warn!(%side, %error, "a side does not answer");
                Ok(RowRead::NoAnswer)
            }
            Err(error) => Err(work_error(error)),
        }
    }

    async fn rows(&self, monolith: RowRead, service: RowRead) -> Result<Rows, WorkError> {
        let copied = match service {
            RowRead::Row(_) => self.mover.is_copied().await.map_err(work_error)?,
            RowRead::NoRow | RowRead::NoAnswer => false,
        };
        Ok(Rows {
            monolith,
            service,
            copied,
        })
    }
}

/// A flag that is up while this lives: dropped work takes it down, too.
struct Raised<'a>(&'a AtomicBool);

impl<'a> Raised<'a> {
    fn new(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::Relaxed);
        Self(flag)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[async_trait]
impl ports::Mover for LocalMover {
    async fn check(&self) -> Result<Vec<Finding>, WorkError> {
        self.mover.check().await.map_err(work_error)
    }

    async fn look(&self) -> Result<Rows, WorkError> {
        // One after the other: of two that come at once, one gets both.
        let monolith = self.look_at(Side::Monolith).await?;
        let service = self.look_at(Side::Service).await?;
        self.rows(monolith, service).await
    }

    fn is_displaced(&self) -> bool {
        self.presences.is_displaced()
    }

    async fn unanswered(&self) -> WorkError {
        work_error(self.mover.unanswered().await)
    }

    async fn leave(&self) {
        // Whoever goes on from the rows waits for no lock of ours.
        drop(self.lock.lock().await.take());
        self.presences.leave().await;
    }

    async fn claim(&self, conductor: ConductorId) -> Result<Rows, WorkError> {
        self.claims.begin(conductor);
        let read = |side| self.claims.read(&self.mover, side, conductor);
        let (monolith, service) = tokio::try_join!(read(Side::Monolith), read(Side::Service))?;
        self.rows(monolith, service).await
    }

    async fn prepare(&self, instance: InstanceId, conductor: ConductorId) -> Result<(), WorkError> {
        let prepared = self.mover.prepare(instance, conductor).await;
        let claims = self.told(prepared).await?;
        self.claims.keep(conductor, claims);
        Ok(())
    }

    async fn copy(&self) -> Result<(), WorkError> {
        let claims = self.claims(&Side::BOTH).await?;
        let copied = self.mover.copy(&claims, &self.copy).await;
        self.told(copied.map(drop)).await
    }

    async fn follow(&self) -> Result<(), WorkError> {
        let claims = self.claims(&Side::BOTH).await?;
        // Before the streams open, which must know of each of these.
        let lacking = self.mover.lacking().await.map_err(work_error)?;
        self.joining
            .send_replace(lacking.iter().map(ToString::to_string).collect());
        if !self.followers.run() {
            // Whatever a follower of before may have told in its last moment.
            self.applied.reset();
        }
        self.followers.start(&self.mover, &claims, &self.applied);
        for direction in Direction::BOTH {
            self.followers.streams(direction).await?;
        }
        Ok(())
    }

    fn nothing_flows_back(&self) {
        self.applied.all_of(Side::Service);
    }

    fn joining(&self) -> Vec<String> {
        self.joining.borrow().clone()
    }

    async fn join(&self) -> Result<(), WorkError> {
        let claims = self.claims(&Side::BOTH).await?;
        let stop = || {
            self.followers.stop();
            // The stream may go on from an earlier position.
            self.applied.reset();
        };
        let joined = self.mover.join(&claims, &self.copy, &stop).await;
        joined.map_err(work_error)?;
        self.joining.send_replace(Vec::new());
        Ok(())
    }

    async fn stop_following(&self) {
        self.followers.stop();
    }

    async fn resume(&self) -> Result<(), WorkError> {
        self.followers.resume().await
    }

    async fn recopy(&self, owner: Side) -> Result<Recopied, WorkError> {
        self.followers.stop();
        let claims = self.claims(&Side::BOTH).await?;
        // Positions of the log before mean nothing if its server was replaced,
        // whatever becomes of this.
        self.applied.reset();
        let recopied = self.mover.recopy(&claims, owner).await;
        let recopied = self.told(recopied).await?;
        Ok(Recopied {
            rows: recopied.rows,
            written: recopied.written,
            deleted: recopied.deleted,
            begun_anew: recopied.begun_anew,
        })
    }

    async fn verify(&self, owner: Side) -> Result<Verification, WorkError> {
        // Before the comparison: what comes during it is not proven by it.
        let noticed = self.mover.seen().await.map_err(work_error)?.discarded;
        self.verify.send_replace(verify::VerifyProgress::default());
        let _verifying = Raised::new(&self.verifying);
        let direction = Direction::from_source(owner);
        let streams = verify::AppliedStreams {
            of_owner: self.applied(owner),
            of_other: Some(self.applied(owner.other())),
        };
        let verifying = self.mover.verify(owner, streams, &self.verify);
        let report = tokio::select! {
            biased;
            // Rows that move can be told from rows that differ only by a stream.
            problem = self.followers.failed(direction) => {
                return Err(WorkError::Transient(format!(
                    "rows cannot be compared while the {} stream does not run: {problem}",
                    direction.as_str()
                )));
            }
            report = verifying => self.told(report).await?,
        };
        if report.differences_total == 0 && !noticed.is_empty() {
            let claims = self.claims(&Side::BOTH).await?;
            let cleared = self.mover.clear_discarded(&claims, &noticed).await;
            cleared.map_err(work_error)?;
            self.followers
                .know(self.mover.seen().await.map_err(work_error)?);
        }
        Ok(Verification {
            rows: report.rows,
            differences: report.differences_total,
            tables: tables::verified(&report),
            report: serde_json::to_value(&report).unwrap_or_default(),
        })
    }

    async fn blockers(&self, from: Side, wanted: Wanted) -> Result<Vec<String>, WorkError> {
        Box::pin(self.in_the_way(from, wanted)).await
    }

    async fn unproven(&self) -> Result<Vec<String>, WorkError> {
        let found = self.told(self.mover.unproven().await).await?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    async fn lock_weakly(&self, from: Side) -> Result<(), WorkError> {
        let lock = self.told(self.mover.lock_weakly(from).await).await?;
        *self.lock.lock().await = Some(lock);
        Ok(())
    }

    async fn fence(&self, id: &HandoverId, limit: Duration) -> Result<(), WorkError> {
        let claims = self.claims(&[id.from]).await?;
        let mut lock = self.lock.lock().await;
        let Some(lock) = lock.as_mut() else {
            return Err(WorkError::Permanent("the weak lock is not held".to_owned()));
        };
        let fenced = self.mover.fence(lock, &claims, id, limit).await;
        self.told(fenced).await
    }

    async fn note_waited_for(&self, from: Side, waited_for: &ports::WaitedFor) {
        let note = |whom| waited_for.note(whom);
        let Err(error) = self.mover.note_waited_for(from, note).await;
        tracing::warn!(%error, "whom the fence waits for is not seen");
        std::future::pending::<()>().await;
    }

    async fn catch_up(&self, id: &HandoverId, limit: Duration) -> Result<(), WorkError> {
        let direction = Direction::from_source(id.from);
        let Some(mut status) = self.followers.status(direction) else {
            return Err(WorkError::Permanent(
                "the stream is not followed".to_owned(),
            ));
        };
        let passed = status.wait_for(|now| now.state == Some(StreamState::Stopped(id.epoch)));
        match tokio::time::timeout(limit, passed).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(WorkError::Permanent("the follower has ended".to_owned())),
            Err(_) => {
                let text = format!("the {} stream did not reach the mark", direction.as_str());
                return Err(WorkError::Transient(text));
            }
        }
        let claims = self.claims(&[id.from.other()]).await?;
        let advanced = self.mover.advance_sequences(&claims, id).await;
        self.told(advanced).await
    }

    async fn decide(&self, id: &HandoverId, wanted: Outcome) -> Result<Outcome, WorkError> {
        let claims = self.claims(&[id.from]).await?;
        let lock = self.lock.lock().await.take();
        self.mover
            .decide(lock, &claims, id, wanted)
            .await
            .map_err(work_error)
    }

    async fn open(&self, id: &HandoverId) -> Result<(), WorkError> {
        let claims = self.claims(&[id.from.other()]).await?;
        self.mover.open(&claims, id).await.map_err(work_error)
    }

    async fn unfence(&self, side: Side) -> Result<(), WorkError> {
        let claims = self.claims(&[side]).await?;
        self.told(self.mover.unfence(&claims, side).await).await
    }

    async fn cancel(
        &self,
        whose: Option<InstanceId>,
        empty: bool,
    ) -> Result<Cancellation, WorkError> {
        let cancelled = if empty {
            self.mover.cancel_and_empty(whose).await
        } else {
            self.mover.cancel(whose).await
        };
        let cancelled = cancelled.map_err(work_error)?;
        self.claims.forget();
        self.joining.send_replace(Vec::new());
        self.copy.send_replace(copy::CopyProgress::default());
        self.verify.send_replace(verify::VerifyProgress::default());
        self.applied.reset();
        let names = |tables: Vec<TableName>| tables.iter().map(ToString::to_string).collect();
        Ok(Cancellation {
            emptied: names(cancelled.emptied),
            left: names(cancelled.left),
            left_because: cancelled.left_because,
            lost_indexes: cancelled.lost_indexes,
        })
    }

    async fn finish(&self, whose: InstanceId) -> Result<(), WorkError> {
        self.mover.finish(Some(whose)).await.map_err(work_error)?;
        self.claims.forget();
        Ok(())
    }

    fn progress(&self) -> Progress {
        let copy = self.copy.borrow().clone();
        let verifying = self.verifying.load(Ordering::Relaxed);
        let verify = self.verify.borrow().clone();
        let seen = seen(self.followers.seen(), &self.planned().writers);
        let names: BTreeSet<_> = seen
            .writers
            .iter()
            .map(|writer| writer.application.clone())
            .collect();
        Progress {
            copy: CopyProgress {
                rows_copied: copy.rows_copied,
                rows_total: copy.rows_total,
            },
            forward: self.followers.progress(Direction::Forward),
            reverse: self.followers.progress(Direction::Reverse),
            verify: verifying.then_some((verify.rows_verified, verify.rows_total)),
            looks: self.looks.report(),
            writers: names.into_iter().collect(),
            seen,
            tables: tables::tables(&self.mover, &copy),
            shared_tables: self.shared_tables(),
        }
    }
}

/// What was seen, as the status shows it.
fn seen(
    seen: mover::readiness::seen::Observations,
    declared: &[WriterPattern],
) -> ports::Observations {
    let writer = |one: Writer| ports::SeenWriter {
        declared: WriterPattern::any(declared, &one.application),
        application: one.application,
        role: one.role,
        address: one.address,
        tables: one.tables.into_iter().collect(),
        together_with: one.together_with.into_iter().collect(),
        sightings: one.sightings,
        first_seen: one.first_seen,
        last_seen: one.last_seen,
    };
    let rows = |one: DiscardedRows| ports::SeenRows {
        side: one.side.to_string(),
        rows: one.rows,
        first_seen: one.first_seen,
        last_seen: one.last_seen,
    };
    ports::Observations {
        looked_seconds: seen.looking.seconds,
        writers: seen.writers.into_iter().map(writer).collect(),
        rows_past_fence: seen.discarded.into_iter().map(rows).collect(),
        frozen_until: seen
            .frozen
            .into_iter()
            .map(|(side, until)| (side.to_string(), until))
            .collect(),
    }
}
