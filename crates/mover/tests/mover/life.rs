//! An extraction that is copied and followed both ways, handed over and back.

use crate::{
    extraction::databases::{Pair, clusters, pair, pair_in},
    follow::scene::{failed, sampled_and_reached, state},
};
use anyhow::{Result, ensure};
use mover::{Claims, Mover, follow::Follower, positions::Sampler};
use protocol::{
    Epoch, HandoverId, InstanceId, Nonce, Side,
    finding::Severity,
    owner::Outcome,
    stream::{Direction, StreamState},
};
use std::time::Duration;
use testbed::deadline;
use tokio::sync::watch;
use tokio_postgres::Client;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_mins(1);

pub struct Life {
    pub pair: Pair,
    claims: Claims,
    forward: Follower,
    reverse: Follower,
    samplers: [Sampler; 2],
    epoch: u64,
}

impl Life {
    /// Copied, and followed both ways. `check` has refused nothing.
    pub async fn begin(name: &str, monolith: &str, service: &str, tables: &[&str]) -> Result<Self> {
        Self::of(pair(name, monolith, service, tables).await?).await
    }

    /// The same over another address for the mover.
    pub async fn begin_at(
        name: &str,
        monolith: &str,
        service: &str,
        tables: &[&str],
        address: impl Fn(String) -> Result<String>,
    ) -> Result<Self> {
        let clusters = clusters().await?;
        Self::of(pair_in(clusters, name, monolith, service, tables, address).await?).await
    }

    pub async fn of(pair: Pair) -> Result<Self> {
        let found = pair.mover.check().await?;
        let refused = found.iter().find(|one| one.severity == Severity::Refuse);
        ensure!(refused.is_none(), "{refused:?}");
        let claims = pair.prepare_and_copy().await?;
        let mover = &pair.mover;
        Ok(Self {
            forward: Follower::start(mover, Direction::Forward, &claims),
            reverse: Follower::start(mover, Direction::Reverse, &claims),
            samplers: Side::BOTH.map(|side| Sampler::start(side, mover.database(side))),
            epoch: 0,
            claims,
            pair,
        })
    }

    /// Goes by another plan, as a successor does.
    pub async fn go_by(&mut self, mover: Mover) {
        let begin = |direction| Follower::start(&mover, direction, &self.claims);
        let forward = std::mem::replace(&mut self.forward, begin(Direction::Forward));
        let reverse = std::mem::replace(&mut self.reverse, begin(Direction::Reverse));
        forward.stop().await;
        reverse.stop().await;
        self.pair.mover = mover;
    }

    /// The mover and the claims it works with.
    pub fn claimed(&self) -> (Mover, Claims) {
        (self.pair.mover.clone(), self.claims)
    }

    pub fn app(&self, side: Side) -> &Client {
        self.pair.app(side)
    }

    fn follower(&self, source: Side) -> &Follower {
        match source {
            Side::Monolith => &self.forward,
            Side::Service => &self.reverse,
        }
    }

    /// Waits until all that a side has is at the other.
    pub async fn caught_up(&self, source: Side) -> Result<()> {
        let at = Side::BOTH.iter().position(|side| *side == source);
        let sampler = &self.samplers[at.unwrap_or_default()];
        sampled_and_reached(sampler, self.follower(source), LIMIT).await
    }

    /// Waits until the stream from a side has failed with these words, and says the
    /// rest.
    pub async fn fails_with(&self, source: Side, words: &str) -> Result<String> {
        deadline::until(words, LIMIT, async || {
            let error = failed(self.follower(source)).await?;
            self.resume(source);
            Ok(error.contains(words).then_some(error))
        })
        .await
    }

    /// As `banyan resume` does.
    pub fn resume(&self, source: Side) {
        self.follower(source).resume();
    }

    /// All that the owner has is on the other side, by the answers of a query to
    /// each.
    pub async fn same(&self, owner: Side, monolith: &str, service: &str) -> Result<()> {
        self.caught_up(owner).await?;
        let ours = self.pair.lines(Side::Monolith, monolith).await?;
        let theirs = self.pair.lines(Side::Service, service).await?;
        ensure!(ours == theirs, "{ours:#?}\n{theirs:#?}");
        Ok(())
    }

    /// The same by the mover's own proof; how many rows.
    pub async fn verified(&self, owner: Side) -> Result<u64> {
        let applied = self.follower(owner).applied();
        let progress = watch::Sender::default();
        let report = self.pair.mover.verify(owner, applied, &progress).await?;
        ensure!(report.differences_total == 0, "{report:?}");
        Ok(report.rows)
    }

    /// Hands over from its owner to the other side.
    pub async fn hand_over(&mut self, from: Side) -> Result<()> {
        self.epoch += 1;
        let id = HandoverId {
            instance: InstanceId(Uuid::from_u128(1)),
            epoch: Epoch(self.epoch),
            from,
            nonce: Nonce(Uuid::from_u128(self.epoch.into())),
        };
        let (mover, claims) = (&self.pair.mover, &self.claims);
        let blockers = mover.blockers(from).await?;
        ensure!(blockers.is_empty(), "{blockers:?}");
        let mut lock = mover.lock_weakly(from).await?;
        mover.fence(&mut lock, claims, &id, LIMIT).await?;
        state(self.follower(from), StreamState::Stopped(id.epoch)).await?;
        mover.advance_sequences(claims, &id).await?;
        let outcome = mover
            .decide(Some(lock), claims, &id, Outcome::Committed)
            .await?;
        ensure!(outcome == Outcome::Committed);
        mover.open(claims, &id).await?;
        let other = self.follower(from.other());
        state(other, StreamState::Applying(id.epoch)).await?;
        Ok(())
    }

    /// Ends it where it is; its data stays.
    pub async fn cancel(self) -> Result<()> {
        for follower in [self.forward, self.reverse] {
            follower.stop().await;
        }
        Ok(self.pair.mover.cancel(None).await.map(drop)?)
    }
}
