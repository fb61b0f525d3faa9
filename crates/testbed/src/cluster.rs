//! Private PostgreSQL clusters.
//!
//! Each has its own data directory, socket directory and port, listens on
//! 127.0.0.1 only, and asks for a password there. The superuser `testbed` gets
//! in without one through the socket, whose directory only the server's user
//! may enter.

mod command;
mod crash;
mod fail_over;
mod installation;
mod psql;
mod template;
mod tls;

use command::copy_directory;
pub use installation::{Installation, SUPERUSER};
pub use tls::ServerTls;

use crate::deadline;
use crate::directory::PrivateDirectory;
use crate::ports;
use crate::process::{Process, Signal, Spec};
use crate::small_disk::SmallDisk;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

/// Recovery after a kill may take longer than a usual start.
const START_LIMIT: Duration = Duration::from_mins(1);

/// From this version on replication origins are not bounded by the slots' number.
const ORIGINS_APART: u32 = 18;

/// How a cluster differs from the usual.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether commits reach the disk. Without it a killed server loses
    /// nothing either, only a killed machine does.
    pub durable: bool,
    /// Settings that replace the usual ones.
    pub settings: Vec<(String, String)>,
    /// TLS, which is then the only way in over the network.
    pub tls: Option<ServerTls>,
    /// The size of a disk of its own, where one can be mounted.
    pub disk_bytes: Option<u64>,
}

impl Options {
    /// As a real server: commits reach the disk.
    pub fn durable() -> Self {
        Self {
            durable: true,
            settings: Vec::new(),
            tls: None,
            disk_bytes: None,
        }
    }

    /// For test cases.
    pub fn fast() -> Self {
        Self {
            durable: false,
            settings: Vec::new(),
            tls: None,
            disk_bytes: None,
        }
    }

    /// Demands TLS of whoever comes over the network.
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Has a disk of its own, which can be full.
    #[must_use]
    pub fn disk(mut self, bytes: u64) -> Self {
        self.disk_bytes = Some(bytes);
        self
    }

    /// Replaces a setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Rights of a role beyond logging in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// None.
    Plain,
    /// May create databases.
    CreateDatabases,
    /// May start a replication connection.
    Replication,
    /// Everything.
    Superuser,
}

impl Rights {
    fn sql(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::CreateDatabases => "CREATEDB",
            Self::Replication => "REPLICATION",
            Self::Superuser => "SUPERUSER REPLICATION",
        }
    }
}

/// A cluster of our own. Dropping it stops it.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    installation: Installation,
    data: PathBuf,
    sockets: PathBuf,
    logs: PathBuf,
    port: u16,
    passwords: BTreeMap<String, String>,
    demands_tls: bool,
    server: Mutex<Option<Process>>,
    /// Under all of its files. Goes after the server.
    disk: Option<SmallDisk>,
}

impl Cluster {
    /// Makes a cluster under `directory` and starts it.
    pub async fn create(
        directory: &PrivateDirectory,
        name: &str,
        options: &Options,
    ) -> Result<Self> {
        let logs = directory.path().join("logs");
        Self::create_logging_to(directory, &logs, name, options).await
    }

    /// The same with its log elsewhere.
    pub async fn create_logging_to(
        directory: &PrivateDirectory,
        logs: &Path,
        name: &str,
        options: &Options,
    ) -> Result<Self> {
        let installation = Installation::of(name)?;
        let home = directory.path().join(name);
        installation.make_directory(&home)?;
        let disk = match options.disk_bytes {
            Some(bytes) => SmallDisk::mount(&home, bytes, logs).await?,
            None => None,
        };
        if disk.is_some() {
            installation.take_directory(&home)?;
        }
        let sockets = home.join("s");
        installation.make_directory(&sockets)?;
        let data = home.join("data");
        template::copy(&installation, &data).await?;
        let mut cluster = Self {
            name: name.to_owned(),
            installation,
            data,
            sockets,
            logs: logs.to_owned(),
            port: ports::free()?,
            passwords: BTreeMap::new(),
            demands_tls: false,
            server: Mutex::new(None),
            disk,
        };
        cluster.configure(options)?;
        cluster.start().await?;
        Ok(cluster)
    }

