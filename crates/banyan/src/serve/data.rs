//! The mover of one extraction, as the conductor sees it: claims, locks and
//! followers are kept here between one call and the next.

use async_trait::async_trait;
use conductor::ports::{self, CopyProgress, Progress, Rows, StreamProgress, Trouble, Verification};
use mover::{
    Claims, Mover, MoverError, copy,
    follow::{FollowPhase, FollowStatus, Follower, remote_progress},
    handover::SourceLock,
    positions::Sampler,
    readiness::{self, writers::WriterObserver},
    verify,
};
use plan::{Extraction, Plan, Replicate, Resolve, Upstream};
use protocol::{
    ConductorId, Generation, HandoverId, InstanceId, Lsn, Side,
    finding::Finding,
    owner::{Claim, Outcome, RowRead},
    stream::{Direction, StreamState},
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// How long a stream may take to get going before that is told.
const STREAM_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct DataMover {
    mover: Mover,
    service: Upstream,
    resolve: Resolve,
    samplers: [Sampler; 2],
    applied: [watch::Sender<Lsn>; 2],
    copy: watch::Sender<copy::CopyProgress>,
    verify: watch::Sender<verify::VerifyProgress>,
    verifying: Mutex<bool>,
    claims: Mutex<Held>,
    lock: tokio::sync::Mutex<Option<SourceLock>>,
    following: Mutex<Option<Following>>,
}

/// The claims that this conductor has made.
#[derive(Clone, Copy, Default)]
struct Held {
    conductor: Option<ConductorId>,
    claims: [Option<Claim>; 2],
}

/// Both followers, forward first, and who looks at the writers.
struct Following {
    followers: [Follower; 2],
    /// Pass each follower's position on to those who asked before it began.
    relays: [JoinHandle<()>; 2],
    observer: WriterObserver,
}

impl Drop for Following {
    fn drop(&mut self) {
        for relay in &self.relays {
            relay.abort();
        }
    }
}

/// Positions never go back.
fn reached(known: &watch::Sender<Lsn>, position: Lsn) {
    known.send_if_modified(|known| {
        let further = position > *known;
        *known = position.max(*known);
        further
    });
}

fn index(source: Side) -> usize {
    usize::from(source == Side::Service)
}

impl DataMover {
    /// Must be called inside a runtime.
    pub(super) fn new(plan: &Plan, extraction: &Extraction, data: &Replicate) -> Self {
        let mover = Mover::new(&extraction.name, data);
        let samplers = Side::BOTH.map(|side| Sampler::start(side, mover.database(side)));
        Self {
            service: plan.service_of(extraction).clone(),
            resolve: plan.gateway.resolve.clone(),
            samplers,
            applied: [
                watch::Sender::new(Lsn::default()),
                watch::Sender::new(Lsn::default()),
            ],
            copy: watch::Sender::new(copy::CopyProgress::default()),
            verify: watch::Sender::new(verify::VerifyProgress::default()),
            verifying: Mutex::new(false),
            claims: Mutex::new(Held::default()),
            lock: tokio::sync::Mutex::new(None),
            following: Mutex::new(None),
            mover,
        }
    }

    pub(super) async fn sample(&self, side: Side) -> Option<Lsn> {
        self.samplers[index(side)].sample().await
    }

    pub(super) fn applied(&self, source: Side) -> watch::Receiver<Lsn> {
        self.applied[index(source)].subscribe()
    }

    /// Takes the applied positions from the streams' rows while another process
    /// follows, until what this returns is dropped.
    pub(super) fn watch_remote_progress(&self) -> JoinSet<()> {
        let watch = |direction: Direction| {
            let (mover, to) = (
                self.mover.clone(),
                self.applied[index(direction.source())].clone(),
            );
            async move {
                remote_progress::watch(&mover, direction, |position| reached(&to, position)).await;
            }
        };
        Direction::BOTH.into_iter().map(watch).collect()
    }

    fn held(&self) -> Held {
        *self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, held: Held) {
        *self.claims.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// The claims on these sides, made now where a side did not answer before.
    /// A claim on another side is one that every row refuses.
    async fn claims(&self, sides: &[Side]) -> Result<Claims, Trouble> {
        let unclaimed = || Trouble::Lasting("its rows have not been claimed".to_owned());
        let conductor = self.held().conductor.ok_or_else(unclaimed)?;
        for side in sides {
            if self.held().claims[index(*side)].is_none() {
                let made = self
                    .mover
                    .claim_row(*side, conductor)
                    .await
                    .map_err(trouble)?;
                let (_, claim) = made.ok_or_else(unclaimed)?;
                let mut held = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
                held.claims[index(*side)] = Some(claim);
            }
        }
        let none = Claim {
            conductor,
            generation: Generation::default(),
        };
        let [monolith, service] = self.held().claims.map(|claim| claim.unwrap_or(none));
        Ok(Claims { monolith, service })
    }

    /// What was seen of a side's row; a database that is down is not an error.
    async fn seen(&self, side: Side, conductor: ConductorId) -> Result<RowRead, Trouble> {
        match self.mover.claim_row(side, conductor).await {
            Ok(None) => Ok(RowRead::NoRow),
            Ok(Some((row, claim))) => {
                let mut held = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
                held.claims[index(side)] = Some(claim);
                Ok(RowRead::Row(row))
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%side, %error, "a side does not answer");
                Ok(RowRead::NoAnswer)
            }
            Err(error) => Err(trouble(error)),
        }
    }

    fn status(&self, direction: Direction) -> Option<watch::Receiver<FollowStatus>> {
        let following = self
            .following
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        following
            .as_ref()
            .map(|following| following.followers[index(direction.source())].status())
    }

    /// Waits until a direction streams. One that has failed is not waited for:
    /// the status says so, and no hand-over begins.
    async fn streams(&self, direction: Direction) -> Result<(), Trouble> {
        let name = direction.as_str();
        let Some(mut status) = self.status(direction) else {
            return Err(Trouble::Passing(format!("the {name} stream was stopped")));
        };
        let going = status.wait_for(|now| {
            matches!(
                now.phase,
                FollowPhase::Streaming | FollowPhase::Failed { .. }
            )
        });
        match tokio::time::timeout(STREAM_TIMEOUT, going).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Trouble::Passing(format!("the {name} stream has ended"))),
            Err(_) => Err(Trouble::Passing(format!(
                "the {name} stream does not get going"
            ))),
        }
    }

    fn start_following(&self, claims: &Claims) -> Following {
        let followers =
            Direction::BOTH.map(|direction| Follower::start(&self.mover, direction, claims));
        let relays = [0, 1].map(|at| {
            let (mut from, to) = (followers[at].applied(), self.applied[at].clone());
            tokio::spawn(async move {
                loop {
                    let position = *from.borrow_and_update();
                    reached(&to, position);
                    if from.changed().await.is_err() {
                        return;
                    }
                }
            })
        });
        Following {
            followers,
            relays,
            observer: WriterObserver::start(&self.mover),
        }
    }

    /// The service must say that it can work before it is given the writes.
    async fn unhealthy(&self) -> Option<String> {
        let path = self.service.health.as_ref()?.path.as_str();
        let checked = gateway::check_health(&self.service, &self.resolve).await;
        let problem = checked.err()?;
        let url = &self.service.url;
        Some(format!(
            "the service at {url}: {path} {problem}. See to the service first"
        ))
    }

    fn stream_blockers(&self) -> Vec<String> {
        let limit = self.mover.extraction().data.switch.lag.0;
        let blocked = |direction: Direction| match self.status(direction) {
            Some(status) => readiness::stream_blocker(direction, &status.borrow(), limit)
                .map(|blocker| blocker.to_string()),
            None => Some(format!(
                "the {} stream is not followed yet",
                direction.as_str()
            )),
        };
        Direction::BOTH.into_iter().filter_map(blocked).collect()
    }

    fn writer_blockers(&self) -> Vec<String> {
        let following = self
            .following
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let seen = following
            .as_ref()
            .map(|all| all.observer.writers())
            .unwrap_or_default();
        let declared = &self.mover.extraction().data.writers;
        readiness::undeclared(&seen, declared)
            .map(|blocker| blocker.to_string())
            .collect()
    }
}

