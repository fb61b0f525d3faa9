//! Concurrent clients that read and write contracts over keep-alive
//! connections, never retry, and record every write under a unique name.
//!
//! The rate is paced, so that a small machine, which runs the monolith and two
//! databases as well, shows what a hand-over does and not what saturation does.

mod client;
mod known;
mod record;
mod tally;
#[cfg(test)]
mod tests;

pub use record::{Outcome, Target, Write};
pub use tally::{Counts, PhaseCounts};

use anyhow::Result;
use client::Client;
use known::Known;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tally::Tally;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the clients behave.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many work at once.
    pub clients: u32,
    /// How many of them send no `X-User-Id`.
    pub anonymous: u32,
    /// How many users take turns on a client's connection: more of them make
    /// a share of the users a finer measure.
    pub users_per_client: u32,
    /// Requests per second of all of them together, at most.
    pub rate: f64,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Starts every reference of this run.
    pub run: String,
    /// The same seed asks for the same things in the same order per client.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clients: 32,
            anonymous: 4,
            users_per_client: 8,
            rate: 120.0,
            timeout: Duration::from_secs(5),
            run: run_name(),
            seed: 1,
        }
    }
}

/// A name for a run that no other run has.
pub fn run_name() -> String {
    let mut name = uuid::Uuid::new_v4().simple().to_string();
    name.truncate(8);
    format!("run{name}")
}

/// What all clients share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    url: String,
    known: Known,
    phase: AtomicUsize,
    tally: Mutex<Tally>,
    writes: Mutex<Vec<Write>>,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writes(&self) -> MutexGuard<'_, Vec<Write>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clients at work. Dropping it ends them at once.
#[derive(Debug)]
pub struct Workload {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

/// A look at a workload while it runs.
#[derive(Debug, Clone)]
pub struct View {
    shared: Arc<Shared>,
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
        self.shared.tally().failures().to_vec()
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
        let known = Known::look_around(url, &settings).await?;
        let (stop, _) = watch::channel(false);
        let shared = Arc::new(Shared {
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
            failures: tally.failures().to_vec(),
        })
    }
}
