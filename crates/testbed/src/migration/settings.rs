//! The size of a migration.

use crate::{scene, workload};
use std::ops::Range;
use std::time::Duration;

/// The size of a migration, and how it is made hard.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is set in.
    pub scene: scene::Settings,
    /// Who works with contracts and documents.
    pub workload: workload::Settings,
    /// People who only log in and look; five others change something.
    pub visitors: usize,
    /// How long anybody waits for an answer.
    pub timeout: Duration,
    /// How long people pause, in milliseconds.
    pub pace_ms: Range<u64>,
    /// Writes per second of the background writer.
    pub writer_rate: u32,
    /// How long a step goes well before its service gets worse.
    pub before_fault: Duration,
    /// How much longer contracts take, once they are slow.
    pub delay: Duration,
    /// Of a hundred requests of documents so many fail, once they are bad.
    pub failing_percent: u64,
    /// How long is looked at what was left, before the audit.
    pub afterwards: Duration,
}

impl Settings {
    /// As `./x demo --full` shows it: about five minutes.
    pub fn demo(contracts: u64) -> Self {
        // So that what is slow on a busy machine is not taken for lost.
        let timeout = Duration::from_mins(1);
        Self {
            scene: scene::Settings::durable(contracts),
            workload: workload::Settings {
                rate: 80.0,
                documents: 0.35,
                timeout,
                ..workload::Settings::default()
            },
            timeout,
            visitors: 5,
            pace_ms: 300..600,
            writer_rate: 10,
            before_fault: Duration::from_secs(6),
            delay: Duration::from_millis(1500),
            failing_percent: 40,
            afterwards: Duration::from_secs(8),
        }
    }
}
