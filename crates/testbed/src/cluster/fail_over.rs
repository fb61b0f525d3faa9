//! A standby that takes its primary's place.

use super::{Cluster, START_LIMIT, SUPERUSER, connect};
use crate::deadline;
use crate::ports;
use crate::process::Process;
use anyhow::Result;
use std::fs;
use tokio_postgres::Config;

impl Cluster {
    /// Makes a standby, stops the primary once the standby has all of its log,
    /// and has the standby promoted, as `pg_promote` does it, in its place: at the same
    /// address, on a timeline of its own, without logical slots (before version 17).
    pub async fn fail_over(&mut self) -> Result<()> {
        let data = self.data.with_extension("standby");
        let (port, own) = (ports::free()?, self.port.to_string());
        let (place, sockets) = (data.to_string_lossy(), self.sockets.to_string_lossy());
        let arguments = [
            "--pgdata",
            &place,
            "--host",
            &sockets,
            "--port",
            &own,
            "--username",
            SUPERUSER,
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        ];
        self.installation
            .run("pg_basebackup", &arguments, &self.sockets)?;
        let spec = self.spec(&data).arg("-c").arg(format!("port={port}"));
        let mut standby = Process::start(&spec, &self.logs)?;
        let mut config = Config::new();
        config
            .host_path(&self.sockets)
            .port(port)
            .user(SUPERUSER)
            .dbname("postgres");
        let client = deadline::until("the standby", START_LIMIT, async || {
            standby.ensure_running()?;
            Ok(connect(&config).await.ok())
        })
        .await?;
        let primary = self.superuser("postgres").await?;
        deadline::until("the standby to stream", START_LIMIT, async || {
            let streams = "select count(*) from pg_stat_replication where state = 'streaming' \
                and application_name = 'walreceiver'";
            let row = primary.query_one(streams, &[]).await?;
            Ok((row.get::<_, i64>(0) > 0).then_some(()))
        })
        .await?;
        drop(primary);
        // A fast shutdown ends only when the standby has everything.
        self.stop().await;
        client.execute("select pg_promote()", &[]).await?;
        drop(client);
        standby.stop().await;
        drop(standby);
        fs::remove_dir_all(&self.data)?;
        fs::rename(&data, &self.data)?;
        self.start().await
    }
}
