//! A conductor without a journal: it drives one extraction through faults, and
//! after each death goes on from what the rows say.

use super::faults::{Fault, Networks, crash, end_sessions};
use crate::{
    extraction::databases::{Clusters, Pair},
    plans,
};
use anyhow::{Context, Result, bail, ensure};
use mover::{
    Claims, Mover, MoverError,
    error::cause::Mends,
    follow::{FollowStatus, Follower},
};
use protocol::{
    Epoch, HandoverId, InstanceId, Nonce, Side,
    owner::Outcome,
    stream::{Direction, StreamState},
};
use rand::RngExt;
use std::{
    fmt::Display,
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};
use testbed::random_schema::Dice;
use tokio::sync::watch;
use uuid::Uuid;

/// For all that a step takes with its faults, on a machine that does other things.
const LIMIT: Duration = Duration::from_mins(5);

/// A hand-over that has not caught up by then is aborted.
const HANDOVER_LIMIT: Duration = Duration::from_secs(10);

/// Between two tries of what failed.
const PAUSE: Duration = Duration::from_millis(30);

/// Faults within one step. A step is tried again after each; the last try has
/// none.
const MOST_FAULTS: u32 = 6;

pub struct Conductor<'a> {
    pub clusters: &'a Clusters,
    pub networks: &'a Networks,
    pub pair: &'a Pair,
    pub dice: Dice,
    pub hand_overs: u64,
    pub deaths: u64,
    /// How often sessions were ended.
    pub endings: u64,
    /// How often a server was killed.
    pub crashes: u64,
    pub aborted: u64,
    instance: InstanceId,
    claims: Option<Claims>,
    followers: Option<[Follower; 2]>,
    epoch: Epoch,
    began: Instant,
}

impl<'a> Conductor<'a> {
    pub fn new(clusters: &'a Clusters, networks: &'a Networks, pair: &'a Pair, dice: Dice) -> Self {
        Self {
            clusters,
            networks,
            pair,
            dice,
            hand_overs: 0,
            deaths: 0,
            endings: 0,
            crashes: 0,
            aborted: 0,
            instance: InstanceId(Uuid::new_v4()),
            claims: None,
            followers: None,
            epoch: Epoch(0),
            began: Instant::now(),
        }
    }

    /// What happens when, for whoever looks into a round that failed.
    pub fn tell(&self, what: impl Display) {
        println!("  {:7.3} s {what}", self.began.elapsed().as_secs_f64());
    }

