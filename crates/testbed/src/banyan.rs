//! The binary under test: `banyan serve` and the verbs of its command line,
//! each a process of its own.

pub mod answers;
mod grants;
mod journal;

pub use answers::EXTRACTION;
pub use journal::JournalEntry;

use crate::binaries;
use crate::deadline;
use crate::ports;
use crate::process::{self, Exit, Finished, Process, Signal, Spec};
use answers::{Check, Handover, Status, Verification};
use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names the failpoint at which `banyan serve` dies (`crates/failpoint`).
const FAILPOINT_VARIABLE: &str = "BANYAN_FAILPOINT";

const READY_LIMIT: Duration = Duration::from_secs(30);

/// No verb but `start` takes long; a verb that hangs is a failure.
const VERB_LIMIT: Duration = Duration::from_mins(1);

/// `start` copies everything before it returns.
const START_LIMIT: Duration = Duration::from_mins(5);

/// A plan file on disk and what its `${...}` stand for.
#[derive(Debug, Clone)]
pub struct Plan {
    text: String,
    environment: Vec<(String, String)>,
}

/// The addresses that the example's plan leaves open.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The monolith's HTTP address.
    pub monolith: String,
    /// Its database, as the mover's role.
    pub monolith_database: String,
    /// The service's HTTP address.
    pub contracts: String,
    /// Its database, as the mover's role.
    pub contracts_database: String,
}

impl Plan {
    /// A plan file as it is, with nothing set.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self {
            text,
            environment: Vec::new(),
        })
    }

    /// The plan of the example, with free ports for the gateway and the API, and
    /// without the users' move: its service is not part of every scene.
    pub fn example(addresses: &Addresses) -> Result<Self> {
        let whole = Self::whole_example(addresses)?;
        let mut plan = whole.replace_between("  auth:\n", "gateway:\n", "\n")?;
        let users = plan.text.find("\n  users:\n");
        plan.text
            .truncate(users.context("the plan moves no users")? + 1);
        Ok(plan)
    }

    /// The same with the users' move: `IDENTITY_URL` and
    /// `IDENTITY_DATABASE_URL` are still to be set.
    pub fn whole_example(addresses: &Addresses) -> Result<Self> {
        let plan = Self::read(&binaries::repository().join("examples/land-contracts/banyan.yaml"))?;
        let listen = || ports::free().map(|port| format!("127.0.0.1:{port}"));
        let environment = [
            ("MONOLITH_URL", addresses.monolith.clone()),
            ("MONOLITH_DATABASE_URL", addresses.monolith_database.clone()),
            ("CONTRACTS_URL", addresses.contracts.clone()),
            (
                "CONTRACTS_DATABASE_URL",
                addresses.contracts_database.clone(),
            ),
            ("GATEWAY_LISTEN", listen()?),
            ("CONTROL_LISTEN", listen()?),
        ];
        let environment = environment
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        Ok(Self {
            environment,
            ..plan
        })
    }

    /// Replaces a piece of its text, which must be there.
    pub fn replace(mut self, old: &str, new: &str) -> Result<Self> {
        if !self.text.contains(old) {
            bail!("the plan has no `{old}` to replace");
        }
        self.text = self.text.replace(old, new);
        Ok(self)
    }

    /// Replaces the piece of its text from where one begins to where another
    /// does, which must both be there.
    pub fn replace_between(mut self, from: &str, to: &str, new: &str) -> Result<Self> {
        let begin = self.text.find(from);
        let piece = begin.and_then(|begin| {
            let length = self.text[begin..].find(to)?;
            Some(begin..begin + length)
        });
        let piece = piece.with_context(|| format!("the plan has no `{from}` before `{to}`"))?;
        self.text.replace_range(piece, new);
        Ok(self)
    }

    /// Sets what a `${NAME}` of the plan stands for.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Self {
        let mut this = self.unset(name);
        this.environment.push((name.to_owned(), value.to_owned()));
        this
    }

    /// Leaves a `${NAME}` of the plan without a meaning.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// What a `${NAME}` of the plan stands for.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The variables that a command line needs, as a shell would set them.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }
}

