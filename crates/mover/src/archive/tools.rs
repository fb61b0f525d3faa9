//! `pg_dump` and `pg_restore`, and how they are called: addresses and passwords go by
//! the environment, which other users of the machine do not see.

use crate::{
    database::{
        session::{APPLICATION_NAME, Session},
        sql,
    },
    error::MoverError,
};
use plan::{DatabaseUrl, Roots, TableName};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

/// Where distributions put the tools of each version.
const DIRECTORIES: &[(&str, &str)] = &[("/usr/lib/postgresql", "bin"), ("/usr", "bin")];

/// From this version on a table is dumped with its partitions.
const WITH_CHILDREN: u32 = 16;

/// So much of what a tool complains of is kept.
const COMPLAINT_BYTES_MAX: usize = 2000;

/// Why there is no archive, or it could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// This machine lacks a tool.
    #[error(
        "no `pg_dump` of version {server} or newer is on this machine. Install PostgreSQL's client \
         programs (postgresql-client-{server})"
    )]
    NoTool {
        /// The server's major version.
        server: u32,
    },
    /// A tool has failed.
    #[error("`{tool}` failed: {complaint}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// What it says.
        complaint: String,
    },
    /// A tool cannot be started, or a file cannot be written.
    #[error("`{tool}` cannot be run: {source}")]
    Start {
        /// Its name.
        tool: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// What was restored is not what was there.
    #[error("{0}")]
    Differs(String),
    /// A database does not do it.
    #[error(transparent)]
    Database(#[from] MoverError),
}

/// The tools of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    dump: PathBuf,
    restore: PathBuf,
    major: u32,
}

