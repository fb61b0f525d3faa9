//! Child processes that cannot outlive this one.
//!
//! Between this process and the child stands a small shell, the guard. It
//! reads from a pipe that only this process holds the other end of. When this
//! process goes, however it goes, the pipe ends and the guard stops the child.
//! The guard tells the child's own pid, so that a case can kill exactly the
//! process under test. Guard and child are a process group of their own:
//! Ctrl-C in the terminal reaches this process only, which then stops its
//! children in the right order.

use crate::deadline;
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Arguments: the stop signal, a file for stdout, a file for stderr, the
/// command. Descriptor 3 is the pipe from the parent.
const GUARD: &str = r#"
exec 3<&0 </dev/null
signal=$1 out=$2 err=$3
shift 3
"$@" >>"$out" 2>>"$err" 3<&- &
child=$!
echo "$child"
{
    read -r _ <&3
    kill -s "$signal" "$child"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -s 0 "$child" || exit 0
        sleep 0.1
    done
    kill -s KILL "$child"
} >/dev/null 2>&1 &
watcher=$!
wait "$child"
code=$?
# Whatever the child left behind in this group goes too.
trap '' TERM
kill -s KILL "$watcher" 2>/dev/null
kill -s TERM 0 2>/dev/null
exit "$code"
"#;

/// How long a process may take to end after its stop signal, before SIGKILL.
pub const STOP_LIMIT: Duration = Duration::from_secs(8);

/// Settings of the caller's shell that would change what a child does.
const FOREIGN_SETTINGS: [&str; 16] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGDATABASE",
    "PGOPTIONS",
    "PGSERVICE",
    "PGSSLMODE",
    "DJANGO_SETTINGS_MODULE",
    "DATABASE_URL",
    "BANYAN_FAILPOINT",
    "BANYAN_USER",
    "BANYAN_KEY",
    "BANYAN_CONTROL",
    // In whose name something is ordered.
    "USER",
];

/// A signal by the name that `kill -s` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Please end.
    Term,
    /// Ctrl-C; PostgreSQL's fast shutdown.
    Interrupt,
    /// PostgreSQL's immediate shutdown.
    Quit,
    /// No say in it.
    Kill,
    /// Stands still, until it may go on.
    Pause,
    /// Goes on.
    Resume,
    /// Reads its settings again; haproxy's master does at the second one.
    Hangup,
    /// See [`Signal::Hangup`].
    User2,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
            Self::Pause => "STOP",
            Self::Resume => "CONT",
            Self::Hangup => "HUP",
            Self::User2 => "USR2",
        }
    }
}

/// What to start, and how.
#[derive(Debug, Clone)]
pub struct Spec {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    stop: Signal,
    prefix: Vec<OsString>,
}