/// How to call the command line for one plan and state directory.
#[derive(Debug, Clone)]
pub struct CommandLine {
    binary: PathBuf,
    plan: PathBuf,
    state: PathBuf,
    environment: Vec<(String, String)>,
    extraction: String,
}

impl CommandLine {
    /// Writes the plan into `home` and keeps the state there.
    pub fn new(plan: &Plan, home: &Path) -> Result<Self> {
        fs::create_dir_all(home)?;
        let file = home.join("banyan.yaml");
        fs::write(&file, &plan.text)?;
        let (binary, state) = (binaries::find("banyan")?, home.join("state"));
        fs::create_dir_all(&state)?;
        Ok(Self {
            binary,
            plan: file,
            state,
            environment: plan.environment.clone(),
            extraction: EXTRACTION.to_owned(),
        })
    }

    /// The same for another extraction of the plan.
    #[must_use]
    pub fn extraction(mut self, name: &str) -> Self {
        name.clone_into(&mut self.extraction);
        self
    }

    /// The same with another value for a variable of the environment.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The plan file.
    pub fn plan(&self) -> &Path {
        &self.plan
    }

    /// The directory that `serve` keeps its state in.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The path of the binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    fn spec(&self, verb: &str) -> Spec {
        let mut spec = Spec::new(format!("banyan {verb}"), &self.binary).arg(verb);
        for (name, value) in &self.environment {
            spec = spec.env(name, value);
        }
        spec.arg("--plan")
            .arg(&self.plan)
            .arg("--state")
            .arg(&self.state)
    }

    /// Runs a verb to its end, whatever it ends with.
    pub async fn run(&self, verb: &str, arguments: &[&str]) -> Result<Finished> {
        let limit = if verb == "start" {
            START_LIMIT
        } else {
            VERB_LIMIT
        };
        process::run(&self.spec(verb).args(arguments), limit).await
    }

    /// Runs a verb with `--json` and reads its document; 0 and 1 are answers,
    /// anything else is an error.
    async fn ask<T: DeserializeOwned>(&self, verb: &str, arguments: &[&str]) -> Result<(i32, T)> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let finished = self.run(verb, &arguments).await?;
        if !(0..=1).contains(&finished.code) {
            return Err(finished
                .successful()
                .err()
                .context("an exit code that is no answer")?);
        }
        let document = serde_json::from_str(&finished.stdout).with_context(|| {
            let Finished {
                code,
                stdout,
                stderr,
                ..
            } = &finished;
            format!(
                "banyan {verb} ended with {code} and printed no such document: {stdout}{stderr}"
            )
        })?;
        Ok((finished.code, document))
    }

    async fn succeed<T: DeserializeOwned>(&self, verb: &str, arguments: &[&str]) -> Result<T> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let finished = self.run(verb, &arguments).await?.successful()?;
        serde_json::from_str(&finished.stdout).with_context(|| {
            format!(
                "banyan {verb} printed no such document: {}",
                finished.stdout
            )
        })
    }

    /// Where the console lets a browser in, once.
    pub async fn console(&self, by: &str) -> Result<String> {
        let finished = self.run("console", &["--by", by]).await?.successful()?;
        Ok(finished.stdout.trim().to_owned())
    }

    /// Looks for what cannot be moved.
    pub async fn check(&self) -> Result<Check> {
        self.succeed("check", &[]).await
    }

    /// Copies the tables and follows; returns when following.
    pub async fn start(&self) -> Result<Status> {
        self.succeed("start", &[&self.extraction]).await
    }

    /// Where everything stands.
    pub async fn status(&self) -> Result<Status> {
        self.succeed("status", &[]).await
    }

    /// Compares both sides; differences are an answer, not an error.
    pub async fn verify(&self) -> Result<Verification> {
        let (_, found): (_, serde_json::Value) = self.ask("verify", &[&self.extraction]).await?;
        if let Some(error) = found.get("error") {
            bail!("nothing was compared: {error}");
        }
        Ok(serde_json::from_value(found)?)
    }

    /// Sends a share of the clients' reads to the service.
    pub async fn shift(&self, reads: &str) -> Result<()> {
        let arguments = [&self.extraction, "--reads", reads, "--json"];
        self.run("shift", &arguments).await?.successful().map(drop)
    }

    /// The same with a share of their writes.
    pub async fn shift_both(&self, reads: &str, writes: &str) -> Result<()> {
        let arguments = [
            &self.extraction,
            "--reads",
            reads,
            "--writes",
            writes,
            "--json",
        ];
        self.run("shift", &arguments).await?.successful().map(drop)
    }

    /// Hands ownership to the service; an abort is an answer, not an error.
    pub async fn switch(&self) -> Result<Handover> {
        Ok(self.ask("switch", &[&self.extraction, "--yes"]).await?.1)
    }

    /// Hands ownership back to the monolith; an abort is an answer.
    pub async fn rollback(&self) -> Result<Handover> {
        Ok(self.ask("rollback", &[&self.extraction, "--yes"]).await?.1)
    }

    /// Ends an extraction that has not switched.
    pub async fn cancel(&self) -> Result<()> {
        self.run("cancel", &[&self.extraction, "--yes"])
            .await?
            .successful()
            .map(drop)
    }

    /// Starts `banyan serve` and waits until it is ready.
    pub async fn serve(&self, logs: &Path) -> Result<Serve> {
        self.serve_until(None, logs).await
    }

    /// The same, and it dies at the named failpoint of a hand-over.
    pub async fn serve_until(&self, failpoint: Option<&str>, logs: &Path) -> Result<Serve> {
        let mut spec = self.spec("serve").stop_with(Signal::Term);
        if let Some(point) = failpoint {
            spec = spec.env(FAILPOINT_VARIABLE, point);
        }
        self.ready(&spec, logs).await
    }

    /// Starts another one that takes over from the one that runs, and waits
    /// until it is ready; the old one ends by itself.
    pub async fn take_over(&self, logs: &Path) -> Result<Serve> {
        let spec = self.spec("serve").arg("--take-over");
        self.ready(&spec.stop_with(Signal::Term), logs).await
    }

    async fn ready(&self, spec: &Spec, logs: &Path) -> Result<Serve> {
        // Every start appends to the same file: only what this one prints counts.
        let out = Process::out_file(spec, logs);
        let already = fs::read_to_string(&out).map_or(0, |printed| printed.len());
        let mut process = Process::start(spec, logs)?;
        let ready = deadline::poll("banyan serve to be ready", READY_LIMIT, || {
            let printed = fs::read_to_string(&out).unwrap_or_default();
            if let Some(ready) = printed.get(already..).and_then(Ready::parse) {
                return Ok(Some(ready));
            }
            process.ensure_running()?;
            Ok(None)
        });
        let ready = ready.await;
        let Ready { gateway, control } = ready.with_context(|| process.log_tail())?;
        Ok(Serve {
            process,
            gateway,
            control,
        })
    }
}

