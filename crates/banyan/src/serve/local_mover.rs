//! The mover of this process for one extraction, as the conductor sees it:
//! claims, locks and followers are kept here between one call and the next.

mod applied;
mod blockers;
mod claims;
mod errors;
mod followers;

use applied::AppliedPositions;
use async_trait::async_trait;
use claims::ClaimStore;
use conductor::ports::{self, CopyProgress, Progress, Rows, Verification, WorkError};
use errors::work_error;
use followers::Followers;
use mover::{Claims, Mover, copy, handover::SourceLock, positions::Sampler, verify};
use plan::{Extraction, HostAddresses, Plan, Replicate, Upstream};
use protocol::{
    ConductorId, HandoverId, InstanceId, Lsn, Side,
    finding::Finding,
    owner::{Outcome, RowRead},
    stream::{Direction, StreamState},
};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};

pub(super) struct LocalMover {
    mover: Mover,
    service: Upstream,
    resolve: HostAddresses,
    samplers: [Sampler; 2],
    applied: AppliedPositions,
    copy: watch::Sender<copy::CopyProgress>,
    verify: watch::Sender<verify::VerifyProgress>,
    verifying: AtomicBool,
    claims: ClaimStore,
    lock: Mutex<Option<SourceLock>>,
    followers: Followers,
}

impl LocalMover {
    /// Must be called inside a runtime.
    pub(super) fn new(plan: &Plan, extraction: &Extraction, data: &Replicate) -> Self {
        let mover = Mover::new(&extraction.name, data);
        let samplers = Side::BOTH.map(|side| Sampler::start(side, mover.database(side)));
        Self {
            service: plan.service_of(extraction).clone(),
            resolve: plan.gateway.host_addresses.clone(),
            samplers,
            applied: AppliedPositions::new(),
            copy: watch::Sender::new(copy::CopyProgress::default()),
            verify: watch::Sender::new(verify::VerifyProgress::default()),
            verifying: AtomicBool::new(false),
            claims: ClaimStore::default(),
            lock: Mutex::new(None),
            followers: Followers::default(),
            mover,
        }
    }

    pub(super) async fn sample(&self, side: Side) -> Option<Lsn> {
        self.samplers[usize::from(side == Side::Service)]
            .sample()
            .await
    }

    pub(super) fn applied(&self, source: Side) -> watch::Receiver<Lsn> {
        self.applied.of(source)
    }

    /// Takes the applied positions from the streams' rows while another process
    /// follows, until what this returns is dropped.
    pub(super) fn watch_remote_progress(&self) -> JoinSet<()> {
        self.applied.watch_remote_progress(&self.mover)
    }

    async fn claims(&self, sides: &[Side]) -> Result<Claims, WorkError> {
        self.claims.on(&self.mover, sides).await
    }
}

#[async_trait]
impl ports::Mover for LocalMover {
    async fn check(&self) -> Result<Vec<Finding>, WorkError> {
        self.mover.check().await.map_err(work_error)
    }

    async fn claim(&self, conductor: ConductorId) -> Result<Rows, WorkError> {
        self.claims.begin(conductor);
        let read = |side| self.claims.read(&self.mover, side, conductor);
        let (monolith, service) = tokio::try_join!(read(Side::Monolith), read(Side::Service))?;
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

    async fn prepare(&self, instance: InstanceId, conductor: ConductorId) -> Result<(), WorkError> {
        let claims = self
            .mover
            .prepare(instance, conductor)
            .await
            .map_err(work_error)?;
        self.claims.keep(conductor, claims);
        Ok(())
    }

    async fn copy(&self) -> Result<(), WorkError> {
        let claims = self.claims(&Side::BOTH).await?;
        self.mover
            .copy(&claims, &self.copy)
            .await
            .map(drop)
            .map_err(work_error)
    }

    async fn follow(&self) -> Result<(), WorkError> {
        let claims = self.claims(&Side::BOTH).await?;
        self.followers.start(&self.mover, &claims, &self.applied);
        for direction in Direction::BOTH {
            self.followers.streams(direction).await?;
        }
        Ok(())
    }

    async fn stop_following(&self) {
        self.followers.stop();
    }

    async fn verify(&self, owner: Side) -> Result<Verification, WorkError> {
        self.verify.send_replace(verify::VerifyProgress::default());
        self.verifying.store(true, Ordering::Relaxed);
        let report = self
            .mover
            .verify(owner, self.applied(owner), &self.verify)
            .await;
        self.verifying.store(false, Ordering::Relaxed);
        let report = report.map_err(work_error)?;
        Ok(Verification {
            rows: report.rows,
            differences: report.differences_total,
            report: serde_json::to_value(&report).unwrap_or_default(),
        })
    }

    async fn blockers(&self, from: Side) -> Result<Vec<String>, WorkError> {
        let mut found = blockers::of_streams(&self.mover, &self.followers);
        if from == Side::Monolith {
            found.extend(blockers::of_writers(&self.mover, &self.followers));
            found.extend(blockers::of_health(&self.service, &self.resolve).await);
        }
        let more = self.mover.blockers(from).await.map_err(work_error)?;
        found.extend(more.iter().map(ToString::to_string));
        Ok(found)
    }

    async fn lock_weakly(&self, from: Side) -> Result<(), WorkError> {
        let lock = self.mover.lock_weakly(from).await.map_err(work_error)?;
        *self.lock.lock().await = Some(lock);
        Ok(())
    }

    async fn fence(&self, id: &HandoverId, limit: Duration) -> Result<(), WorkError> {
        let claims = self.claims(&[id.from]).await?;
        let mut lock = self.lock.lock().await;
        let Some(lock) = lock.as_mut() else {
            return Err(WorkError::Permanent("the weak lock is not held".to_owned()));
        };
        self.mover
            .fence(lock, &claims, id, limit)
            .await
            .map_err(work_error)
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
        self.mover
            .advance_sequences(&claims, id)
            .await
            .map_err(work_error)
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
        self.mover.unfence(&claims, side).await.map_err(work_error)
    }

    async fn cancel(&self) -> Result<(), WorkError> {
        self.mover.cancel().await.map(drop).map_err(work_error)?;
        self.claims.forget();
        self.copy.send_replace(copy::CopyProgress::default());
        self.applied.reset();
        Ok(())
    }

    fn progress(&self) -> Progress {
        let copy = self.copy.borrow().clone();
        let verifying = self.verifying.load(Ordering::Relaxed);
        let verify = self.verify.borrow().clone();
        let names: BTreeSet<_> = self
            .followers
            .writers()
            .into_iter()
            .map(|writer| writer.application)
            .collect();
        Progress {
            copy: CopyProgress {
                rows_copied: copy.rows_copied,
                rows_total: copy.rows_total,
            },
            forward: self.followers.progress(Direction::Forward),
            reverse: self.followers.progress(Direction::Reverse),
            verify: verifying.then_some((verify.rows_verified, verify.rows_total)),
            writers: names.into_iter().collect(),
        }
    }
}
