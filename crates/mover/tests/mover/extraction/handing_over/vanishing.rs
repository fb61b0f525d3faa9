//! A conductor whose host vanishes without a word: its sockets are neither closed
//! nor answered. The next one goes on, and nobody waits for the dead.

use super::{LONG, handover, over, prepared, refused, somebody_waits};
use crate::{
    extraction::databases::{MOVER, Pair, clusters},
    plans::conductor,
};
use anyhow::{Context, Result, ensure};
use mover::{
    MoverError,
    follow::{FollowPhase, Follower},
    handover::SourceLock,
};
use protocol::{
    Side,
    owner::{Outcome, Owner},
    stream::Direction,
};
use std::time::Duration;
use testbed::{deadline, silent_network::SilentNetwork};
use tokio::time::timeout;

/// What `take_place` and a claim may take together: a silent predecessor's ten
/// seconds, and twice ten for its sessions to be gone.
const BOUND: Duration = Duration::from_secs(30);

/// A pair's databases behind networks that can vanish.
struct Far {
    mover: mover::Mover,
    networks: [SilentNetwork; 2],
}

impl Far {
    async fn of(pair: &Pair) -> Result<Self> {
        let clusters = clusters().await?;
        let (old, new) = (&clusters.monolith, &clusters.service);
        let networks = [
            SilentNetwork::before(old.port()).await?,
            SilentNetwork::before(new.port()).await?,
        ];
        let monolith = networks[0].through(&old.url(MOVER, &pair.database)?)?;
        let service = networks[1].through(&new.url(MOVER, &pair.database)?)?;
        Ok(Self {
            mover: over(pair, &monolith, &service)?,
            networks,
        })
    }

    fn vanish(&self) {
        for network in &self.networks {
            network.vanish();
        }
    }
}

/// The place is had, and both rows are claimed.
async fn taken_over(pair: &Pair) -> Result<mover::Claims> {
    let next = conductor();
    let taking = async {
        let mut claims = Vec::new();
        for side in Side::BOTH {
            let _place = pair.mover.take_place(side).await?;
            let claimed = pair.mover.claim_row(side, next).await?;
            claims.push(claimed.context("no row")?.1);
        }
        anyhow::Ok(mover::Claims {
            monolith: claims[0],
            service: claims[1],
        })
    };
    timeout(BOUND, taking).await.context("it takes too long")?
}

/// A living one stays in charge, whoever comes; and who comes says whom it found.
#[tokio::test(flavor = "multi_thread")]
async fn a_living_conductor_keeps_its_place() -> Result<()> {
    let (pair, _) = prepared("living").await?;
    let place = pair.mover.take_place(Side::Monolith).await?;
    let refused = timeout(BOUND, pair.mover.take_place(Side::Monolith)).await?;
    let error = refused.err().context("two are in charge")?;
    ensure!(matches!(error, MoverError::InCharge { .. }), "{error}");
    let text = error.to_string();
    ensure!(
        text.contains("monolith's database pid ")
            && text.contains("from 127.0.0.1, connected since ")
            && text.contains("conductor "),
        "{text}"
    );
    // On the other side there is room, and here, too, once it has gone.
    timeout(LONG, pair.mover.take_place(Side::Service)).await??;
    place.end().await;
    timeout(LONG, pair.mover.take_place(Side::Monolith)).await??;
    Ok(())
}

