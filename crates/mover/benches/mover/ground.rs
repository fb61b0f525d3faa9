//! Two clusters, and the data that are copied between them.

use anyhow::{Context, Result};
use std::{path::Path, process::Command};
use testbed::{
    cluster::{Cluster, Options, Rights},
    directory::PrivateDirectory,
};

/// As `pgbench -i` makes them, and a table of the kinds of values that
/// applications have; 11,001,100 rows at 100 percent.
const DATA: &str = "
create table pgbench_branches (bid int primary key, bbalance int, filler char(88)) with (fillfactor = 100);
create table pgbench_tellers (tid int primary key, bid int, tbalance int, filler char(84)) with (fillfactor = 100);
create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84)) with (fillfactor = 100);
insert into pgbench_branches select b, 0 from generate_series(1, :percent) b;
insert into pgbench_tellers select t, (t - 1) / 10 + 1, 0 from generate_series(1, 10 * :percent) t;
insert into pgbench_accounts select a, (a - 1) / 100000 + 1, 0, '' from generate_series(1, 100000 * :percent) a;
create type ord_state as enum ('new', 'paid', 'shipped', 'cancelled');
create table wide_orders (
    id uuid primary key, customer_id bigint not null, state ord_state not null, amount numeric(14,4) not null,
    doc jsonb not null, note text, payload bytea, created_at timestamptz not null, updated_at timestamptz not null
);
select setseed(0.42);
insert into wide_orders
select md5(i::text || 'k')::uuid, (random() * 1e6)::bigint,
    (array['new', 'paid', 'shipped', 'cancelled'])[1 + i % 4]::ord_state, (random() * 1e6)::numeric(14,4),
    jsonb_build_object('sku', md5(i::text), 'qty', i % 17, 'tags', jsonb_build_array('a' || i % 100, 'b' || i % 77, md5((i * 7)::text)),
        'addr', jsonb_build_object('city', 'City' || i % 999, 'zip', i % 99999, 'street', md5((i * 3)::text)),
        'price', (random() * 100)::numeric(10,2)),
    case when i % 10 = 0 then null else repeat(md5((i * 11)::text), 1 + i % 12) end,
    decode(repeat(md5((i * 13)::text), 2 + i % 8), 'hex'),
    timestamptz '2024-01-01' + (i || ' seconds')::interval, timestamptz '2024-06-01' + (i || ' seconds')::interval
from generate_series(1, 10000 * :percent) i;
create index on wide_orders (customer_id);
create index on wide_orders (created_at);
";

/// All of them have a primary key.
pub(crate) const TABLES: [&str; 4] = [
    "pgbench_accounts",
    "wide_orders",
    "pgbench_tellers",
    "pgbench_branches",
];

/// Where everything is copied from and to.
pub(crate) struct Ground {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) directory: PrivateDirectory,
}

impl Ground {
    /// With the data in the source, and no database at the target.
    pub(crate) async fn new(percent: u32) -> Result<Self> {
        let directory = PrivateDirectory::new()?;
        let options = Options::durable()
            .setting("max_wal_size", "4GB")
            .setting("checkpoint_timeout", "15min")
            .setting("shared_buffers", "1GB")
            .setting("maintenance_work_mem", "256MB")
            .setting("max_sync_workers_per_subscription", "2")
            .setting("max_logical_replication_workers", "8")
            .setting("max_worker_processes", "16");
        let mut source = Cluster::create(&directory, "source", &options).await?;
        let mut target = Cluster::create(&directory, "target", &options).await?;
        for cluster in [&mut source, &mut target] {
            cluster.create_role("banyan", Rights::Superuser).await?;
        }
        source.create_database("data", "banyan").await?;
        let client = source.superuser("data").await?;
        client
            .batch_execute(&DATA.replace(":percent", &percent.to_string()))
            .await
            .context("making the data")?;
        client.batch_execute("vacuum analyze").await?;
        Ok(Self {
            source,
            target,
            directory,
        })
    }

    /// An empty database at the target; nothing of an earlier round is left to be
    /// written to disk.
    pub(crate) async fn clear(&self) -> Result<()> {
        let target = self.target.superuser("postgres").await?;
        if let Ok(data) = self.target.superuser("data").await {
            for row in data
                .query("select subname from pg_subscription", &[])
                .await?
            {
                let name: String = row.get(0);
                data.batch_execute(&format!("drop subscription {name}"))
                    .await?;
            }
        }
        target
            .batch_execute("drop database if exists data with (force)")
            .await?;
        self.target.create_database("data", "banyan").await?;
        for cluster in [&self.source, &self.target] {
            let superuser = cluster.superuser("postgres").await?;
            superuser.batch_execute("checkpoint").await?;
        }
        Ok(())
    }

    pub(crate) fn source_url(&self) -> Result<String> {
        self.source.url("banyan", "data")
    }

    pub(crate) fn target_url(&self) -> Result<String> {
        self.target.url("banyan", "data")
    }

    /// Runs lines of shell, with `$SOURCE`, `$TARGET` and `$TABLES`, in an empty directory.
    pub(crate) fn shell(&self, script: &str) -> Result<()> {
        let directory = self.directory.path().join("peer");
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir(&directory)?;
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(&directory)
            .env("PATH", path(&self.source.programs())?)
            .env("SOURCE", self.source_url()?)
            .env("TARGET", self.target_url()?)
            .env("TABLES", TABLES.join(" "))
            .output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            anyhow::bail!("{script}\nended with {}:\n{text}", output.status);
        }
        Ok(())
    }
}

/// The server's programs before others of the same names.
fn path(programs: &Path) -> Result<String> {
    let path = std::env::var("PATH").context("no PATH")?;
    Ok(format!("{}:{path}", programs.display()))
}