impl Tools {
    /// The oldest that fit a server: newer ones say what older servers do not know.
    pub(super) async fn find(session: &Session) -> Result<Self, ArchiveError> {
        let server = server_major(session).await?;
        let mut directories: Vec<PathBuf> = std::env::var_os("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default();
        for (root, bin) in DIRECTORIES {
            let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
            directories.extend(entries.map(|entry| entry.path().join(bin)));
        }
        let mut found: Vec<Self> = Vec::new();
        for directory in directories {
            let dump = directory.join("pg_dump");
            let restore = directory.join("pg_restore");
            if !dump.is_file() || !restore.is_file() {
                continue;
            }
            let Some(major) = version(&dump).await else {
                continue;
            };
            found.push(Self {
                dump,
                restore,
                major,
            });
        }
        found.retain(|tools| tools.major >= server);
        let oldest = found.into_iter().min_by_key(|tools| tools.major);
        oldest.ok_or(ArchiveError::NoTool { server })
    }

    /// Their version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Writes tables into a file; of a snapshot, where one is given.
    pub(super) async fn dump(
        &self,
        database: &DatabaseUrl,
        tables: &[TableName],
        snapshot: Option<&str>,
        file: &Path,
    ) -> Result<(), ArchiveError> {
        let mut command = called(&self.dump, database);
        command.arg("--format=custom").arg("--file").arg(file);
        if let Some(snapshot) = snapshot {
            command.arg("--snapshot").arg(snapshot);
        }
        let option = if self.major >= WITH_CHILDREN {
            "--table-and-children"
        } else {
            "--table"
        };
        for table in tables {
            // What is quoted is taken literally, and not as a pattern.
            command.arg(option).arg(sql::table(table));
        }
        run(command, "pg_dump").await
    }

    /// Writes what tables may be made of (schemas, types, functions), without any table.
    pub(super) async fn dump_types(
        &self,
        database: &DatabaseUrl,
        file: &Path,
    ) -> Result<(), ArchiveError> {
        let mut command = called(&self.dump, database);
        command
            .args(["--format=custom", "--schema-only", "--section=pre-data"])
            .args(["--exclude-table=*.*", "--exclude-schema=banyan"])
            .arg("--file")
            .arg(file);
        run(command, "pg_dump").await
    }

    /// Restores tables and rows of a file, without owners, rights, indexes and keys.
    pub(super) async fn restore(
        &self,
        database: &DatabaseUrl,
        file: &Path,
    ) -> Result<(), ArchiveError> {
        let mut command = called(&self.restore, database);
        command
            .args(["--exit-on-error", "--no-owner", "--no-privileges"])
            .args(["--section=pre-data", "--section=data", "--dbname"])
            .arg(&database.database)
            .arg(file);
        run(command, "pg_restore").await
    }

    /// The same of what [`Self::dump_types`] has written, as far as it goes: a function may
    /// need a table that is not there, and nothing needs the function.
    pub(super) async fn restore_types(
        &self,
        database: &DatabaseUrl,
        file: &Path,
    ) -> Result<(), ArchiveError> {
        let mut command = called(&self.restore, database);
        command
            .args(["--no-owner", "--no-privileges", "--dbname"])
            .arg(&database.database)
            .arg(file);
        match run(command, "pg_restore").await {
            Err(ArchiveError::Tool { complaint, .. }) => {
                tracing::debug!(%complaint, "not all types and functions restored");
                Ok(())
            }
            done => done,
        }
    }
}

/// The major version of a session's server.
async fn server_major(session: &Session) -> Result<u32, MoverError> {
    let row = session
        .query_one("select current_setting('server_version_num')::int", &[])
        .await
        .map_err(MoverError::sql(session.side(), "asking its version"))?;
    let number: i32 = row.get(0);
    Ok(u32::try_from(number / 10_000).unwrap_or_default())
}

/// `pg_dump (PostgreSQL) 17.5 (Debian 17.5-1)`.
async fn version(tool: &Path) -> Option<u32> {
    let mut command = Command::new(tool);
    let output = command
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = output.output().await.ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

fn major(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// A tool that works on a database.
fn called(tool: &Path, database: &DatabaseUrl) -> Command {
    let mut command = Command::new(tool);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let mut set = |name: &str, value: &dyn AsRef<OsStr>| {
        command.env(name, value);
    };
    let parameters = &database.parameters;
    // An address in brackets is one of IPv6.
    set("PGHOST", &database.host.trim_matches(['[', ']']));
    set("PGPORT", &database.port.to_string());
    set("PGUSER", &database.user);
    set("PGDATABASE", &database.database);
    set("PGPASSWORD", &database.expose_password());
    set("PGAPPNAME", &APPLICATION_NAME);
    set("PGSSLMODE", &parameters.sslmode.as_str());
    match &parameters.roots {
        Some(Roots::System) => set("PGSSLROOTCERT", &"system"),
        Some(Roots::File(file)) => set("PGSSLROOTCERT", file),
        None => {}
    }
    if let Some(certificate) = &parameters.client_certificate {
        set("PGSSLCERT", &certificate.certificate);
        set("PGSSLKEY", &certificate.key);
    }
    if let Some(options) = &parameters.options {
        set("PGOPTIONS", options);
    }
    if let Some(limit) = parameters.connect_timeout {
        set("PGCONNECT_TIMEOUT", &limit.as_secs().to_string());
    }
    command
}

async fn run(mut command: Command, tool: &'static str) -> Result<(), ArchiveError> {
    let start = |source| ArchiveError::Start { tool, source };
    let mut child = command.spawn().map_err(start)?;
    let complaints = match child.stderr.take() {
        Some(stderr) => beginning(stderr).await.map_err(start)?,
        None => Vec::new(),
    };
    let status = child.wait().await.map_err(start)?;
    if status.success() {
        return Ok(());
    }
    let complaint = complaint(&String::from_utf8_lossy(&complaints));
    Err(ArchiveError::Tool {
        tool,
        complaint: if complaint.is_empty() {
            status.to_string()
        } else {
            complaint
        },
    })
}

/// What comes first; the rest is read, so that the tool can go on, and left out.
async fn beginning(mut output: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = output.read(&mut buffer).await?;
        if count == 0 {
            return Ok(kept);
        }
        let free = COMPLAINT_BYTES_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..count.min(free)]);
    }
}

/// The errors alone: what follows each may hold a row.
fn complaint(text: &str) -> String {
    let errors = text.lines().filter_map(|line| line.split_once("error: "));
    let errors: Vec<_> = errors.map(|(_, what)| what.trim()).collect();
    errors.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(
            major("pg_dump (PostgreSQL) 17.5 (Debian 17.5-1)\n"),
            Some(17)
        );
        assert_eq!(major("pg_dump (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn complaints_hold_no_rows() {
        let text = "pg_restore: error: COPY failed for table \"t\"\nDETAIL:  Key (a)=(secret)\n\
                    CONTEXT:  COPY t, line 1: \"secret\"\npg_restore: error: gone\n";
        assert_eq!(complaint(text), "COPY failed for table \"t\"; gone");
    }
}