/// While it is idle, and while it applies.
#[tokio::test(flavor = "multi_thread")]
async fn vanished_while_it_follows() -> Result<()> {
    let (pair, claims) = prepared("gone_applying").await?;
    let far = Far::of(&pair).await?;
    let place = far.mover.take_place(Side::Monolith).await?;
    let followers =
        Direction::BOTH.map(|direction| Follower::start(&far.mover, direction, &claims));
    let count = "select count(*) from svc.a";
    let service = pair.superuser(Side::Service).await?;
    // Keeps the applier within its transaction.
    service
        .batch_execute("begin; lock table svc.b in share mode")
        .await?;
    pair.monolith
        .batch_execute(
            "begin; insert into a (v) values ('more'); insert into b values (2, 2); commit",
        )
        .await?;
    let watcher = pair.superuser(Side::Service).await?;
    deadline::until("the applier to wait", LONG, async || {
        let waiting = "select count(*) from pg_locks where not granted \
                       and relation = 'svc.b'::regclass";
        let waiting: i64 = watcher.query_one(waiting, &[]).await?.get(0);
        Ok((waiting > 0).then_some(()))
    })
    .await?;
    far.vanish();
    service.batch_execute("commit").await?;

    let claims = taken_over(&pair).await?;
    let _followers =
        Direction::BOTH.map(|direction| Follower::start(&pair.mover, direction, &claims));
    deadline::until("the change", LONG, async || {
        let rows = pair.lines(Side::Service, count).await?;
        Ok((rows == ["(51)"]).then_some(()))
    })
    .await?;
    // And the first one says that it does not get on, though what swallows its bytes
    // acknowledges them.
    let mut far_applier = followers[0].status();
    let noticed = far_applier.wait_for(|now| now.phase != FollowPhase::Streaming);
    let half_a_minute_and_more = 2 * BOUND;
    timeout(half_a_minute_and_more, noticed)
        .await
        .context("not noticed")??;
    drop((followers, place));
    Ok(())
}

async fn far_fence(far: &Far, claims: &mover::Claims) -> Result<SourceLock> {
    let mut lock = far.mover.lock_weakly(Side::Monolith).await?;
    far.mover
        .fence(&mut lock, claims, &handover(1), LONG)
        .await?;
    Ok(lock)
}

/// While it holds what writers wait for: the next one ends that, and decides.
#[tokio::test(flavor = "multi_thread")]
async fn vanished_in_a_hand_over() -> Result<()> {
    let (pair, claims) = prepared("gone_fencing").await?;
    let far = Far::of(&pair).await?;
    let place = far.mover.take_place(Side::Monolith).await?;
    let lock = far_fence(&far, &claims).await?;
    far.vanish();
    let watcher = pair.superuser(Side::Monolith).await?;
    let write = pair
        .monolith
        .batch_execute("insert into a (v) values ('w')");
    let next = async {
        somebody_waits(&watcher).await?;
        taken_over(&pair).await
    };
    let (written, claims) = tokio::join!(timeout(BOUND, write), next);
    refused(written.context("a writer waits for the dead")?)?;
    let outcome = pair
        .mover
        .decide(None, &claims?, &handover(1), Outcome::Aborted)
        .await?;
    ensure!(outcome == Outcome::Aborted);
    let row = pair.mover.read_row(Side::Monolith).await?;
    ensure!(row.context("no row")?.owner == Owner::Monolith);
    pair.monolith
        .batch_execute("insert into a (v) values ('on')")
        .await?;
    drop((lock, place));
    Ok(())
}

/// And where no next one comes, the server itself ends what writers wait for:
/// `switch.hold` and ten seconds later.
#[tokio::test(flavor = "multi_thread")]
async fn vanished_in_a_hand_over_for_good() -> Result<()> {
    let (pair, claims) = prepared("gone_for_good").await?;
    let far = Far::of(&pair).await?;
    for strong in [false, true] {
        let lock = if strong {
            far_fence(&far, &claims).await?
        } else {
            far.mover.lock_weakly(Side::Monolith).await?
        };
        far.vanish();
        let watcher = pair.superuser(Side::Monolith).await?;
        let waited = async {
            if strong {
                refused(pair.monolith.batch_execute("delete from b").await)
            } else {
                Ok(watcher
                    .batch_execute("alter table b add column w text")
                    .await?)
            }
        };
        timeout(BOUND, waited)
            .await
            .context("it waits for the dead")??;
        for network in &far.networks {
            network.come_back();
        }
        drop(lock);
    }
    Ok(())
}
