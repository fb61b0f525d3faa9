//! Looks at the workload and at `banyan status` while the story runs: for the
//! screen, and for what only shows on the way.

use super::screen::Screen;
use crate::banyan::CommandLine;
use crate::banyan::answers::{Extraction, Status};
use crate::workload::View;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

const TRAFFIC_INTERVAL: Duration = Duration::from_millis(500);

/// Each look is a process: not more often than anybody can read.
const STATUS_EVERY: u32 = 2;

/// Row changes applied, summed over streams that start anew at each hand-over.
#[derive(Debug, Default)]
struct AppliedChanges {
    sum: u64,
    /// What each stream said last: forward, reverse.
    last: [u64; 2],
}

impl AppliedChanges {
    fn see(&mut self, extraction: &Extraction) {
        let streams = [&extraction.forward, &extraction.reverse];
        for (last, stream) in self.last.iter_mut().zip(streams) {
            let rows = stream.as_ref().map_or(0, |stream| stream.rows);
            // A smaller number is a new count, from 0.
            self.sum += if rows >= *last { rows - *last } else { rows };
            *last = rows;
        }
    }
}

/// A task that looks. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Observer {
    followed: Arc<Mutex<AppliedChanges>>,
    task: JoinHandle<()>,
}

impl Observer {
    pub fn start(screen: Arc<Screen>, view: View, banyan: CommandLine) -> Self {
        let followed = Arc::new(Mutex::new(AppliedChanges::default()));
        let seen = Arc::clone(&followed);
        let task = tokio::spawn(async move {
            let mut interval = tokio::time::interval(TRAFFIC_INTERVAL);
            let mut last_requests = 0;
            for round in 0_u32.. {
                interval.tick().await;
                let total = view.total();
                let rate = 2 * (total.requests - last_requests);
                last_requests = total.requests;
                screen.traffic(traffic(&view, rate));
                if round.is_multiple_of(STATUS_EVERY)
                    && let Ok(status) = banyan.status().await
                {
                    note(&seen, &status);
                    let contracts = status.contracts();
                    screen.copy(contracts.copy.rows_copied, contracts.copy.rows_total);
                    screen.data(data(&contracts));
                }
            }
        });
        Self { followed, task }
    }

    /// A look at the very end.
    pub fn finish(self, last: &Status) -> u64 {
        note(&self.followed, last);
        self.followed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sum
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn note(followed: &Mutex<AppliedChanges>, status: &Status) {
    let mut followed = followed.lock().unwrap_or_else(PoisonError::into_inner);
    followed.see(&status.contracts());
}

fn traffic(view: &View, rate: u64) -> String {
    let phase = view.current();
    let counts = &phase.counts;
    let share = counts.service_share_of_reads() * 100.0;
    format!(
        "{rate:>4} req/s  {} failed  p50 {:.0} ms  p95 {:.0} ms  service {share:.0} %",
        counts.failed, counts.p50_ms, counts.p95_ms
    )
}

fn data(extraction: &Extraction) -> String {
    let (lag_bytes, lag_seconds) = extraction.lag();
    let Extraction {
        phase,
        owner,
        epoch,
        ..
    } = extraction;
    format!("{phase}, owner {owner}, epoch {epoch}, lag {lag_bytes} B {lag_seconds:.2} s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::banyan::answers::Stream;

    #[test]
    fn a_stream_that_starts_anew_goes_on_being_counted() {
        let mut followed = AppliedChanges::default();
        for rows in [3, 10, 0, 4] {
            let forward = Some(Stream {
                rows,
                ..Stream::default()
            });
            followed.see(&Extraction {
                forward,
                ..Extraction::default()
            });
        }
        assert_eq!(followed.sum, 14);
    }
}