#[async_trait]
impl ports::Mover for DataMover {
    async fn check(&self) -> Result<Vec<Finding>, Trouble> {
        self.mover.check().await.map_err(trouble)
    }

    async fn claim(&self, conductor: ConductorId) -> Result<Rows, Trouble> {
        self.hold(Held {
            conductor: Some(conductor),
            claims: [None; 2],
        });
        let (monolith, service) = tokio::try_join!(
            self.seen(Side::Monolith, conductor),
            self.seen(Side::Service, conductor),
        )?;
        let copied = match service {
            RowRead::Row(_) => self.mover.is_copied().await.map_err(trouble)?,
            RowRead::NoRow | RowRead::NoAnswer => false,
        };
        Ok(Rows {
            monolith,
            service,
            copied,
        })
    }

    async fn prepare(&self, instance: InstanceId, conductor: ConductorId) -> Result<(), Trouble> {
        let claims = self
            .mover
            .prepare(instance, conductor)
            .await
            .map_err(trouble)?;
        let claims = [Some(claims.monolith), Some(claims.service)];
        self.hold(Held {
            conductor: Some(conductor),
            claims,
        });
        Ok(())
    }

    async fn copy(&self) -> Result<(), Trouble> {
        let claims = self.claims(&Side::BOTH).await?;
        self.mover
            .copy(&claims, &self.copy)
            .await
            .map(drop)
            .map_err(trouble)
    }

