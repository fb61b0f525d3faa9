//! What drills need beside the scene: networks that can fall silent, disks that
//! can be full, and a role that has no more rights than it is told to ask for.

use crate::banyan::CommandLine;
use crate::scene::{self, CONTRACTS_DATABASE, MONOLITH_DATABASE, MOVER_ROLE, Scene};
use crate::silent_network::SilentNetwork;
use crate::small_disk::SmallDisk;
use anyhow::Result;
use std::fs;

/// A data directory, its log, and a standby's for a while.
const CLUSTER_BYTES: u64 = 768 << 20;

/// The journal and a few small files.
const STATE_BYTES: u64 = 16 << 20;

/// Between banyan and both databases.
pub(super) struct Networks {
    pub(super) monolith: SilentNetwork,
    pub(super) service: SilentNetwork,
}

/// Everything, before `banyan serve`.
pub(super) struct Site {
    pub(super) banyan: CommandLine,
    pub(super) networks: Networks,
    pub(super) scene: Scene,
    pub(super) state_disk: Option<SmallDisk>,
}

impl Site {
    pub(super) async fn set(
        settings: &scene::Settings,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Self> {
        let mut settings = settings.clone();
        for options in [
            &mut settings.monolith_cluster,
            &mut settings.contracts_cluster,
        ] {
            // So that the log leaves room on it.
            let small = options.clone().disk(CLUSTER_BYTES);
            *options = small.setting("max_wal_size", "128MB");
        }
        let scene = Scene::set(&settings, tell).await?;
        let networks = Networks {
            monolith: SilentNetwork::before(scene.monolith_cluster.port()).await?,
            service: SilentNetwork::before(scene.contracts_cluster.port()).await?,
        };
        let monolith = networks.monolith.through(&scene.monolith_database()?)?;
        let service = networks.service.through(&scene.contracts_database()?)?;
        let plan = scene
            .plan()?
            .set("MONOLITH_DATABASE_URL", &monolith)
            .set("CONTRACTS_DATABASE_URL", &service);
        let banyan = scene.command_line(&plan)?;
        let state = banyan.state();
        fs::create_dir_all(state)?;
        let state_disk = SmallDisk::mount(state, STATE_BYTES, scene.logs()).await?;
        tell("the rights that `banyan check` asks for, no others");
        granted(&scene, &banyan).await?;
        Ok(Self {
            banyan,
            networks,
            scene,
            state_disk,
        })
    }
}

/// Takes all rights from Banyan's role and gives it those that `check` asks for.
async fn granted(scene: &Scene, banyan: &CommandLine) -> Result<()> {
    let (monolith, service) = scene.superusers().await?;
    for client in [&monolith, &service] {
        let plain = format!("alter role {MOVER_ROLE} nosuperuser noreplication");
        client.batch_execute(&plain).await?;
    }
    let monolith = (&scene.monolith_cluster, MONOLITH_DATABASE);
    let service = ("contracts", &scene.contracts_cluster, CONTRACTS_DATABASE);
    banyan.run_what_check_prints(monolith, service).await
}