    fn mover(&self) -> &'a Mover {
        &self.pair.mover
    }

    /// Prepares and copies, however often it has to begin again.
    pub async fn copy(&mut self) -> Result<()> {
        let (mover, instance) = (self.mover(), self.instance);
        let claims = self
            .through_faults("the copy", async |_| {
                let claims = mover.prepare(instance, plans::conductor()).await?;
                mover.copy(&claims, &watch::Sender::default()).await?;
                Ok(claims)
            })
            .await?;
        self.claims = Some(claims);
        self.follow();
        Ok(())
    }

    fn follow(&mut self) {
        if let Some(claims) = &self.claims {
            let start = |direction| Follower::start(&self.pair.mover, direction, claims);
            self.followers = Some([Direction::Forward, Direction::Reverse].map(start));
        }
    }

    /// Whatever it had in memory is gone, and what it had at work is ended.
    async fn die(&mut self) -> Result<()> {
        self.deaths += 1;
        self.followers = None;
        if self.claims.is_none() {
            return Ok(());
        }
        let (mover, began) = (self.mover(), Instant::now());
        let conductor = plans::conductor();
        let mut claimed = Vec::new();
        while claimed.len() < 2 {
            let side = Side::BOTH[claimed.len()];
            match mover.claim_row(side, conductor).await {
                Ok(Some((_, claim))) => claimed.push(claim),
                Ok(None) => bail!("the row at the {side} is gone"),
                Err(error) if began.elapsed() < LIMIT => self.passing(error).await?,
                Err(error) => return Err(error).context("claiming"),
            }
        }
        self.claims = Some(Claims {
            monolith: claimed[0],
            service: claimed[1],
        });
        self.follow();
        Ok(())
    }

    /// Errors that only a person could mend are ours, but for copies that the
    /// writers have made void.
    async fn passing(&self, error: MoverError) -> Result<()> {
        // The writers truncate whenever they like, and do not rest for a copy.
        let void =
            matches!(&error, MoverError::Data { problem, .. } if problem.contains("were void"));
        if error.cause().mends != Mends::ByItself && !void {
            return Err(error.into());
        }
        self.tell(format_args!("passes: {error}"));
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// Runs an operation that may be repeated while faults strike, until it
    /// succeeds.
    async fn through_faults<T>(
        &mut self,
        what: &str,
        operation: impl AsyncFn(Option<Claims>) -> Result<T, MoverError>,
    ) -> Result<T> {
        let began = Instant::now();
        let mut left = self.dice.random_range(0..=MOST_FAULTS);
        loop {
            ensure!(began.elapsed() < LIMIT, "{what} does not come to an end");
            let under_way = Box::pin(operation(self.claims));
            match self.lives_through(&mut left, under_way).await? {
                Some(Ok(done)) => return Ok(done),
                Some(Err(error)) => self.passing(error).await.with_context(|| what.to_owned())?,
                None => {}
            }
        }
    }

    /// Runs what may meet so many faults; none: the process has died meanwhile. Other
    /// faults it sees for itself.
    async fn lives_through<T>(
        &mut self,
        left: &mut u32,
        mut under_way: Pin<Box<impl Future<Output = T>>>,
    ) -> Result<Option<T>> {
        loop {
            let calm = Duration::from_millis(self.dice.random_range(0..300));
            tokio::select! {
                done = &mut under_way => return Ok(Some(done)),
                () = tokio::time::sleep(calm), if *left > 0 => {}
            }
            *left -= 1;
            let fault = Fault::draw(&mut self.dice);
            if fault.ends_the_process() {
                drop(under_way);
                self.strike(fault).await?;
                return Ok(None);
            }
            let mut strike = std::pin::pin!(self.strike(fault));
            tokio::select! {
                // What has begun to strike does so to its end.
                done = &mut under_way => return strike.await.and(Ok(Some(done))),
                struck = &mut strike => struck?,
            }
        }
    }

    async fn strike(&mut self, fault: Fault) -> Result<()> {
        self.tell(format_args!("{fault:?}"));
        let struck = self.strikes(fault).await;
        self.tell("it has struck");
        struck
    }

    async fn strikes(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Death => self.die().await,
            Fault::SessionsEnd(side) => {
                let ended = end_sessions(self.clusters, side, &self.pair.database).await?;
                self.endings += u64::from(ended > 0);
                Ok(())
            }
            Fault::Silence(side, length) => {
                self.networks.fall_silent(side, length);
                Ok(())
            }
            Fault::Vanishing(side, length) => {
                self.networks.fall_silent(side, length);
                self.die().await
            }
            Fault::Crash(side, length) => {
                self.crashes += 1;
                crash(self.clusters, self.networks, side, length).await
            }
        }
    }

    /// Faults strike at followers while `work` goes on.
    pub async fn follow_through_faults(
        &mut self,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let mut work = std::pin::pin!(work);
        for _ in 0..self.dice.random_range(1..=MOST_FAULTS) {
            let calm = Duration::from_millis(self.dice.random_range(0..250));
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(calm) => {}
            }
            let fault = Fault::draw(&mut self.dice);
            let mut strike = std::pin::pin!(self.strike(fault));
            tokio::select! {
                // What has begun to strike does so to its end.
                done = &mut work => return strike.await.and(done),
                struck = &mut strike => struck?,
            }
        }
        work.await
    }

    /// No round is without a crash.
    pub async fn crash_once(&mut self) -> Result<()> {
        if self.crashes > 0 {
            return Ok(());
        }
        let side = Side::BOTH[self.dice.random_range(0..2)];
        self.strike(Fault::Crash(side, Duration::ZERO)).await
    }

    /// Hands over from a side; an attempt that fails is aborted, and tried again.
    pub async fn hand_over(&mut self, from: Side) -> Result<()> {
        let began = Instant::now();
        let mut left = self.dice.random_range(0..=MOST_FAULTS);
        loop {
            ensure!(
                began.elapsed() < LIMIT,
                "the hand-over from the {from} does not come to an end: {:?}",
                self.statuses()
            );
            self.epoch = self.epoch.next();
            self.tell(format_args!("hands over from the {from}, {:?}", self.epoch));
            let id = HandoverId {
                instance: self.instance,
                epoch: self.epoch,
                from,
                nonce: Nonce(Uuid::new_v4()),
            };
            let claims = self.claims.context("nothing is claimed")?;
            let mut status = self.status(Direction::from_source(from))?;
            let attempt = Box::pin(attempt(self.mover(), &claims, &id, &mut status));
            match self.lives_through(&mut left, attempt).await? {
                Some(Ok(())) => {
                    self.hand_overs += 1;
                    return Ok(());
                }
                Some(Err(error)) => self.passing(error).await?,
                None => {}
            }
            if self.outcome(&id).await? == Outcome::Committed {
                self.hand_overs += 1;
                return self.opened(&id).await;
            }
            self.aborted += 1;
        }
    }

    /// What became of an attempt that was given up.
    async fn outcome(&mut self, id: &HandoverId) -> Result<Outcome> {
        let (mover, id) = (self.mover(), *id);
        self.through_faults("deciding", async |claims| {
            let claims = claims.as_ref().expect("a hand-over has claims");
            mover.decide(None, claims, &id, Outcome::Aborted).await
        })
        .await
    }

    async fn opened(&mut self, id: &HandoverId) -> Result<()> {
        let (mover, id) = (self.mover(), *id);
        self.through_faults("opening", async |claims| {
            let claims = claims.as_ref().expect("a hand-over has claims");
            mover.open(claims, &id).await
        })
        .await
    }

    /// The fence's triggers go from the side that owns.
    pub async fn unfence(&mut self, owner: Side) -> Result<()> {
        let mover = self.mover();
        self.through_faults("unfencing", async |claims| {
            let claims = claims.as_ref().expect("a hand-over has claims");
            mover.unfence(claims, owner).await
        })
        .await
    }

    pub fn follower(&self, direction: Direction) -> Result<&Follower> {
        let followers = self.followers.as_ref().context("nothing is followed")?;
        Ok(match direction {
            Direction::Forward => &followers[0],
            Direction::Reverse => &followers[1],
        })
    }

    fn status(&self, direction: Direction) -> Result<watch::Receiver<FollowStatus>> {
        Ok(self.follower(direction)?.status())
    }

    pub fn statuses(&self) -> Vec<FollowStatus> {
        let followers = self.followers.iter().flatten();
        followers
            .map(|follower| follower.status().borrow().clone())
            .collect()
    }

    /// Ends the followers, so that all may be taken away.
    pub async fn stop(&mut self) {
        for follower in self.followers.take().into_iter().flatten() {
            follower.stop().await;
        }
    }
}

/// One hand-over, from the lock to the opening.
async fn attempt(
    mover: &Mover,
    claims: &Claims,
    id: &HandoverId,
    status: &mut watch::Receiver<FollowStatus>,
) -> Result<(), MoverError> {
    let mut lock = mover.lock_weakly(id.from).await?;
    mover.fence(&mut lock, claims, id, HANDOVER_LIMIT).await?;
    let passed = status.wait_for(|now| now.state == Some(StreamState::Stopped(id.epoch)));
    if !matches!(
        tokio::time::timeout(HANDOVER_LIMIT, passed).await,
        Ok(Ok(_))
    ) {
        return Err(MoverError::Deadline {
            side: id.from,
            doing: "catching up",
            limit: HANDOVER_LIMIT,
        });
    }
    mover.advance_sequences(claims, id).await?;
    let outcome = mover
        .decide(Some(lock), claims, id, Outcome::Committed)
        .await?;
    if outcome == Outcome::Committed {
        mover.open(claims, id).await?;
    }
    Ok(())
}
