//! How the clients of a workload behave.

use std::time::Duration;

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
    /// How often a client turns to documents instead of contracts, 0 to 1.
    pub documents: f64,
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
            documents: 0.0,
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
