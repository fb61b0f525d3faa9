//! The example monolith: Django behind gunicorn, and its background writer.

use crate::http_client;
use crate::ports;
use crate::process::{self, Exit, Process, Signal, Spec};
use crate::python::Environment;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const COMMAND_LIMIT: Duration = Duration::from_mins(5);
const START_LIMIT: Duration = Duration::from_secs(30);

/// Threads of gunicorn. Two processes use both cores of a small machine; the
/// workload has 32 clients, of which few wait at the same time.
const WORKERS: &str = "2";
const THREADS: &str = "8";

/// The project and the database that it works on.
#[derive(Debug, Clone)]
pub struct Project {
    python: Environment,
    directory: PathBuf,
    database: String,
    environment: Vec<(String, String)>,
    logs: PathBuf,
}

impl Project {
    /// The example's project on a database.
    pub async fn new(database: String, logs: &Path) -> Result<Self> {
        let directory = crate::binaries::repository().join("examples/land-contracts/monolith");
        let python = Environment::ensure(&directory.join("requirements.txt")).await?;
        Ok(Self {
            python,
            directory,
            database,
            environment: Vec::new(),
            logs: logs.to_owned(),
        })
    }

    /// With further settings.
    #[must_use]
    pub fn with(mut self, environment: &[(String, String)]) -> Self {
        self.environment.extend_from_slice(environment);
        self
    }

    fn spec(&self, name: &str, program: &str) -> Spec {
        let mut spec = Spec::new(name, self.python.program(program))
            .directory(&self.directory)
            .env("DATABASE_URL", &self.database)
            .env("DJANGO_SECRET_KEY", uuid::Uuid::new_v4().to_string())
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        for (name, value) in &self.environment {
            spec = spec.env(name, value);
        }
        spec
    }

    /// Runs a management command to its end and returns what it printed.
    pub async fn manage(&self, arguments: &[&str]) -> Result<String> {
        let name = format!("manage.py {}", arguments.first().unwrap_or(&""));
        let spec = self
            .spec("manage", "python")
            .arg("manage.py")
            .args(arguments);
        let finished = process::run(&spec, COMMAND_LIMIT)
            .await?
            .successful()
            .context(name)?;
        Ok(finished.stdout + &finished.stderr)
    }

    /// Makes the tables.
    pub async fn migrate(&self) -> Result<()> {
        self.manage(&["migrate", "--verbosity", "0"])
            .await
            .map(drop)
    }

    /// Fills them with made-up contracts and everything around them.
    pub async fn seed(&self, contracts: u64) -> Result<()> {
        self.manage(&["seed_contracts", "--contracts", &contracts.to_string()])
            .await
            .map(drop)
    }

    /// Starts gunicorn and waits until it answers.
    pub async fn serve(&self) -> Result<Web> {
        let address = format!("127.0.0.1:{}", ports::free()?);
        let spec = self
            .spec("monolith", "gunicorn")
            .args(["--config", "gunicorn.conf.py", "land.wsgi:application"])
            .env("BIND", &address)
            .env("WEB_WORKERS", WORKERS)
            .env("WEB_THREADS", THREADS)
            .stop_with(Signal::Term);
        let mut process = Process::start(&spec, &self.logs)?;
        let url = format!("http://{address}");
        http_client::until_healthy(&url, "/health", START_LIMIT, || process.ensure_running())
            .await
            .with_context(|| process.log_tail())?;
        Ok(Web { url, process })
    }

    /// Starts the writer that changes contracts without HTTP.
    pub fn start_writer(&self, rate: u32, prefix: &str) -> Result<Writer> {
        let record = self.logs.join(format!("{prefix}.jsonl"));
        let spec = self
            .spec("writer", "python")
            .args(["manage.py", "touch_contracts", "--rate", &rate.to_string()])
            .args(["--prefix", prefix, "--record"])
            .arg(&record);
        Ok(Writer {
            process: Process::start(&spec, &self.logs)?,
            record,
        })
    }
}

/// gunicorn, serving.
#[derive(Debug)]
pub struct Web {
    url: String,
    process: Process,
}

impl Web {
    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it.
    pub async fn stop(mut self) -> Exit {
        self.process.stop().await
    }
}

/// What became of a background write, in the writer's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackgroundOutcome {
    /// The server confirmed the commit.
    Acknowledged,
    /// Writes were closed to it; nothing was stored.
    Refused,
    /// Any other failure that stored nothing.
    Failed,
    /// The connection broke while the commit was under way.
    Unknown,
}

/// One line of the writer's record.
#[derive(Debug, Clone, Deserialize)]
pub struct BackgroundWrite {
    /// The write's unique name.
    pub reference: String,
    /// What became of it.
    pub outcome: BackgroundOutcome,
    /// The error's text, if there was one.
    #[serde(default)]
    pub error: Option<String>,
}

/// The background writer, running.
#[derive(Debug)]
pub struct Writer {
    process: Process,
    record: PathBuf,
}

impl Writer {
    /// What it has recorded so far. A line that is not whole yet is left out.
    pub fn writes(&self) -> Result<Vec<BackgroundWrite>> {
        read_record(&self.record)
    }

    /// Ends it after its current write and returns its record.
    pub async fn stop(mut self) -> Result<Vec<BackgroundWrite>> {
        self.process.stop().await;
        read_record(&self.record)
    }
}

fn read_record(path: &Path) -> Result<Vec<BackgroundWrite>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).with_context(|| format!("in the record: {line}")))
        .collect()
}
