//! The whole set on one machine without containers: PostgreSQL, a monolith, a
//! mail server, the services, `banyan serve` as their gateway, Prometheus.
//!
//! Keys are the examples of seed 000, so that its calls work as they are
//! written; everything listens on the loopback address only.

pub mod calls;
pub mod load;
pub mod members;
mod ports;
pub mod prometheus;
pub mod report;
pub mod statements;

pub use ports::Ports;

use crate::banyan::{CommandLine, Plan, Serve};
use crate::binaries;
use crate::cluster::{Cluster, Options, Rights};
use crate::directory::PrivateDirectory;
use crate::http_client;
use crate::mail::{MailServer, Mode};
use crate::monolith::{Project, Web};
use crate::process::{Process, Spec};
use anyhow::{Context, Result};
use members::{MEMBERS, Member, Surroundings};
use prometheus::{Pace, Prometheus};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The operators' key at the gateway, as seed 000 has it.
pub const GATEWAY_KEY: &str = "staging-gateway-key";
/// The clients' keys there.
pub const CLIENT_KEYS: &str = "staging-client-1,staging-client-2";

const MONOLITH: &str = "monolith";
const MONOLITH_ROLE: &str = "monolith_app";
/// Contracts in the monolith, for something to look at.
const CONTRACTS: u64 = 100;
/// A service migrates its database before it is ready.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// Four services with ten connections each, the monolith's, and room.
const CONNECTIONS: &str = "120";

/// How the set is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where its parts listen.
    pub ports: Ports,
    /// Where they log to, if not to the private directory.
    pub logs: Option<PathBuf>,
    /// How PostgreSQL is set.
    pub cluster: Options,
    /// How often Prometheus looks, and how soon its alerts fire; without it
    /// there is none.
    pub prometheus: Option<Pace>,
}

impl Settings {
    /// For test cases: free ports, no Prometheus.
    pub fn fast() -> Result<Self> {
        Ok(Self {
            ports: Ports::free()?,
            logs: None,
            cluster: Options::fast(),
            prometheus: None,
        })
    }
}

/// The set, running. What was started last ends first.
#[derive(Debug)]
pub struct Set {
    prometheus: Option<Prometheus>,
    gateway: Serve,
    services: BTreeMap<&'static str, Process>,
    monolith: Option<Web>,
    smtp: MailServer,
    cluster: Cluster,
    ports: Ports,
    logs: PathBuf,
    around: Surroundings,
    directory: PrivateDirectory,
}

impl Set {
    /// Starts all of it and waits until it is ready; `tell` hears what is
    /// being done.
    pub async fn start(settings: &Settings, tell: &(dyn Fn(&str) + Sync)) -> Result<Self> {
        let ports = settings.ports.clone();
        ports.ensure_free()?;
        let directory = PrivateDirectory::new()?;
        let own_logs = directory.path().join("logs");
        let logs = settings.logs.clone().unwrap_or(own_logs);
        tell("PostgreSQL");
        let cluster = cluster(&directory, &logs, &settings.cluster).await?;
        tell("mail server");
        let mails = logs.join("mails.jsonl");
        fs::create_dir_all(&logs)?;
        let smtp = MailServer::start(crate::ports::free()?, &Mode::Plain, &mails, &logs).await?;
        tell("monolith");
        let project = Project::new(cluster.url(MONOLITH_ROLE, MONOLITH)?, &logs).await?;
        project.migrate().await?;
        project.seed(CONTRACTS).await?;
        let monolith = project.serve().await?;
        let around = Surroundings {
            gateway: ports.url("gateway"),
            notification: ports.url("notification"),
            smtp_port: smtp.port(),
            jwt_secret: uuid::Uuid::new_v4().to_string(),
            service_secret: uuid::Uuid::new_v4().to_string(),
        };
        let mut services = BTreeMap::new();
        for member in members::present() {
            tell(member.name);
            let process = start(member, &cluster, &ports, &around, &logs)?;
            services.insert(member.name, process);
        }
        for (name, process) in &mut services {
            until_ready(&ports.url(name), process).await?;
        }
        tell("gateway");
        let plan = plan(&ports, monolith.url())?;
        let banyan = CommandLine::new(&plan, &directory.path().join("banyan"))?;
        let gateway = banyan.serve(&logs).await?;
        let prometheus = match &settings.prometheus {
            Some(pace) => {
                tell("Prometheus");
                let home = directory.path().join("prometheus");
                Some(Prometheus::start(&home, &ports, pace, &logs).await?)
            }
            None => None,
        };
        Ok(Self {
            prometheus,
            gateway,
            services,
            monolith: Some(monolith),
            smtp,
            cluster,
            ports,
            logs,
            around,
            directory,
        })
    }

    /// Where its parts listen.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Where its parts log to.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Where a call may leave files.
    pub fn directory(&self) -> &PrivateDirectory {
        &self.directory
    }

    /// The databases.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Prometheus, where there is one.
    pub fn prometheus(&self) -> Option<&Prometheus> {
        self.prometheus.as_ref()
    }

    /// The mails that were sent.
    pub fn mails(&self) -> &Path {
        self.smtp.file()
    }

    /// The monolith's address, while it runs.
    pub fn monolith(&self) -> Option<&str> {
        self.monolith.as_ref().map(Web::url)
    }

    /// Ends the monolith, as the end of a migration does.
    pub async fn stop_monolith(&mut self) {
        if let Some(monolith) = self.monolith.take() {
            monolith.stop().await;
        }
    }