    async fn follow(&self) -> Result<(), Trouble> {
        let claims = self.claims(&Side::BOTH).await?;
        {
            let mut following = self
                .following
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            following.get_or_insert_with(|| self.start_following(&claims));
        }
        for direction in Direction::BOTH {
            self.streams(direction).await?;
        }
        Ok(())
    }

    async fn stop_following(&self) {
        let stopped = self
            .following
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Dropping them ends them as a kill would, which they are made for.
        drop(stopped);
    }

    async fn verify(&self, owner: Side) -> Result<Verification, Trouble> {
        self.verify.send_replace(verify::VerifyProgress::default());
        let busy = |now: bool| {
            let mut verifying = self
                .verifying
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *verifying = now;
        };
        busy(true);
        let report = self
            .mover
            .verify(owner, self.applied(owner), &self.verify)
            .await;
        busy(false);
        let report = report.map_err(trouble)?;
        Ok(Verification {
            rows: report.rows,
            differences: report.differences_total,
            report: serde_json::to_value(&report).unwrap_or_default(),
        })
    }

    async fn blockers(&self, from: Side) -> Result<Vec<String>, Trouble> {
        let mut found = self.stream_blockers();
        if from == Side::Monolith {
            found.extend(self.writer_blockers());
            found.extend(self.unhealthy().await);
        }
        let more = self.mover.blockers(from).await.map_err(trouble)?;
        found.extend(more.iter().map(ToString::to_string));
        Ok(found)
    }

    async fn lock_weakly(&self, from: Side) -> Result<(), Trouble> {
        let lock = self.mover.lock_weakly(from).await.map_err(trouble)?;
        *self.lock.lock().await = Some(lock);
        Ok(())
    }

    async fn fence(&self, id: &HandoverId, limit: Duration) -> Result<(), Trouble> {
        let claims = self.claims(&[id.from]).await?;
        let mut lock = self.lock.lock().await;
        let Some(lock) = lock.as_mut() else {
            return Err(Trouble::Lasting("the weak lock is not held".to_owned()));
        };
        self.mover
            .fence(lock, &claims, id, limit)
            .await
            .map_err(trouble)
    }

