//! HTTP/2 from clients, HTTP/1 to the backend.

use super::{
    conversation::PATH,
    machine::{LOAD_CORE, processor_micros},
    peers::Peer,
};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// As a few browsers have, with what each asks for at once.
const CONNECTIONS: u32 = 16;
const STREAMS: u32 = 8;

const WARM_UP_SECONDS: u32 = 1;

/// Microseconds of processor time per request.
pub(super) fn measure(peer: &Peer, seconds: u32) -> Result<f64> {
    load(peer, WARM_UP_SECONDS)?;
    let before = processor_micros(peer.pid())?;
    let requests = load(peer, seconds)?;
    let after = processor_micros(peer.pid())?;
    if requests < 1.0 {
        bail!("{} answered nothing in {seconds} s", peer.name());
    }
    Ok((after - before) / requests)
}

/// Runs h2load; returns how many requests were answered.
fn load(peer: &Peer, seconds: u32) -> Result<f64> {
    let output = Command::new("taskset")
        .args(["--cpu-list", LOAD_CORE, "h2load", "--threads", "1"])
        .args(["--clients", &CONNECTIONS.to_string()])
        .args(["--max-concurrent-streams", &STREAMS.to_string()])
        .args(["--duration", &seconds.to_string()])
        .args(["--header", "x-user-id: user-0"])
        .arg(format!("http://{}{PATH}", peer.http2_address()))
        .output()
        .context("running h2load")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("h2load failed: {said}{error}");
    }
    answered(&said).with_context(|| format!("h2load on {}:\n{said}", peer.name()))
}

/// The requests that were answered. Failed ones spoil the figure.
fn answered(said: &str) -> Result<f64> {
    let line = |begin: &str| said.lines().find_map(|line| line.strip_prefix(begin));
    let count = |line: &str, what: &str| {
        let mut parts = line.split(',').map(str::trim);
        let found = parts.find_map(|part| part.strip_suffix(what));
        found.and_then(|count| count.trim().parse::<f64>().ok())
    };
    let requests = line("requests: ").context("no count of requests")?;
    let statuses = line("status codes: ").context("no count of statuses")?;
    let failed = count(requests, "failed").context("no count of failures")?;
    let answered = count(statuses, "2xx").context("no count of answers")?;
    if failed > 0.0 {
        bail!("{failed} requests failed");
    }
    Ok(answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_requests_spoil_a_figure() {
        let said = |failed: u32| {
            format!(
                "requests: 12 total, 12 started, 10 done, 10 succeeded, {failed} failed, 0 errored, 0 timeout\n\
                 status codes: 10 2xx, 0 3xx, 0 4xx, 0 5xx\n"
            )
        };
        assert!((answered(&said(0)).unwrap() - 10.0).abs() < f64::EPSILON);
        assert!(answered(&said(1)).is_err());
        assert!(answered("").is_err());
    }
}