    /// The process of a service.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.services.get(name).map(Process::pid)
    }

    /// Kills a service.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        let process = self.services.get_mut(name);
        process
            .with_context(|| format!("no service `{name}` runs"))?
            .kill()
            .await;
        Ok(())
    }

    /// Starts a service that was killed.
    pub async fn revive(&mut self, name: &str) -> Result<()> {
        let member = members::member(name).with_context(|| format!("there is no `{name}`"))?;
        let mut process = start(member, &self.cluster, &self.ports, &self.around, &self.logs)?;
        until_ready(&self.ports.url(name), &mut process).await?;
        self.services.insert(member.name, process);
        Ok(())
    }

    /// An error that names the first part that has ended by itself.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.gateway.process().ensure_running()?;
        for process in self.services.values_mut() {
            process.ensure_running()?;
        }
        Ok(())
    }

    /// Ends all of it, from the front to the back.
    pub async fn stop(self) {
        let Self {
            prometheus,
            gateway,
            services,
            monolith,
            smtp,
            mut cluster,
            ..
        } = self;
        if let Some(prometheus) = prometheus {
            prometheus.stop().await;
        }
        gateway.stop().await;
        for mut process in services.into_values() {
            process.stop().await;
        }
        if let Some(monolith) = monolith {
            monolith.stop().await;
        }
        smtp.stop().await;
        cluster.stop().await;
    }
}

/// One server with a database, an owner and a role for each.
async fn cluster(directory: &PrivateDirectory, logs: &Path, options: &Options) -> Result<Cluster> {
    let options = options.clone().setting("max_connections", CONNECTIONS);
    let mut cluster = Cluster::create_logging_to(directory, logs, "set", &options).await?;
    cluster.create_role(MONOLITH_ROLE, Rights::Plain).await?;
    cluster.create_database(MONOLITH, MONOLITH_ROLE).await?;
    for member in members::present() {
        let owner = member.owner_role();
        cluster.create_role(&owner, Rights::Plain).await?;
        cluster
            .create_role(&member.app_role(), Rights::Plain)
            .await?;
        cluster.create_database(member.package, &owner).await?;
        // So that whoever looks by this role finds the tables.
        let path = format!(
            "alter role {} set search_path = {}",
            member.app_role(),
            member.schema()
        );
        let superuser = cluster.superuser("postgres").await?;
        superuser.batch_execute(&path).await?;
    }
    Ok(cluster)
}

/// What a service reads, by the names of its `--settings`.
pub fn variables(
    member: &Member,
    cluster: &Cluster,
    ports: &Ports,
    around: &Surroundings,
) -> Result<Vec<(String, String)>> {
    let database = |role: &str| cluster.url(role, member.package);
    let mut variables = vec![
        ("DATABASE_URL".to_owned(), database(&member.app_role())?),
        (
            "DATABASE_OWNER_URL".to_owned(),
            database(&member.owner_role())?,
        ),
        ("SERVICE_HOST".to_owned(), "127.0.0.1".to_owned()),
        ("SERVICE_PORT".to_owned(), ports.of(member.name).to_string()),
        ("SERVICE_URL".to_owned(), ports.url(member.name)),
        ("JWT_SECRET_KEY".to_owned(), around.jwt_secret.clone()),
        (
            "SERVICE_TOKEN_SECRET".to_owned(),
            around.service_secret.clone(),
        ),
        (member.key_variable(), member.key()),
    ];
    // Whom the kit tells of every service, where they are.
    for told in ["registry", "analytics"] {
        let other = members::member(told).filter(|it| it.is_present() && it.name != member.name);
        if let Some(other) = other {
            variables.push((
                format!("{}_URL", told.to_uppercase()),
                ports.url(other.name),
            ));
            variables.push((other.key_variable(), other.key()));
        }
    }
    let own = (member.own)(around).into_iter();
    variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Ok(variables)
}

fn start(
    member: &Member,
    cluster: &Cluster,
    ports: &Ports,
    around: &Surroundings,
    logs: &Path,
) -> Result<Process> {
    let spec = Spec::new(member.name, binaries::find(member.package)?);
    let variables = variables(member, cluster, ports, around)?;
    let spec = variables
        .into_iter()
        .fold(spec, |spec, (name, value)| spec.env(name, value));
    Process::start(&spec, logs)
}

async fn until_ready(url: &str, process: &mut Process) -> Result<()> {
    http_client::until_healthy(url, "/health/ready", READY_LIMIT, || {
        process.ensure_running()
    })
    .await
    .with_context(|| process.log_tail())
}

/// The plan of `deploy/plan` for what runs here.
fn plan(ports: &Ports, monolith: &str) -> Result<Plan> {
    let file = binaries::repository().join("deploy/plan/banyan.yaml");
    let plan = MEMBERS.iter().fold(Plan::read(&file)?, |plan, member| {
        let variable = format!("{}_URL", member.name.to_uppercase());
        plan.set(&variable, &ports.url(member.name))
    });
    Ok(plan
        .set("MONOLITH_URL", monolith)
        .set("GATEWAY_HOST", "127.0.0.1")
        .set("GATEWAY_PORT", &ports.of("gateway").to_string())
        .set(
            "CONTROL_LISTEN",
            &format!("127.0.0.1:{}", ports.of("control")),
        )
        .set("GATEWAY_API_KEY", GATEWAY_KEY)
        .set("ALLOWED_API_KEYS", CLIENT_KEYS))
}
