//! What the tests of one service stand on: a private cluster with the service's
//! database, and its program as processes that use it.

use crate::cluster::{Cluster, Options, Rights};
use crate::directory::PrivateDirectory;
use crate::http_client;
use crate::process::{Process, Spec};
use crate::service::HEALTH_PATH;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::types::FromSqlOwned;

/// A service migrates its database before it is ready.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A service's database `<name>` with its schema `<name>_service`, owned by the
/// role `<name>_owner` and used by `<name>_app`, as in production. Processes
/// must be dropped before it.
#[derive(Debug)]
pub struct ServiceBed {
    /// The server of the database.
    pub cluster: Cluster,
    /// Where anything may be written.
    pub directory: PrivateDirectory,
    name: &'static str,
    program: PathBuf,
    variables: Vec<(String, String)>,
}

impl ServiceBed {
    /// For the service of this name, whose program is there.
    pub async fn create(name: &'static str, program: impl AsRef<Path>) -> Result<Self> {
        let directory = PrivateDirectory::new()?;
        let mut cluster = Cluster::create(&directory, "db", &Options::fast()).await?;
        let (owner, app) = (format!("{name}_owner"), format!("{name}_app"));
        cluster.create_role(&owner, Rights::Plain).await?;
        cluster.create_role(&app, Rights::Plain).await?;
        cluster.create_database(name, &owner).await?;
        let variables = vec![
            ("DATABASE_URL".to_owned(), cluster.url(&app, name)?),
            ("DATABASE_OWNER_URL".to_owned(), cluster.url(&owner, name)?),
            ("LOG_LEVEL".to_owned(), "debug".to_owned()),
        ];
        Ok(Self {
            cluster,
            directory,
            name,
            program: program.as_ref().to_owned(),
            variables,
        })
    }

    /// Sets variables of processes that start later; the later value counts.
    pub fn set(&mut self, variables: &[(&str, &str)]) {
        for (name, value) in variables {
            self.variables.retain(|(known, _)| known != name);
            self.variables
                .push(((*name).to_owned(), (*value).to_owned()));
        }
    }

    /// A process of the service under a name of its own, on a port.
    pub fn spec(&self, process: &str, port: u16) -> Spec {
        let spec = Spec::new(process, &self.program).env("SERVICE_PORT", port.to_string());
        let set = |spec: Spec, (name, value): &(String, String)| spec.env(name, value);
        self.variables.iter().fold(spec, set)
    }

    /// Starts one and waits until it is ready.
    pub async fn start(&self, process: &str, port: u16) -> Result<Process> {
        let mut started = Process::start(&self.spec(process, port), &self.logs())?;
        let url = format!("http://127.0.0.1:{port}");
        let running = || started.ensure_running();
        let ready = http_client::until_healthy(&url, HEALTH_PATH, START_LIMIT, running).await;
        ready.with_context(|| started.log_tail())?;
        Ok(started)
    }

    /// A file or directory beside the others of this bed.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where processes log to.
    pub fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    /// All that a process of this name has logged.
    pub fn log(&self, process: &str) -> Result<String> {
        let file = self.logs().join(format!("{process}.log"));
        fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
    }

    /// A superuser of the database, in the service's schema and in UTC.
    pub async fn superuser(&self) -> Result<Client> {
        let client = self.cluster.superuser(self.name).await?;
        let settings = format!(
            "set search_path = {}_service; set timezone = 'UTC'",
            self.name
        );
        client.batch_execute(&settings).await?;
        Ok(client)
    }

    /// Has statements executed that only a superuser may.
    pub async fn sql(&self, statements: &str) -> Result<()> {
        Ok(self.superuser().await?.batch_execute(statements).await?)
    }

    /// One value out of the database.
    pub async fn value<T: FromSqlOwned>(&self, query: &str) -> Result<T> {
        let row = self.superuser().await?.query_one(query, &[]).await?;
        Ok(row.try_get(0)?)
    }
}
