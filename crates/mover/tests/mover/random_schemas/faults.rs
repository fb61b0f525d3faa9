//! What goes wrong while an extraction is moved.

use crate::extraction::databases::Clusters;
use anyhow::{Context, Result};
use protocol::Side;
use rand::RngExt;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use testbed::{random_schema::Dice, silent_network::SilentNetwork};

/// The relays before both servers, the monolith's first.
pub struct Networks {
    mover: [Arc<SilentNetwork>; 2],
    writers: [SilentNetwork; 2],
    silences: Arc<AtomicU64>,
}

impl Networks {
    pub async fn before(clusters: &Clusters) -> Result<Self> {
        let (monolith, service) = (clusters.monolith.port(), clusters.service.port());
        Ok(Self {
            mover: [
                Arc::new(SilentNetwork::before(monolith).await?),
                Arc::new(SilentNetwork::before(service).await?),
            ],
            writers: [
                SilentNetwork::before(monolith).await?,
                SilentNetwork::before(service).await?,
            ],
            silences: Arc::default(),
        })
    }

    /// The mover's way to a server.
    pub fn through(&self, url: &str) -> Result<String> {
        let [monolith, service] = &self.mover;
        monolith.through(url).or_else(|_| service.through(url))
    }

    /// The writers' way to a side's server.
    pub fn of_writers(&self, side: Side) -> &SilentNetwork {
        &self.writers[index(side)]
    }

    /// How many silences have kept something back.
    pub fn silences(&self) -> u64 {
        self.silences.load(Ordering::Relaxed)
    }

    /// Nothing passes for a while; the caller goes on meanwhile.
    pub fn fall_silent(&self, side: Side, length: Duration) {
        let (network, silences) = (
            Arc::clone(&self.mover[index(side)]),
            Arc::clone(&self.silences),
        );
        tokio::spawn(async move {
            let before = network.kept_back();
            network.vanish();
            tokio::time::sleep(length).await;
            network.come_back();
            let met = u64::from(network.kept_back() > before);
            silences.fetch_add(met, Ordering::Relaxed);
        });
    }
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Service)
}

/// What goes wrong next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies: whatever it does ends there, and another one claims.
    Death,
    /// All of its sessions on a side are ended.
    SessionsEnd(Side),
    /// Nothing passes to or from a side.
    Silence(Side, Duration),
    /// Nothing passes, and the process dies meanwhile.
    Vanishing(Side, Duration),
    /// SIGKILL to a side's server, which is started again after a while.
    Crash(Side, Duration),
}

impl Fault {
    pub fn draw(dice: &mut Dice) -> Self {
        let side = if dice.random_bool(0.5) {
            Side::Monolith
        } else {
            Side::Service
        };
        let length = Duration::from_millis(dice.random_range(20..400));
        match dice.random_range(0..20_u32) {
            0..5 => Self::Death,
            5..10 => Self::SessionsEnd(side),
            10..14 => Self::Silence(side, length),
            14..16 => Self::Vanishing(side, length),
            _ => Self::Crash(side, length),
        }
    }

    /// Whether what the process had under way ends with it.
    pub fn ends_the_process(self) -> bool {
        matches!(self, Self::Death | Self::Vanishing(..))
    }
}

/// SIGKILL to a side's server, and its start. What it has answered the writers
/// right before they never hear.
pub async fn crash(
    clusters: &Clusters,
    networks: &Networks,
    side: Side,
    length: Duration,
) -> Result<()> {
    let (cluster, answers) = (clusters.of(side), networks.of_writers(side));
    answers.vanish();
    let crashed = cluster.crash().await;
    answers.cut();
    answers.come_back();
    crashed?;
    tokio::time::sleep(length).await;
    cluster.start().await
}

/// Ends all sessions of the mover in a database, those that replicate too; how many.
pub async fn end_sessions(clusters: &Clusters, side: Side, database: &str) -> Result<u64> {
    let superuser = clusters.of(side).superuser("postgres").await?;
    superuser
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = $1 and application_name = 'banyan'",
            &[&database],
        )
        .await
        .context("ending sessions")
}