    /// Replaces all settings; they apply from the next start. TLS, once
    /// demanded, stays so.
    pub fn configure(&mut self, options: &Options) -> Result<()> {
        let port = self.port.to_string();
        let sockets = self.sockets.display().to_string();
        let on_off = if options.durable { "on" } else { "off" };
        let mut settings: BTreeMap<&str, &str> = BTreeMap::from([
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", &sockets),
            ("wal_level", "logical"),
            ("max_wal_senders", "20"),
            ("max_replication_slots", "20"),
            ("max_connections", "100"),
            ("shared_buffers", "128MB"),
            ("fsync", on_off),
            ("full_page_writes", on_off),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("log_line_prefix", "%m %a %p "),
        ]);
        if let Some(tls) = &options.tls {
            tls.write(&self.installation, &self.data)?;
            settings.extend(tls.settings());
            self.demands_tls = true;
        }
        settings.extend(
            options
                .settings
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str())),
        );
        if self.installation.major() >= ORIGINS_APART {
            // As many as before, where one number bounded both.
            let slots = settings["max_replication_slots"];
            settings
                .entry("max_active_replication_origins")
                .or_insert(slots);
        }
        let mut text = String::new();
        for (name, value) in settings {
            writeln!(text, "{name} = '{}'", value.replace('\'', "''"))?;
        }
        let path = self.data.join(template::SETTINGS_FILE);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Starts a stopped cluster and waits until it accepts connections.
    pub async fn start(&self) -> Result<()> {
        let mut server = Process::start(&self.spec(&self.data), &self.logs)?;
        let config = self.socket_config("postgres");
        let what = format!("the cluster {} to accept connections", self.name);
        deadline::until(&what, START_LIMIT, async || {
            server.ensure_running()?;
            Ok(connect(&config).await.ok())
        })
        .await?;
        *self.server.lock().await = Some(server);
        Ok(())
    }

    fn spec(&self, data: &Path) -> Spec {
        Spec::new(
            format!("postgres-{}", self.name),
            self.installation.program("postgres"),
        )
        .prefix(&self.installation.prefix())
        .arg("-D")
        .arg(data)
        .directory(data)
        .stop_with(Signal::Interrupt)
    }

    /// Starts it where it has ended by itself, and waits until it accepts
    /// connections.
    pub async fn revive(&mut self) -> Result<()> {
        let what = format!("the cluster {} to be back", self.name);
        deadline::until(&what, START_LIMIT, async || {
            let ended = |server: &mut Process| server.exited().is_some();
            if self.server.get_mut().as_mut().is_none_or(ended) {
                self.start().await?;
            }
            Ok(self.superuser("postgres").await.ok().map(drop))
        })
        .await
    }

    /// Stops it the fast way: sessions are ended, the data is left clean.
    pub async fn stop(&mut self) {
        if let Some(mut server) = self.server.get_mut().take() {
            server.stop().await;
        }
    }

    /// Stops it as a crash would, without a checkpoint.
    pub async fn kill(&mut self) {
        if let Some(mut server) = self.server.get_mut().take() {
            // Not SIGKILL: it would leave the shared memory segment behind.
            // For every client and for the data it is the same.
            server.signal(Signal::Quit);
            if server.wait(Duration::from_secs(5)).await.is_err() {
                server.kill().await;
            }
        }
    }

    /// Stops and starts it with other settings.
    pub async fn restart(&mut self, options: &Options) -> Result<()> {
        self.stop().await;
        self.configure(options)?;
        self.start().await
    }

    /// Stops it and keeps a copy of its data, as a backup of the files does, and
    /// starts it again.
    pub async fn back_up(&mut self, to: &Path) -> Result<()> {
        self.stop().await;
        copy_directory(&self.data, to)?;
        self.start().await
    }

    /// Stops it and starts it with the data that were kept. `recovers`: through
    /// archive recovery, at whose end it is on another timeline.
    pub async fn restore(&mut self, from: &Path, recovers: bool) -> Result<()> {
        self.stop().await;
        fs::remove_dir_all(&self.data)?;
        copy_directory(from, &self.data)?;
        if recovers {
            let settings = self.data.join(template::SETTINGS_FILE);
            let text = fs::read_to_string(&settings)? + "restore_command = '/bin/false'\n";
            fs::write(&settings, text)?;
            fs::write(self.data.join("recovery.signal"), "")?;
            self.installation
                .take_private(&self.data.join("recovery.signal"))?;
        }
        self.start().await?;
        let client = self.superuser("postgres").await?;
        deadline::until("the end of recovery", START_LIMIT, async || {
            let row = client.query_one("select pg_is_in_recovery()", &[]).await?;
            Ok((!row.get::<_, bool>(0)).then_some(()))
        })
        .await
    }

    /// Makes a role that may log in, with a random password.
    pub async fn create_role(&mut self, name: &str, rights: Rights) -> Result<()> {
        let password = uuid::Uuid::new_v4().simple().to_string();
        let sql = format!(
            "CREATE ROLE {name} LOGIN {} PASSWORD '{password}'",
            rights.sql()
        );
        self.superuser("postgres")
            .await?
            .batch_execute(&sql)
            .await?;
        self.passwords.insert(name.to_owned(), password);
        Ok(())
    }

    /// Makes a database that belongs to a role.
    pub async fn create_database(&self, name: &str, owner: &str) -> Result<()> {
        let sql = format!("CREATE DATABASE {name} OWNER {owner}");
        Ok(self
            .superuser("postgres")
            .await?
            .batch_execute(&sql)
            .await?)
    }

    /// The address of a database for a role that was made here.
    pub fn url(&self, role: &str, database: &str) -> Result<String> {
        let Some(password) = self.passwords.get(role) else {
            bail!("the cluster {} has no role {role}", self.name);
        };
        Ok(format!(
            "postgres://{role}:{password}@127.0.0.1:{}/{database}",
            self.port
        ))
    }

    /// A connection as a role that was made here.
    pub async fn client(&self, role: &str, database: &str) -> Result<Client> {
        let mut config: Config = self.url(role, database)?.parse()?;
        if self.demands_tls {
            config = self.socket_config(database);
            config.user(role);
        }
        connect(&config)
            .await
            .with_context(|| format!("connecting to {database} as {role}"))
    }

    /// A connection as the superuser, through the socket.
    pub async fn superuser(&self, database: &str) -> Result<Client> {
        let config = self.socket_config(database);
        connect(&config)
            .await
            .with_context(|| format!("connecting to {database}"))
    }

    /// Its own disk, where it has one.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket's path.
    pub fn socket(&self) -> PathBuf {
        self.sockets.join(format!(".s.PGSQL.{}", self.port))
    }

    /// What the server has logged.
    pub fn log(&self) -> PathBuf {
        self.logs.join(format!("postgres-{}.log", self.name))
    }

    /// Where the server's programs are, and those of its clients.
    pub fn programs(&self) -> PathBuf {
        self.installation.program("")
    }

    /// The version.
    pub fn version(&self) -> &str {
        self.installation.version()
    }

    /// The major version.
    pub fn major(&self) -> u32 {
        self.installation.major()
    }

    /// How one connects as the superuser: through the socket.
    pub fn socket_config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config
            .host_path(&self.sockets)
            .port(self.port)
            .user(SUPERUSER)
            .dbname(database);
        config.application_name("testbed");
        config
    }
}

