//! Concurrent clients that read and write contracts over keep-alive
//! connections, never retry, and record every write under a unique name.
//!
//! The rate is paced, so that a small machine, which runs the monolith and two
//! databases as well, shows what a hand-over does and not what saturation does.

mod client;
mod known;
mod record;
mod settings;
mod state;
mod tally;
#[cfg(test)]
mod tests;

pub use record::{Outcome, Target, Write};
pub use settings::{Settings, run_name};
pub use tally::{Counts, PhaseCounts};

use anyhow::Result;
use client::Client;
use known::KnownRows;
use state::WorkloadState;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tally::Tally;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Clients at work. Dropping it ends them at once.
#[derive(Debug)]
pub struct Workload {
    shared: Arc<WorkloadState>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

/// A look at a workload while it runs.
#[derive(Debug, Clone)]
pub struct View {
    shared: Arc<WorkloadState>,
}

impl View {
    /// Counts of everything so far.
    pub fn total(&self) -> Counts {
        self.shared.tally().total()
    }

    /// Counts of the current phase so far.
    pub fn current(&self) -> PhaseCounts {
        self.shared.tally().current()
    }

    /// The first failures, in words.
    pub fn failures(&self) -> Vec<String> {
        self.shared.tally().failures()
    }
}

/// What the clients saw.
#[derive(Debug)]
pub struct Finished {
    /// Every write that was tried.
    pub writes: Vec<Write>,
    /// Everything together.
    pub total: Counts,
    /// Phase by phase.
    pub phases: Vec<PhaseCounts>,
    /// The first failures, in words.
    pub failures: Vec<String>,
}

impl Workload {
    /// Looks around at `url`, then starts the clients in a first phase.
    pub async fn start(url: &str, settings: Settings, phase: &str) -> Result<Self> {
        let known = KnownRows::look_around(url, &settings).await?;
        let (stop, _) = watch::channel(false);
        let shared = Arc::new(WorkloadState {
            url: url.to_owned(),
            known,
            phase: AtomicUsize::new(0),
            tally: Mutex::new(Tally::new(phase)),
            writes: Mutex::new(Vec::new()),
            settings,
        });
        let mut clients = JoinSet::new();
        for number in 0..shared.settings.clients {
            let client = Client::new(Arc::clone(&shared), number)?;
            clients.spawn(client.work(stop.subscribe()));
        }
        Ok(Self {
            shared,
            stop,
            clients,
        })
    }

    /// Requests that start from now on are counted under another name.
    pub fn begin_phase(&self, name: &str) {
        let index = self.shared.tally().begin_phase(name);
        self.shared.phase.store(index, Ordering::Relaxed);
    }

    /// A view of the counts that outlives the workload.
    pub fn view(&self) -> View {
        View {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Lets every client finish what it is doing, and ends them.
    pub async fn stop(mut self) -> Result<Finished> {
        self.stop.send_replace(true);
        while let Some(ended) = self.clients.join_next().await {
            ended?;
        }
        let tally = self.shared.tally();
        let mut writes = self.shared.writes();
        Ok(Finished {
            writes: std::mem::take(&mut writes),
            total: tally.total(),
            phases: tally.phases(),
            failures: tally.failures(),
        })
    }
}