/// `ready gateway=http://127.0.0.1:PORT control=http://127.0.0.1:PORT`
#[derive(Debug, PartialEq, Eq)]
struct Ready {
    gateway: String,
    control: String,
}

impl Ready {
    fn parse(printed: &str) -> Option<Self> {
        let line = printed
            .split_inclusive('\n')
            .find(|line| line.starts_with("ready "))?;
        let line = line.strip_suffix('\n')?;
        let value = |name: &str| {
            let found = line
                .split_whitespace()
                .find_map(|word| word.strip_prefix(name));
            found.map(|url| url.trim_end_matches('/').to_owned())
        };
        Some(Self {
            gateway: value("gateway=")?,
            control: value("control=")?,
        })
    }
}

/// A running `banyan serve`. Dropping it stops it.
#[derive(Debug)]
pub struct Serve {
    process: Process,
    gateway: String,
    control: String,
}

impl Serve {
    /// The gateway's address.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// The API's address.
    pub fn control(&self) -> &str {
        &self.control
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it as an operator does.
    pub async fn stop(mut self) -> Exit {
        self.process.stop().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_counts_only_when_it_is_whole() {
        let whole = "ready gateway=http://127.0.0.1:1 control=http://127.0.0.1:2\n";
        let ready = Ready::parse(whole).unwrap();
        assert_eq!(ready.gateway, "http://127.0.0.1:1");
        assert_eq!(ready.control, "http://127.0.0.1:2");
        assert_eq!(Ready::parse(whole.trim_end()), None);
    }
}