impl Spec {
    /// A command; `name` stands in messages and names the log files.
    pub fn new(name: impl Into<String>, program: impl AsRef<OsStr>) -> Self {
        Self {
            name: name.into(),
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            stop: Signal::Term,
            prefix: Vec::new(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, arguments: I) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets the signal that asks it to end; [`Signal::Term`] otherwise.
    #[must_use]
    pub fn stop_with(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    /// Puts a command in front that ends in `exec` of the rest, such as setpriv.
    #[must_use]
    pub fn prefix<S: AsRef<OsStr>>(mut self, prefix: &[S]) -> Self {
        self.prefix = prefix.iter().map(|p| p.as_ref().to_owned()).collect();
        self
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// As a shell says it: 128 and more is a signal.
    pub code: i32,
}

/// A running child. Dropping it stops it.
#[derive(Debug)]
pub struct Process {
    name: String,
    guard: Child,
    leash: Option<ChildStdin>,
    pid: u32,
    stop: Signal,
    out: PathBuf,
    log: PathBuf,
    ended: Option<Exit>,
}

impl Process {
    /// Starts a child. Its output goes to `NAME.out` and `NAME.log` in `logs`,
    /// appended to what is there.
    pub fn start(spec: &Spec, logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs)?;
        let out = Self::out_file(spec, logs);
        let log = logs.join(format!("{}.log", spec.name));
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "guard", spec.stop.name()])
            .arg(&out)
            .arg(&log);
        command
            .args(&spec.prefix)
            .arg(&spec.program)
            .args(&spec.arguments);
        for name in FOREIGN_SETTINGS {
            command.env_remove(name);
        }
        command.envs(spec.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &spec.directory {
            command.current_dir(directory);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut guard = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", spec.name))?;
        let leash = guard.stdin.take();
        let mut first_line = String::new();
        if let Some(stdout) = guard.stdout.take() {
            BufReader::new(stdout).read_line(&mut first_line)?;
        }
        let pid = first_line
            .trim()
            .parse()
            .with_context(|| format!("the pid of {}", spec.name))?;
        let (name, stop) = (spec.name.clone(), spec.stop);
        Ok(Self {
            name,
            guard,
            leash,
            pid,
            stop,
            out,
            log,
            ended: None,
        })
    }

    /// The file that a command's stdout would go to.
    pub fn out_file(spec: &Spec, logs: &Path) -> PathBuf {
        logs.join(format!("{}.out", spec.name))
    }

    /// The child's own pid, not the guard's.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that its stdout goes to.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The file that its stderr goes to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Sends a signal to the child itself. One that is gone is no error.
    pub fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            send(signal, self.pid);
        }
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<Exit> {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.guard.try_wait()
        {
            let code = status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            self.ended = Some(Exit { code });
        }
        self.ended
    }

    /// Waits for its own end.
    pub async fn wait(&mut self, limit: Duration) -> Result<Exit> {
        let what = format!("{} to end", self.name);
        deadline::poll(&what, limit, || Ok(self.exited())).await
    }

    /// Asks it to end, and kills it when it does not.
    pub async fn stop(&mut self) -> Exit {
        self.signal(self.stop);
        if let Ok(exit) = self.wait(STOP_LIMIT).await {
            return exit;
        }
        self.kill().await
    }

    /// SIGKILL to the child itself; returns when it is gone.
    pub async fn kill(&mut self) -> Exit {
        self.signal(Signal::Kill);
        // Cannot be refused, so the limit only bounds a kernel that hangs.
        self.wait(STOP_LIMIT)
            .await
            .unwrap_or(Exit { code: 128 + 9 })
    }

    /// The last lines of its log, for a message.
    pub fn log_tail(&self) -> String {
        format!("the end of {}'s log:\n{}", self.name, tail(&self.log))
    }

    /// An error with the log's end, if the process has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.exited() {
            None => Ok(()),
            Some(exit) => bail!(
                "{} ended with {}; {}",
                self.name,
                exit.code,
                self.log_tail()
            ),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let failing = std::thread::panicking();
        if self.exited().is_none() {
            // The guard does the rest: the stop signal, two seconds, SIGKILL.
            drop(self.leash.take());
            let started = Instant::now();
            while self.exited().is_none() && started.elapsed() < STOP_LIMIT {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        if failing {
            eprintln!("{}", self.log_tail());
        }
    }
}

/// What a command that ran to its end left.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its name in messages.
    pub name: String,
    /// Its exit code.
    pub code: i32,
    /// Its whole standard output.
    pub stdout: String,
    /// Its whole standard error.
    pub stderr: String,
}

impl Finished {
    /// An error with its output, unless it ended with 0.
    pub fn successful(self) -> Result<Self> {
        if self.code == 0 {
            return Ok(self);
        }
        bail!(
            "{} ended with {}:\n{}{}",
            self.name,
            self.code,
            self.stdout,
            self.stderr
        )
    }

    /// All that it printed, on one line, as it was before it was wrapped.
    pub fn flat(&self) -> String {
        let words = self.stdout.split_whitespace();
        let words: Vec<_> = words.chain(self.stderr.split_whitespace()).collect();
        words.join(" ")
    }
}

/// Runs a command to its end, guarded like every other child.
pub async fn run(spec: &Spec, limit: Duration) -> Result<Finished> {
    let files = tempfile::tempdir()?;
    let mut process = Process::start(spec, files.path())?;
    let exit = match process.wait(limit).await {
        Ok(exit) => exit,
        Err(error) => {
            process.kill().await;
            return Err(error.context(process.log_tail()));
        }
    };
    Ok(Finished {
        name: spec.name.clone(),
        code: exit.code,
        stdout: read_lossy(process.out()),
        stderr: read_lossy(process.log()),
    })
}

/// Sends a signal to a process of ours.
pub fn send(signal: Signal, pid: u32) {
    send_all(signal, &[pid]);
}

/// Sends a signal to processes of ours, to one right after the other.
pub fn send_all(signal: Signal, pids: &[u32]) {
    // One that has just ended is as good as one that got the signal.
    let _ = Command::new("kill")
        .args(["-s", signal.name()])
        .args(pids.iter().map(u32::to_string))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

fn read_lossy(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// The last lines of a file.
pub fn tail(path: &Path) -> String {
    const LINES: usize = 40;
    let text = read_lossy(path);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LINES);
    lines[first..]
        .iter()
        .fold(String::new(), |text, line| text + "  " + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn is_alive(pid: u32) -> bool {
        // A zombie has an empty command line.
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
    }

    async fn is_gone(pid: u32) {
        deadline::until("the process to go", LIMIT, async || {
            Ok((!is_alive(pid)).then_some(()))
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn output_and_exit_code_come_back() {
        let spec = Spec::new("x", "sh").args(["-c", "echo out; echo err >&2; exit 7"]);
        let finished = run(&spec, LIMIT).await.unwrap();
        assert_eq!((finished.code, finished.stdout.as_str()), (7, "out\n"));
        assert!(
            finished
                .successful()
                .unwrap_err()
                .to_string()
                .contains("err")
        );
    }

    #[tokio::test]
    async fn the_pid_is_the_childs_own_and_kill_reaches_it() {
        let logs = tempfile::tempdir().unwrap();
        let mut process =
            Process::start(&Spec::new("sleeper", "sleep").arg("60"), logs.path()).unwrap();
        let path = format!("/proc/{}/cmdline", process.pid());
        deadline::until("the child to be sleep", LIMIT, async || {
            Ok(fs::read_to_string(&path)?
                .starts_with("sleep")
                .then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(process.kill().await.code, 137);
        assert!(!is_alive(process.pid()));
    }

    #[tokio::test]
    async fn one_that_ignores_the_stop_signal_is_killed_when_dropped() {
        let logs = tempfile::tempdir().unwrap();
        let spec = Spec::new("deaf", "sh").args(["-c", "trap '' TERM; while :; do sleep 1; done"]);
        let process = Process::start(&spec, logs.path()).unwrap();
        let pid = process.pid();
        drop(process);
        assert!(!is_alive(pid));
    }

    /// Set when this binary plays the parent in the next test.
    const PARENT_VARIABLE: &str = "TESTBED_PROCESS_PARENT";

    #[test]
    fn parent() {
        let Some(logs) = std::env::var_os(PARENT_VARIABLE) else {
            return;
        };
        let spec = Spec::new("orphan", "sleep").arg("77");
        let child = Process::start(&spec, Path::new(&logs)).unwrap();
        fs::write(Path::new(&logs).join("pid"), child.pid().to_string()).unwrap();
        std::thread::sleep(LIMIT * 6);
    }

    #[tokio::test]
    async fn a_child_dies_with_a_parent_that_is_killed() {
        let logs = tempfile::tempdir().unwrap();
        let spec = Spec::new("parent", std::env::current_exe().unwrap())
            .args(["--exact", "process::tests::parent"])
            .env(PARENT_VARIABLE, logs.path());
        let mut parent = Process::start(&spec, logs.path()).unwrap();
        let child: u32 = deadline::until("the child's pid", LIMIT, async || {
            let text = fs::read_to_string(logs.path().join("pid")).ok();
            Ok(text.and_then(|text| text.parse().ok()))
        })
        .await
        .unwrap();
        assert!(is_alive(child));
        parent.kill().await;
        is_gone(child).await;
    }
}
