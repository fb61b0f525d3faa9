//! The machine: cores, descriptors, processor time.

use anyhow::{Context, Result, bail};
use std::{fs, path::PathBuf, process::Command, thread};

/// The proxies' core, and that of load and backend.
pub(super) const PROXY_CORE: &str = "0";
pub(super) const LOAD_CORE: &str = "1";

/// Descriptors: idle connections here, and twice as many in a proxy.
const FILES: &str = "16384";

/// The kernel's unit in /proc, 100 per second on every Linux of today.
const TICK_MICROS: f64 = 10_000.0;

/// Gives this process and all that it starts to the load's core and lets them
/// open enough files.
pub(super) fn prepare() -> Result<()> {
    if thread::available_parallelism()?.get() < 2 {
        bail!("there is one core only, and the proxy needs one of its own");
    }
    let this = std::process::id().to_string();
    run(
        "prlimit",
        &["--pid", &this, &format!("--nofile={FILES}:")],
        "raise the limit of open files, `ulimit -Hn`",
    )?;
    let all_tasks = ["--all-tasks", "--cpu-list", "--pid", LOAD_CORE, &this];
    run("taskset", &all_tasks, "allow this process both cores")
}

fn run(program: &str, arguments: &[&str], remedy: &str) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed; {remedy}: {}", said.trim());
    }
    Ok(())
}

/// Where a program is. Debian keeps servers where users do not look.
pub(super) fn program(name: &str) -> PathBuf {
    let server = PathBuf::from("/usr/sbin").join(name);
    if server.is_file() {
        server
    } else {
        name.into()
    }
}

/// Processor time that a process has used, all threads, in microseconds.
pub(super) fn processor_micros(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // utime and stime: fields 14 and 15 of proc(5), after a name in brackets
    // that may hold anything.
    let fields: Vec<&str> = match text.rsplit_once(')') {
        Some((_, rest)) => rest.split_whitespace().collect(),
        None => Vec::new(),
    };
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let (Some(user), Some(system)) = (ticks(11), ticks(12)) else {
        bail!("{path} is not as proc(5) says: {text}");
    };
    Ok((user + system) * TICK_MICROS)
}

/// Memory of a process that is there, in KiB.
pub(super) fn resident_kib(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("{path} has no VmRSS"))
}
