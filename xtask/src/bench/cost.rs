//! Processor time per request under as much load as a proxy bears.

use super::{
    conversation::PATH,
    machine::{LOAD_CORE, processor_micros},
    peers::Peer,
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Users that the load comes from. Enough that a split of them is one of
/// requests, few enough that their requests are made beforehand.
const USERS: u32 = 4_096;

/// Before it counts: connections to the backend are made, and code is warm.
const WARM_UP_SECONDS: u32 = 1;

/// What a request cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    /// Processor time of the proxy, user and system.
    pub(super) micros: f64,
}

/// Writes the script that lets wrk speak for many users, with an
/// `Authorization` where there is one.
pub(super) fn write_script(directory: &Path, authorization: Option<&str>) -> Result<PathBuf> {
    let name = match authorization {
        None => "users.lua",
        Some(_) => "authorized-users.lua",
    };
    let path = directory.join(name);
    let authorization = authorization
        .map(|text| format!("['authorization'] = '{text}'"))
        .unwrap_or_default();
    let text = format!(
        "local requests, at = {{}}, 0
function init()
  for user = 1, {USERS} do
    requests[user] = wrk.format('GET', nil, {{
      ['x-user-id'] = 'user-' .. user, {authorization}
    }})
  end
end
function request()
  at = at % {USERS} + 1
  return requests[at]
end
"
    );
    fs::write(&path, text)?;
    Ok(path)
}

/// Loads a proxy from so many connections, each of which asks again at once.
pub(super) fn measure(peer: &Peer, script: &Path, connections: u32, seconds: u32) -> Result<Cost> {
    load(peer, script, connections, WARM_UP_SECONDS)?;
    let before = processor_micros(peer.pid())?;
    let requests = load(peer, script, connections, seconds)?;
    let after = processor_micros(peer.pid())?;
    if requests < 1.0 {
        bail!("{} answered nothing in {seconds} s", peer.name());
    }
    Ok(Cost {
        micros: (after - before) / requests,
    })
}

/// Runs wrk; returns how many requests were answered.
fn load(peer: &Peer, script: &Path, connections: u32, seconds: u32) -> Result<f64> {
    let output = Command::new("taskset")
        .args(["--cpu-list", LOAD_CORE, "wrk", "--threads", "1"])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--timeout", "10s"])
        .arg("--script")
        .arg(script)
        .arg(format!("http://{}{PATH}", peer.address()))
        .output()
        .context("running wrk")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!(
            "wrk failed: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    answered(&said).with_context(|| format!("wrk on {}:\n{said}", peer.name()))
}

/// The requests that wrk saw answered. Failed ones spoil the figure.
fn answered(said: &str) -> Result<f64> {
    if said.contains("Socket errors") || said.contains("Non-2xx") {
        bail!("some requests failed");
    }
    said.lines()
        .find_map(|line| line.split_once(" requests in "))
        .and_then(|(count, _)| count.trim().parse().ok())
        .context("no count of requests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_requests_spoil_a_figure() {
        let said = "Running 5s test\n  120034 requests in 5.00s, 130.11MB read\n";
        assert!((answered(said).unwrap() - 120_034.0).abs() < f64::EPSILON);
        assert!(answered(&format!("{said}  Non-2xx or 3xx responses: 7\n")).is_err());
        assert!(answered("").is_err());
    }
}
