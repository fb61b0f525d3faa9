//! Requests that fail while a proxy reads its settings anew.

use super::{conversation::PATH, machine::LOAD_CORE, peers::Peer};
use anyhow::{Context, Result};
use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const CONNECTIONS: &str = "64";

/// How often it reloads.
const INTERVAL: Duration = Duration::from_millis(500);

/// Failed requests under load, with a reload twice a second.
pub(super) fn measure(peer: &mut Peer, seconds: u32) -> Result<f64> {
    let load = Command::new("taskset")
        .args(["--cpu-list", LOAD_CORE, "wrk", "--threads", "1"])
        .args(["--connections", CONNECTIONS])
        .args(["--duration", &format!("{seconds}s"), "--timeout", "10s"])
        .arg(format!("http://{}{PATH}", peer.address()))
        .stdout(Stdio::piped())
        .spawn()
        .context("running wrk")?;
    for _ in 1..seconds * 2 {
        thread::sleep(INTERVAL);
        peer.reload();
    }
    let output = load.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    failed(&said).with_context(|| format!("wrk on {}:\n{said}", peer.name()))
}

/// What wrk tells of, errors of any kind and answers that are none.
fn failed(said: &str) -> Result<f64> {
    said.lines()
        .find(|line| line.contains(" requests in "))
        .context("no count of requests")?;
    let numbers = |line: &str| -> f64 {
        let words = line.split([' ', ',', ':']);
        words.filter_map(|word| word.parse::<f64>().ok()).sum()
    };
    let lines = said.lines().map(str::trim);
    let errors = lines.filter_map(|line| {
        let bad = line.strip_prefix("Non-2xx or 3xx responses:");
        line.strip_prefix("Socket errors:").or(bad)
    });
    Ok(errors.map(numbers).fold(0.0, |sum, count| sum + count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_all_kinds_are_counted() {
        let fine = "  9 requests in 5.00s, 1.00MB read\n";
        let count = |said: &str| failed(said).unwrap();
        assert!(count(fine).abs() < f64::EPSILON);
        let errors = "  Socket errors: connect 1, read 20, write 0, timeout 300\n";
        let answers = "  Non-2xx or 3xx responses: 4000\n";
        let all = count(&format!("{fine}{errors}{answers}"));
        assert!((all - 4321.0).abs() < f64::EPSILON);
        assert!(failed("").is_err());
    }
}
