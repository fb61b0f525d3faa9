//! The process: arguments, settings, log, signals, exit codes.

use std::fmt;
use std::io::IsTerminal;
use std::process::ExitCode;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::signal::unix::{SignalKind, signal};
use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::server;
use crate::service::{Fault, Kit, Service};
use crate::settings::{self, Group, Identity, Log, LogFormat, SettingsError};

/// Wrong settings or arguments; trying again will not help.
const EXIT_USAGE: u8 = 2;

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;
type Work = BoxFuture<'static, Result<(), Fault>>;

/// A service as a program.
#[derive(Debug)]
pub struct Program {
    identity: Identity,
    about: &'static str,
    commands: Vec<Command>,
}

type Preparing = dyn FnOnce(&Identity, Lookup<'_>) -> Result<(Log, Work), SettingsError>;

/// Something else than serving, such as to migrate the database and end.
struct Command {
    name: &'static str,
    about: &'static str,
    prepare: Box<Preparing>,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Program {
    /// A program that serves; `about` says what, for `--help`.
    pub fn new(identity: Identity, about: &'static str) -> Self {
        Self {
            identity,
            about,
            commands: Vec::new(),
        }
    }

    /// Adds a command that reads only what it needs itself.
    #[must_use]
    pub fn command<S, F, W, E>(mut self, name: &'static str, about: &'static str, work: W) -> Self
    where
        S: Group + Send + 'static,
        W: FnOnce(S) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Fault>,
    {
        let prepare = move |identity: &Identity, lookup: Lookup<'_>| {
            let (log, own) = settings::read::<(Log, S)>(identity, lookup)?;
            let work = async move { work(own).await.map_err(Into::into) };
            Ok((log, work.boxed()))
        };
        self.commands.push(Command {
            name,
            about,
            prepare: Box::new(prepare),
        });
        self
    }

    /// Does what the arguments say: without any, reads the settings, has the
    /// service put together, and serves until SIGTERM or SIGINT.
    pub fn run<S, F, A, E>(self, assemble: A) -> ExitCode
    where
        S: Group,
        A: FnOnce(Kit, S) -> F,
        F: Future<Output = Result<Service, E>>,
        E: Into<Fault>,
    {
        // Several providers could be linked in; this is the one we mean. It
        // fails only if there is one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            [] => self.serve(assemble),
            ["help" | "--help" | "-h"] => {
                print!("{}", self.usage());
                ExitCode::SUCCESS
            }
            ["--version" | "-V"] => {
                println!("{} {}", self.identity.name, self.identity.version);
                ExitCode::SUCCESS
            }
            ["--settings"] => {
                print!(
                    "{}",
                    settings::reference::<(settings::Server, S)>(&self.identity)
                );
                ExitCode::SUCCESS
            }
            [name] if self.commands.iter().any(|command| command.name == name) => {
                self.carry_out(name)
            }
            _ => {
                eprint!("{}", self.usage());
                ExitCode::from(EXIT_USAGE)
            }
        }
    }

    fn usage(&self) -> String {
        let name = self.identity.name;
        let commands = self.commands.iter().map(|one| (one.name, one.about));
        let own = (
            "--settings",
            "list the settings, which come from the environment",
        );
        let calls = commands.chain([own]).map(|(argument, about)| {
            let call = format!("{name} {argument}");
            format!("       {call:24} {about}\n")
        });
        let calls: String = calls.collect();
        format!("{}\n\nUsage: {name:24} serve\n{calls}", self.about)
    }

    fn serve<S, F, A, E>(self, assemble: A) -> ExitCode
    where
        S: Group,
        A: FnOnce(Kit, S) -> F,
        F: Future<Output = Result<Service, E>>,
        E: Into<Fault>,
    {
        match settings::read::<(settings::Server, S)>(&self.identity, &variable) {
            Ok((common, own)) => {
                log_to_stderr(&common.log);
                let kit = Kit::new(self.identity, common);
                block_on(async move {
                    let service = assemble(kit.clone(), own).await.map_err(Into::into)?;
                    until_told(kit, service).await
                })
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn carry_out(mut self, name: &str) -> ExitCode {
        let chosen = self
            .commands
            .iter()
            .position(|command| command.name == name);
        let Some(at) = chosen else {
            return ExitCode::from(EXIT_USAGE);
        };
        let command = self.commands.swap_remove(at);
        match (command.prepare)(&self.identity, &variable) {
            Ok((log, work)) => {
                log_to_stderr(&log);
                block_on(work)
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn refuse(&self, error: &SettingsError) -> ExitCode {
        let name = self.identity.name;
        eprintln!("{name}: the settings are not complete; `{name} --settings` lists them\n{error}");
        ExitCode::from(EXIT_USAGE)
    }
}

async fn until_told(kit: Kit, service: Service) -> Result<(), Fault> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut running = server::start(kit, service).await?;
    let fault = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        fault = running.failed() => Some(fault),
    };
    running.stop().await;
    fault.map_or(Ok(()), Err)
}

fn block_on(work: impl Future<Output = Result<(), Fault>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            error!("the service stopped: {}", whole(&*fault));
            ExitCode::FAILURE
        }
    }
}

/// An error with all that caused it, in one line.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        let said = deeper.to_string();
        // Some repeat what caused them.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        source = deeper.source();
    }
    text
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn log_to_stderr(settings: &Log) {
    // Failures are logged where they are answered; of sqlx only what took long.
    let chatter = settings.level.min(LevelFilter::ERROR);
    let levels = Targets::new()
        .with_default(settings.level)
        .with_target("sqlx", chatter)
        .with_target("sqlx_core", chatter)
        .with_target("sqlx::query", settings.level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.format {
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(levels)
        .init();
}
