//! Runs a command and goes by its exit code.
//!
//! It gets no shell, no input and no environment but `PATH` and what it is told; so no
//! secret of this process. It runs in a process group of its own, which is killed when it
//! has ended, when its time is up, and when nobody waits any more: what it started goes
//! with it.

use conductor::ports::Measurement;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{ffi::OsStr, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

/// What is kept of its output: the end.
const OUTPUT_BYTES_MAX: usize = 4096;

/// What is shown of that.
const LINES_MAX: usize = 5;

const PATH: &str = "PATH";

/// Kills a process group when it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // It may have gone by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command: 0 is yes, 1 is no, all else no answer.
pub(super) async fn measure(
    words: &[String],
    variables: &[(&str, &str)],
    limit: Duration,
) -> Result<Measurement, String> {
    let [program, arguments @ ..] = words else {
        return Err("there is nothing to run".to_owned());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os(PATH).map(|path| (PATH, path)))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn();
    let mut child = child.map_err(|error| format!("it cannot be run: {error}"))?;
    let mut group = Group::of(&child);
    let mut end = Vec::new();
    let status = match child.stderr.take() {
        None => timeout(limit, child.wait()).await,
        Some(mut stderr) => {
            let ended = async {
                tokio::select! {
                    status = child.wait() => status,
                    // Whoever closes it may still run.
                    () = read_end(&mut stderr, &mut end) => child.wait().await,
                }
            };
            let ended = timeout(limit, ended).await;
            // Nobody who holds the other end is left then.
            group.kill();
            let _ = timeout(Duration::from_secs(1), read_end(&mut stderr, &mut end)).await;
            ended
        }
    };
    let said = last_lines(&end);
    let Ok(status) = status else {
        return Err(with(&format!("killed after {limit:?}"), &said));
    };
    let status = status.map_err(|error| format!("it cannot be waited for: {error}"))?;
    match status.code() {
        Some(0) => Ok(Measurement::Answer(true, with("exit 0", &said))),
        Some(1) => Ok(Measurement::Answer(false, with("exit 1", &said))),
        Some(code) => Err(with(
            &format!("exit {code}, and only 0 and 1 are answers"),
            &said,
        )),
        None => Err(with(&format!("it was ended: {status}"), &said)),
    }
}

/// Reads to the end, and keeps the last bytes. What was read stays where this is dropped.
async fn read_end(from: &mut (impl AsyncRead + Unpin), end: &mut Vec<u8>) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        end.extend_from_slice(&buffer[..count]);
        let over = end.len().saturating_sub(OUTPUT_BYTES_MAX);
        end.drain(..over);
    }
}

fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let mut lines: Vec<&str> = text.lines().rev().take(LINES_MAX).collect();
    lines.reverse();
    lines.join("\n").trim().to_owned()
}

fn with(what: &str, said: &str) -> String {
    if said.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {said}")
    }
}

/// Whether a program is there to be run, as far as that can be said without running it.
pub(crate) fn is_there(program: &str) -> bool {
    is_in(program, std::env::var_os(PATH).as_deref())
}

fn is_in(program: &str, path: Option<&OsStr>) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let is_program = |file: &Path| {
        let found = file.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return is_program(Path::new(program));
    }
    let mut directories = std::env::split_paths(path.unwrap_or_default());
    directories.any(|directory| is_program(&directory.join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn run(words: &[&str], limit: Duration) -> Result<Measurement, String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        measure(&words, &[("BANYAN_STEP", "reads 5%")], limit).await
    }

    #[tokio::test]
    async fn zero_is_yes_one_is_no_and_all_else_is_no_answer() {
        assert_eq!(
            run(&["true"], LIMIT).await,
            Ok(Measurement::Answer(true, "exit 0".to_owned()))
        );
        let no = run(&["sh", "-c", "echo two contracts broke >&2; exit 1"], LIMIT).await;
        let text = "exit 1: two contracts broke".to_owned();
        assert_eq!(no, Ok(Measurement::Answer(false, text)));
        let other = run(&["sh", "-c", "echo no python >&2; exit 127"], LIMIT).await;
        let other = other.unwrap_err();
        assert!(
            other.contains("exit 127") && other.contains("no python"),
            "{other}"
        );
        let signal = run(&["sh", "-c", "kill -9 $$"], LIMIT).await.unwrap_err();
        assert!(signal.contains("signal"), "{signal}");
        let none = run(&["/nowhere/at-all"], LIMIT).await.unwrap_err();
        assert!(none.contains("cannot be run"), "{none}");
        assert!(run(&[], LIMIT).await.is_err());
    }

    #[tokio::test]
    async fn it_gets_what_it_is_told_and_no_more() {
        let env = run(&["sh", "-c", "env | grep -v '^PATH=' >&2; exit 1"], LIMIT).await;
        let Ok(Measurement::Answer(false, text)) = env else {
            panic!("{env:?}");
        };
        assert!(text.contains("BANYAN_STEP=reads 5%"), "{text}");
        // Besides these only what the shell itself sets.
        let own = ["BANYAN_STEP", "PWD", "OLDPWD", "SHLVL", "_"];
        let names = text.trim_start_matches("exit 1: ").lines();
        let mut names = names
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name);
        assert!(names.all(|name| own.contains(&name)), "{text}");
    }

    #[tokio::test]
    async fn much_output_neither_blocks_nor_stays() {
        let much = "i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1";
        let Ok(Measurement::Answer(false, text)) = run(&["sh", "-c", much], LIMIT).await else {
            panic!("no answer");
        };
        assert!(
            text.ends_with("line 19999") && text.lines().count() == LINES_MAX,
            "{text}"
        );
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("child");
        let script = format!("sleep 300 & echo $! > {}; wait", file.display());
        let killed = run(&["sh", "-c", &script], Duration::from_millis(500)).await;
        assert!(killed.unwrap_err().contains("killed after"));
        let child = std::fs::read_to_string(file).unwrap();
        let status = std::path::PathBuf::from(format!("/proc/{}/status", child.trim()));
        let gone = async {
            // A zombie that nobody has waited for yet is as dead.
            while std::fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ")) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, gone).await.unwrap();
    }

    #[tokio::test]
    async fn a_child_left_behind_is_not_waited_for() {
        let left = run(&["sh", "-c", "sleep 300 & exit 0"], LIMIT).await;
        assert!(matches!(left, Ok(Measurement::Answer(true, _))), "{left:?}");
    }

    #[test]
    fn a_program_is_there_where_it_can_be_run() {
        let path = std::env::var_os(PATH);
        assert!(is_in("sh", path.as_deref()) && is_in("/bin/sh", None));
        assert!(!is_in("sh", None) && !is_in("/etc/passwd", None));
        assert!(!is_in("no-such-program", path.as_deref()));
    }
}