    async fn catch_up(&self, id: &HandoverId, limit: Duration) -> Result<(), Trouble> {
        let direction = Direction::from_source(id.from);
        let Some(mut status) = self.status(direction) else {
            return Err(Trouble::Lasting("the stream is not followed".to_owned()));
        };
        let passed = status.wait_for(|now| now.state == Some(StreamState::Stopped(id.epoch)));
        match tokio::time::timeout(limit, passed).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(Trouble::Lasting("the follower has ended".to_owned())),
            Err(_) => {
                let text = format!("the {} stream did not reach the mark", direction.as_str());
                return Err(Trouble::Passing(text));
            }
        }
        let claims = self.claims(&[id.from.other()]).await?;
        self.mover
            .advance_sequences(&claims, id)
            .await
            .map_err(trouble)
    }

    async fn decide(&self, id: &HandoverId, wanted: Outcome) -> Result<Outcome, Trouble> {
        let claims = self.claims(&[id.from]).await?;
        let lock = self.lock.lock().await.take();
        self.mover
            .decide(lock, &claims, id, wanted)
            .await
            .map_err(trouble)
    }

    async fn open(&self, id: &HandoverId) -> Result<(), Trouble> {
        let claims = self.claims(&[id.from.other()]).await?;
        self.mover.open(&claims, id).await.map_err(trouble)
    }

    async fn unfence(&self, side: Side) -> Result<(), Trouble> {
        let claims = self.claims(&[side]).await?;
        self.mover.unfence(&claims, side).await.map_err(trouble)
    }

    async fn cancel(&self) -> Result<(), Trouble> {
        self.mover.cancel().await.map(drop).map_err(trouble)?;
        let conductor = self.held().conductor;
        self.hold(Held {
            conductor,
            claims: [None; 2],
        });
        self.copy.send_replace(copy::CopyProgress::default());
        // What starts next may be on another server, whose log positions mean nothing here:
        // nobody's write counts as applied by what was reached on this one.
        for known in &self.applied {
            known.send_replace(Lsn(0));
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        let stream = |direction| {
            self.status(direction)
                .map(|status| stream(&status.borrow()))
        };
        let copy = self.copy.borrow().clone();
        let verifying = *self
            .verifying
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let verify = self.verify.borrow().clone();
        let following = self
            .following
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let writers = following
            .as_ref()
            .map(|all| all.observer.writers())
            .unwrap_or_default();
        drop(following);
        let names: BTreeSet<_> = writers
            .into_iter()
            .map(|writer| writer.application)
            .collect();
        Progress {
            copy: CopyProgress {
                rows_copied: copy.rows_copied,
                rows_total: copy.rows_total,
            },
            forward: stream(Direction::Forward),
            reverse: stream(Direction::Reverse),
            verify: verifying.then_some((verify.rows_verified, verify.rows_total)),
            writers: names.into_iter().collect(),
        }
    }
}

fn stream(status: &FollowStatus) -> StreamProgress {
    let state = match status.state {
        Some(StreamState::Applying(_)) => "applying",
        Some(StreamState::Stopped(_)) => "stopped",
        Some(StreamState::Waiting) => "waiting",
        None => "connecting",
    };
    StreamProgress {
        state: state.to_owned(),
        trouble: status.problem(),
        lag_bytes: status.lag_bytes,
        lag_seconds: status.lag_seconds,
        transactions: status.transactions,
        rows: status.rows,
    }
}

fn trouble(error: MoverError) -> Trouble {
    match error {
        MoverError::Superseded { .. } => Trouble::Superseded(error.to_string()),
        error if error.is_transient() => Trouble::Passing(error.to_string()),
        error => Trouble::Lasting(error.to_string()),
    }
}
