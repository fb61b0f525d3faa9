//! Everything that stands before Banyan comes: two clusters, the monolith on
//! one, the service on the other, and the plan that names them.

use crate::banyan::{Addresses, CommandLine, Plan};
use crate::cluster::{Cluster, Options, Rights};
use crate::directory::PrivateDirectory;
use crate::monolith::{Project, Web};
use crate::service::Service;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use tokio_postgres::Client;

/// The monolith's database.
pub const MONOLITH_DATABASE: &str = "monolith";
/// The service's database.
pub const CONTRACTS_DATABASE: &str = "contracts";
/// The role that the monolith works as.
pub const MONOLITH_ROLE: &str = "monolith_app";
/// The role that the service works as.
pub const CONTRACTS_ROLE: &str = "contracts_app";
/// The mover's own role, in both clusters.
pub const MOVER_ROLE: &str = "banyan";

/// How a scene is set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Contracts in the monolith before anything begins.
    pub contracts: u64,
    /// The monolith's cluster.
    pub monolith_cluster: Options,
    /// The service's cluster.
    pub contracts_cluster: Options,
    /// What the monolith is told beside its database.
    pub environment: Vec<(String, String)>,
    /// Where the processes log to, if not to the private directory; what is
    /// there already is removed.
    pub logs: Option<PathBuf>,
}

impl Settings {
    /// As a real installation: commits reach the disk.
    pub fn durable(contracts: u64) -> Self {
        let (monolith_cluster, contracts_cluster) = (Options::durable(), Options::durable());
        Self {
            contracts,
            monolith_cluster,
            contracts_cluster,
            environment: Vec::new(),
            logs: None,
        }
    }

    /// For test cases.
    pub fn fast(contracts: u64) -> Self {
        let (monolith_cluster, contracts_cluster) = (Options::fast(), Options::fast());
        Self {
            contracts,
            monolith_cluster,
            contracts_cluster,
            environment: Vec::new(),
            logs: None,
        }
    }
}

/// A scene, running. What was started last ends first.
#[derive(Debug)]
pub struct Scene {
    /// The service.
    pub service: Service,
    /// The monolith's web workers.
    pub web: Web,
    /// The monolith's code, for its commands.
    pub project: Project,
    /// The service's cluster.
    pub contracts_cluster: Cluster,
    /// The monolith's cluster.
    pub monolith_cluster: Cluster,
    logs: PathBuf,
    directory: PrivateDirectory,
}

impl Scene {
    /// Connections to the monolith's and the service's database that may see and do everything.
    pub async fn superusers(&self) -> Result<(Client, Client)> {
        tokio::try_join!(
            self.monolith_cluster.superuser(MONOLITH_DATABASE),
            self.contracts_cluster.superuser(CONTRACTS_DATABASE),
        )
    }

    /// Sets the scene; `tell` hears what is being done.
    pub async fn set(settings: &Settings, tell: &(dyn Fn(&str) + Sync)) -> Result<Self> {
        let directory = PrivateDirectory::new()?;
        let logs = match &settings.logs {
            Some(logs) => emptied(logs)?,
            None => directory.path().join("logs"),
        };
        tell("PostgreSQL clusters");
        let (monolith_cluster, contracts_cluster) = tokio::try_join!(
            cluster(
                &directory,
                &logs,
                MONOLITH_DATABASE,
                MONOLITH_ROLE,
                // Django's own tests make a database of their own.
                Rights::CreateDatabases,
                &settings.monolith_cluster
            ),
            cluster(
                &directory,
                &logs,
                CONTRACTS_DATABASE,
                CONTRACTS_ROLE,
                Rights::Plain,
                &settings.contracts_cluster
            ),
        )?;
        let database = monolith_cluster.url(MONOLITH_ROLE, MONOLITH_DATABASE)?;
        tell("Python environment");
        let project = Project::new(database, &logs).await?;
        let project = project.with(&settings.environment);
        tell("the monolith's tables");
        project.migrate().await?;
        if settings.contracts > 0 {
            tell(&format!("{} contracts", settings.contracts));
            project.seed(settings.contracts).await?;
        }
        tell("monolith");
        let web = project.serve().await?;
        tell("contracts service");
        let database = contracts_cluster.url(CONTRACTS_ROLE, CONTRACTS_DATABASE)?;
        let service = Service::start(&database, web.url(), &logs).await?;
        Ok(Self {
            service,
            web,
            project,
            contracts_cluster,
            monolith_cluster,
            logs,
            directory,
        })
    }

    /// The private directory of this scene.
    pub fn directory(&self) -> &PrivateDirectory {
        &self.directory
    }

    /// Where every process logs to.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The monolith's database, as the mover sees it.
    pub fn monolith_database(&self) -> Result<String> {
        self.monolith_cluster.url(MOVER_ROLE, MONOLITH_DATABASE)
    }

    /// The service's database, as the mover sees it.
    pub fn contracts_database(&self) -> Result<String> {
        self.contracts_cluster.url(MOVER_ROLE, CONTRACTS_DATABASE)
    }

    /// The example's plan for what runs here.
    pub fn plan(&self) -> Result<Plan> {
        Plan::example(&self.addresses()?)
    }

    /// What its plan leaves open.
    pub fn addresses(&self) -> Result<Addresses> {
        Ok(Addresses {
            monolith: self.web.url().to_owned(),
            monolith_database: self.monolith_database()?,
            contracts: self.service.url().to_owned(),
            contracts_database: self.contracts_database()?,
        })
    }

    /// Another service's cluster, with a database and a role of one name.
    pub async fn cluster(&self, name: &str) -> Result<Cluster> {
        let options = Options::fast();
        cluster(
            &self.directory,
            &self.logs,
            name,
            name,
            Rights::Plain,
            &options,
        )
        .await
    }

    /// The command line for a plan, with its files in this scene's directory.
    pub fn command_line(&self, plan: &Plan) -> Result<CommandLine> {
        CommandLine::new(plan, &self.directory.path().join("banyan"))
    }
}

fn emptied(logs: &Path) -> Result<PathBuf> {
    match fs::remove_dir_all(logs) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", logs.display()));
        }
        _ => {}
    }
    fs::create_dir_all(logs).with_context(|| format!("making {}", logs.display()))?;
    Ok(logs.to_owned())
}

async fn cluster(
    directory: &PrivateDirectory,
    logs: &Path,
    database: &str,
    role: &str,
    rights: Rights,
    options: &Options,
) -> Result<Cluster> {
    let mut cluster = Cluster::create_logging_to(directory, logs, database, options).await?;
    cluster.create_role(role, rights).await?;
    cluster.create_role(MOVER_ROLE, Rights::Superuser).await?;
    cluster.create_database(database, role).await?;
    Ok(cluster)
}
