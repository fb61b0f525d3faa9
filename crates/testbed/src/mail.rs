//! A real mail server that delivers nothing: what it takes stands in a file.

use crate::binaries;
use crate::deadline;
use crate::process::{Exit, Process, Spec};
use crate::python::Environment;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpStream;

const START_LIMIT: Duration = Duration::from_mins(1);

/// How it wants to be spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// In plain text, by anybody.
    Plain,
    /// Begun in plain text, encrypted and with a login before any mail.
    StartTls(Files),
    /// Encrypted from the first byte, with a login.
    Tls(Files),
}

/// What it proves its name with, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A mail server on the loopback address. Dropping it stops it.
#[derive(Debug)]
pub struct MailServer {
    process: Process,
    port: u16,
    mails: PathBuf,
}

impl MailServer {
    /// Starts one and waits until it takes connections; mails are appended to
    /// the file `mails`.
    pub async fn start(port: u16, mode: &Mode, mails: &Path, logs: &Path) -> Result<Self> {
        let here = binaries::repository().join("crates/testbed/smtp");
        let python = Environment::ensure(&here.join("requirements.txt")).await?;
        let spec = Spec::new("smtp", python.program("python"))
            .arg(here.join("server.py"))
            .arg(port.to_string())
            .arg(mails);
        let spec = match mode {
            Mode::Plain => spec.arg("plain"),
            Mode::StartTls(files) => spec.arg("starttls").arg(&files.certificate).arg(&files.key),
            Mode::Tls(files) => spec.arg("tls").arg(&files.certificate).arg(&files.key),
        };
        let mut process = Process::start(&spec, logs)?;
        deadline::until("the mail server", START_LIMIT, async || {
            process.ensure_running()?;
            Ok(TcpStream::connect(("127.0.0.1", port)).await.ok())
        })
        .await
        .with_context(|| process.log_tail())?;
        Ok(Self {
            process,
            port,
            mails: mails.to_owned(),
        })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with what it has taken, one JSON document a line.
    pub fn file(&self) -> &Path {
        &self.mails
    }

    /// Ends it as a crash would.
    pub async fn kill(mut self) -> Exit {
        self.process.kill().await
    }

    /// Ends it.
    pub async fn stop(mut self) -> Exit {
        self.process.stop().await
    }
}
