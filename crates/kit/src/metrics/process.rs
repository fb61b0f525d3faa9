//! What the process takes of its machine, by the names that Prometheus' own
//! libraries use. Read from /proc at each scrape; where there is none (not
//! on Linux), nothing is told.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Linux tells programs of times in hundredths of a second, whatever its own
/// clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the process has taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: i64,
}

impl Usage {
    /// As it is now.
    pub(crate) fn now() -> Option<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Some(Self {
            cpu_seconds: cpu_seconds(&read("/proc/self/stat"))?,
            resident_bytes: resident_bytes(&read("/proc/self/status"))?,
        })
    }
}

/// The process that this is.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(usage) = Usage::now() else {
            return Ok(());
        };
        let cpu = encoder.encode_descriptor(
            "process_cpu_seconds",
            "Time that the process has worked, user and system",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(usage.cpu_seconds).encode(cpu)?;
        let memory = encoder.encode_descriptor(
            "process_resident_memory_bytes",
            "Memory that the process holds",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(usage.resident_bytes).encode(memory)?;
        Ok(())
    }
}

/// Fields 14 and 15 of proc(5)'s `stat`. The name in the second field may hold
/// blanks and brackets; after the last bracket comes the third field.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut times = rest.split(' ').skip(11).map(str::parse::<u32>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<i64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_memory_are_read_as_proc_has_them() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1 0 9";
        assert_eq!(cpu_seconds(stat), Some(1.75));
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"),
            Some(2 << 20)
        );
        for broken in ["", "7 (a) R 1", "VmRSS: many"] {
            assert_eq!((cpu_seconds(broken), resident_bytes(broken)), (None, None));
        }
    }
}
