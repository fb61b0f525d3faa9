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

/// The relays between the mover and both servers.
pub struct Networks {
    monolith: Arc<SilentNetwork>,
    service: Arc<SilentNetwork>,
    silences: Arc<AtomicU64>,
}

impl Networks {
    pub async fn before(clusters: &Clusters) -> Result<Self> {
        Ok(Self {
            monolith: Arc::new(SilentNetwork::before(clusters.monolith.port()).await?),
            service: Arc::new(SilentNetwork::before(clusters.service.port()).await?),
            silences: Arc::default(),
        })
    }

    fn of(&self, side: Side) -> &Arc<SilentNetwork> {
        match side {
            Side::Monolith => &self.monolith,
            Side::Service => &self.service,
        }
    }

    /// The mover's way to a server.
    pub fn through(&self, url: &str) -> Result<String> {
        let by = |side| self.of(side).through(url);
        by(Side::Monolith).or_else(|_| by(Side::Service))
    }

    /// How many silences have kept something back.
    pub fn silences(&self) -> u64 {
        self.silences.load(Ordering::Relaxed)
    }

    /// Nothing passes for a while; the caller goes on meanwhile.
    pub fn fall_silent(&self, side: Side, length: Duration) {
        let (network, silences) = (Arc::clone(self.of(side)), Arc::clone(&self.silences));
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

/// What goes wrong next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies: whatever it does ends there, and another one claims.
    Death,
    /// All of its sessions on a side are ended.
    SessionsEnd(Side),
    /// Nothing passes to or from a side.
    Silence(Side, Duration),
}

impl Fault {
    pub fn draw(dice: &mut Dice) -> Self {
        let side = if dice.random_bool(0.5) {
            Side::Monolith
        } else {
            Side::Service
        };
        match dice.random_range(0..6_u32) {
            0 | 1 => Self::Death,
            2 | 3 => Self::SessionsEnd(side),
            _ => Self::Silence(side, Duration::from_millis(dice.random_range(20..400))),
        }
    }
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
