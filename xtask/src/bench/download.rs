//! Processor time per GiB of large answers.

use super::{
    machine::{LOAD_CORE, processor_micros},
    peers::{LARGE_PATH, Peer},
};
use anyhow::{Context, Result, bail};
use std::process::Command;

const CONNECTIONS: &str = "8";

/// Milliseconds of processor time per GiB.
pub(super) fn measure(peer: &Peer, seconds: u32) -> Result<f64> {
    let before = processor_micros(peer.pid())?;
    let output = Command::new("taskset")
        .args(["--cpu-list", LOAD_CORE, "wrk", "--threads", "1"])
        .args(["--connections", CONNECTIONS])
        .args(["--duration", &format!("{seconds}s"), "--timeout", "60s"])
        .arg(format!("http://{}{LARGE_PATH}", peer.address()))
        .output()
        .context("running wrk")?;
    let after = processor_micros(peer.pid())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let gib = gib_read(&said).with_context(|| format!("wrk on {}:\n{said}", peer.name()))?;
    Ok((after - before) / 1e3 / gib)
}

/// What wrk has read: `3 requests in 5.00s, 1.25GB read`, where a GB is a GiB.
fn gib_read(said: &str) -> Result<f64> {
    if said.contains("Socket errors") || said.contains("Non-2xx") {
        bail!("some requests failed");
    }
    let read = said.lines().find_map(|line| {
        let (_, rest) = line.split_once(" requests in ")?;
        rest.split_once(", ")?.1.strip_suffix(" read")
    });
    let read = read.context("no count of bytes")?;
    let units = [("GB", 1.0), ("MB", 1024.0)];
    let gib = units.iter().find_map(|(unit, in_gib)| {
        let number: f64 = read.strip_suffix(unit)?.parse().ok()?;
        Some(number / in_gib)
    });
    match gib {
        Some(gib) if gib > 0.0 => Ok(gib),
        _ => bail!("next to nothing was read: {read}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_understood() {
        let said = |read: &str| format!("  3 requests in 5.00s, {read} read\n");
        let gib = |read: &str| gib_read(&said(read)).unwrap();
        assert!((gib("1.25GB") - 1.25).abs() < f64::EPSILON);
        assert!((gib("512.00MB") - 0.5).abs() < f64::EPSILON);
        assert!(gib_read(&said("10.00KB")).is_err());
        assert!(
            gib_read(&format!(
                "{}  Non-2xx or 3xx responses: 7\n",
                said("1.00GB")
            ))
            .is_err()
        );
    }
}