/// Connects, and drives the connection until the client is dropped.
pub async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    // Its errors come back from the client's calls.
    tokio::spawn(connection);
    Ok(client)
}

/// Connects to an address.
pub async fn connect_url(url: &str) -> Result<Client> {
    connect(&url.parse()?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn roles_log_in_with_their_own_password_only() {
        let directory = PrivateDirectory::new().unwrap();
        let mut cluster = Cluster::create(&directory, "a", &Options::fast())
            .await
            .unwrap();
        cluster.create_role("app", Rights::Plain).await.unwrap();
        cluster.create_database("shop", "app").await.unwrap();
        let client = cluster.client("app", "shop").await.unwrap();
        let row = client.query_one("SHOW wal_level", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "logical");
        let wrong = format!("postgres://app:wrong@127.0.0.1:{}/shop", cluster.port());
        assert!(connect_url(&wrong).await.is_err());
    }

    #[tokio::test]
    async fn survives_a_kill_and_takes_new_settings() {
        let directory = PrivateDirectory::new().unwrap();
        let mut cluster = Cluster::create(&directory, "a", &Options::fast())
            .await
            .unwrap();
        let client = cluster.superuser("postgres").await.unwrap();
        client
            .batch_execute("CREATE TABLE t AS SELECT 1 AS x")
            .await
            .unwrap();
        cluster.kill().await;
        assert!(cluster.superuser("postgres").await.is_err());
        cluster.start().await.unwrap();
        let client = cluster.superuser("postgres").await.unwrap();
        assert_eq!(client.query("TABLE t", &[]).await.unwrap().len(), 1);
        drop(client);
        cluster
            .restart(&Options::fast().setting("wal_level", "replica"))
            .await
            .unwrap();
        let client = cluster.superuser("postgres").await.unwrap();
        let row = client.query_one("SHOW wal_level", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "replica");
    }

    #[tokio::test]
    async fn what_is_committed_outlives_a_crash_and_nothing_else_does() {
        let directory = PrivateDirectory::new().unwrap();
        let cluster = Cluster::create(&directory, "a", &Options::fast())
            .await
            .unwrap();
        let client = cluster.superuser("postgres").await.unwrap();
        let make = "create table t (x integer); insert into t values (1)";
        client.batch_execute(make).await.unwrap();
        let open = "begin; insert into t values (2)";
        client.batch_execute(open).await.unwrap();
        cluster.crash().await.unwrap();
        assert!(client.batch_execute("commit").await.is_err());
        assert!(cluster.superuser("postgres").await.is_err());
        cluster.start().await.unwrap();
        let client = cluster.superuser("postgres").await.unwrap();
        assert_eq!(client.query("table t", &[]).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_server_that_cannot_start_says_why() {
        let directory = PrivateDirectory::new().unwrap();
        let mut cluster = Cluster::create(&directory, "a", &Options::fast())
            .await
            .unwrap();
        let bad = Options::fast().setting("wal_level", "nonsense");
        let error = cluster.restart(&bad).await.unwrap_err();
        assert!(format!("{error:#}").contains("nonsense"), "{error:#}");
    }
}
