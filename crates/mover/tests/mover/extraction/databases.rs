//! Two databases, one of each side, and the plan that ties them.
//!
//! The mover's role is no superuser: it has what the documentation says that
//! it needs, and nothing else.

use crate::{
    plans::{conductor, mover},
    queries::lines,
};
use anyhow::{Context, Result, ensure};
use mover::{Claims, Mover};
use protocol::{InstanceId, Side, finding::Finding};
use testbed::{
    cluster::{self, Cluster, Options, Rights},
    directory::PrivateDirectory,
};
use tokio::sync::{OnceCell, watch};
use tokio_postgres::{Client, Config};
use uuid::Uuid;

/// The role that the plan names.
pub const MOVER: &str = "banyan_mover";

/// The role that owns the tables and writes them.
pub const APP: &str = "app";

/// What the mover's role needs in each database.
const GRANTS: &str = "
    grant execute on function pg_replication_origin_create(text),
        pg_replication_origin_drop(text), pg_replication_origin_oid(text),
        pg_replication_origin_session_setup(text), pg_replication_origin_session_reset(),
        pg_replication_origin_xact_setup(pg_lsn, timestamptz),
        pg_replication_origin_xact_reset() to banyan_mover;
";

pub struct Clusters {
    pub monolith: Cluster,
    pub service: Cluster,
    _directory: PrivateDirectory,
}

impl Clusters {
    pub fn of(&self, side: Side) -> &Cluster {
        match side {
            Side::Monolith => &self.monolith,
            Side::Service => &self.service,
        }
    }
}

static CLUSTERS: OnceCell<Clusters> = OnceCell::const_new();

/// The clusters of all tests of this process, and they end with it. `cargo test` runs the
/// whole binary in one: what a test changes of more than its own database (roles, settings,
/// transactions that slots wait for) belongs into clusters of its own.
pub async fn clusters() -> Result<&'static Clusters> {
    CLUSTERS.get_or_try_init(own_clusters).await
}

fn usual() -> Options {
    Options::fast()
        .setting("max_prepared_transactions", "5")
        // Each test leaves its own, and origins, whose number is bounded by it too.
        .setting("max_replication_slots", "600")
        .setting("max_wal_senders", "60")
}

/// Two clusters of a test's own, like those of all.
pub async fn own_clusters() -> Result<Clusters> {
    clusters_with(&usual()).await
}

/// Two clusters with the two roles.
pub async fn clusters_with(options: &Options) -> Result<Clusters> {
    let directory = PrivateDirectory::new()?;
    let mut monolith = Cluster::create(&directory, "monolith", options).await?;
    let mut service = Cluster::create(&directory, "service", options).await?;
    for cluster in [&mut monolith, &mut service] {
        roles(cluster).await?;
    }
    Ok(Clusters {
        monolith,
        service,
        _directory: directory,
    })
}

/// From this version on the right to set `session_replication_role` can be
/// granted; before, only a superuser has it.
pub const GRANTS_OF_PARAMETERS: u32 = 15;

/// The two roles, the mover's with the rights that a cluster holds.
pub async fn roles(cluster: &mut Cluster) -> Result<()> {
    let (rights, right_to_be_replica) = if cluster.major() < GRANTS_OF_PARAMETERS {
        (Rights::Superuser, "")
    } else {
        let grant = "grant set on parameter session_replication_role to banyan_mover;";
        (Rights::Replication, grant)
    };
    cluster.create_role(APP, Rights::Plain).await?;
    cluster.create_role(MOVER, rights).await?;
    let superuser = cluster.superuser("postgres").await?;
    let grants = format!("{right_to_be_replica} grant app to banyan_mover");
    Ok(superuser.batch_execute(&grants).await?)
}

/// Two databases and the plan that ties them.
pub struct Pair {
    pub database: String,
    pub mover: Mover,
    /// Sessions of the application.
    pub monolith: Client,
    pub service: Client,
    /// How the superuser connects, at the monolith and at the service.
    superusers: [Config; 2],
}

/// A pair of databases with what `monolith` and `service` make in them, and
/// the plan's `data:` with these tables (YAML, one per line).
pub async fn pair(name: &str, monolith: &str, service: &str, tables: &[&str]) -> Result<Pair> {
    pair_in(clusters().await?, name, monolith, service, tables, Ok).await
}

/// The same in clusters of a test's own, which last as long as they are kept.
pub async fn pair_alone(
    name: &str,
    monolith: &str,
    service: &str,
    tables: &[&str],
) -> Result<(Clusters, Pair)> {
    let clusters = own_clusters().await?;
    let pair = pair_in(&clusters, name, monolith, service, tables, Ok).await?;
    Ok((clusters, pair))
}

/// The same in these clusters, where the mover's addresses are made of the
/// clusters' own.
pub async fn pair_in(
    clusters: &Clusters,
    name: &str,
    monolith: &str,
    service: &str,
    tables: &[&str],
    address: impl Fn(String) -> Result<String>,
) -> Result<Pair> {
    for (side, make) in [(Side::Monolith, monolith), (Side::Service, service)] {
        let cluster = clusters.of(side);
        cluster.create_database(name, APP).await?;
        let grant = format!("{GRANTS} grant create on database {name} to {MOVER}");
        cluster.superuser(name).await?.batch_execute(&grant).await?;
        let app = cluster.client(APP, name).await?;
        app.batch_execute(make)
            .await
            .with_context(|| format!("making the {side}'s tables"))?;
    }
    let urls = (
        address(clusters.monolith.url(MOVER, name)?)?,
        address(clusters.service.url(MOVER, name)?)?,
    );
    Ok(Pair {
        database: name.to_owned(),
        mover: mover(name, &urls.0, &urls.1, tables)?,
        monolith: clusters.monolith.client(APP, name).await?,
        service: clusters.service.client(APP, name).await?,
        superusers: [&clusters.monolith, &clusters.service].map(|one| one.socket_config(name)),
    })
}

impl Pair {
    pub fn app(&self, side: Side) -> &Client {
        match side {
            Side::Monolith => &self.monolith,
            Side::Service => &self.service,
        }
    }

    pub async fn superuser(&self, side: Side) -> Result<Client> {
        let [monolith, service] = &self.superusers;
        let config = match side {
            Side::Monolith => monolith,
            Side::Service => service,
        };
        cluster::connect(config).await
    }

    pub async fn prepare(&self) -> Result<Claims> {
        Ok(self
            .mover
            .prepare(InstanceId(Uuid::from_u128(1)), conductor())
            .await?)
    }

    pub async fn prepare_and_copy(&self) -> Result<Claims> {
        let claims = self.prepare().await?;
        self.mover.copy(&claims, &watch::Sender::default()).await?;
        Ok(claims)
    }

    /// The lines that a query gives on a side, each as text.
    pub async fn lines(&self, side: Side, query: &str) -> Result<Vec<String>> {
        lines(self.app(side), query).await
    }
}

/// What a finding says to run, whoever has to decide it.
pub fn statements(finding: &Finding) -> Result<String> {
    let statements = &finding.remedy.statements;
    ensure!(!statements.is_empty(), "nothing to run: {finding}");
    let all: Vec<&str> = statements.iter().map(|one| one.sql.as_str()).collect();
    Ok(all.join("; "))
}

/// Findings as text, for messages of tests.
pub fn show(findings: &[Finding]) -> String {
    let lines = findings
        .iter()
        .map(|one| format!("{:?} {one}", one.severity));
    lines.collect::<Vec<_>>().join("\n")
}
