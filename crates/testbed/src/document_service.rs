//! The documents service of the example: the monolith's app, with a database of its own.

use crate::binaries;
use crate::http_client;
use crate::ports;
use crate::process::{self, Process, Signal, Spec};
use crate::python::Environment;
use crate::service::HEALTH_PATH;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

const COMMAND_LIMIT: Duration = Duration::from_mins(1);
const START_LIMIT: Duration = Duration::from_secs(30);

/// Threads of gunicorn, in one process.
const THREADS: &str = "8";

/// gunicorn, serving.
#[derive(Debug)]
pub struct DocumentService {
    url: String,
    /// Ends with this.
    _process: Process,
}

impl DocumentService {
    /// Makes its tables in a database, starts it, and waits until it is ready.
    pub async fn start(database: &str, contracts_url: &str, logs: &Path) -> Result<Self> {
        let examples = binaries::repository().join("examples");
        let (home, library) = (
            examples.join("three-extractions"),
            examples.join("land-contracts/monolith"),
        );
        let python = Environment::ensure(&library.join("requirements.txt")).await?;
        let address = format!("127.0.0.1:{}", ports::free()?);
        let spec = |name: &str, program: &str| {
            let path = format!("{}:{}", home.display(), library.display());
            Spec::new(name, python.program(program))
                .directory(&home)
                .env("PYTHONPATH", path)
                .env("PYTHONUNBUFFERED", "1")
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("DJANGO_SETTINGS_MODULE", "document_service.settings")
                .env("DJANGO_SECRET_KEY", uuid::Uuid::new_v4().to_string())
                .env("DATABASE_URL", database)
                .env("CONTRACTS_URL", contracts_url)
        };
        let migrate = spec("documents-migrate", "python");
        let migrate = migrate.args(["-m", "django", "migrate", "--verbosity", "0"]);
        process::run(&migrate, COMMAND_LIMIT).await?.successful()?;
        let serve = spec("documents", "gunicorn")
            .arg("--config")
            .arg(library.join("gunicorn.conf.py"))
            .arg("document_service.wsgi:application")
            .env("BIND", &address)
            .env("WEB_WORKERS", "1")
            .env("WEB_THREADS", THREADS)
            .stop_with(Signal::Term);
        let mut process = Process::start(&serve, logs)?;
        let url = format!("http://{address}");
        http_client::until_healthy(&url, HEALTH_PATH, START_LIMIT, || process.ensure_running())
            .await
            .with_context(|| process.log_tail())?;
        Ok(Self {
            url,
            _process: process,
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }
}
