//! Bounds on what asking another service may cost.

use std::time::Duration;

/// Bounds on what asking another service may cost.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// For everything: waiting for a permit, all attempts, the response's body.
    pub timeout: Duration,
    /// For one attempt, where there may be another.
    pub attempt_timeout: Duration,
    /// How often at most it is sent.
    pub attempts: u32,
    /// Requests at once, over all instances.
    pub concurrency: usize,
    /// Requests that may wait for a permit; more are refused at once.
    pub waiting: usize,
    /// The largest body of a response.
    pub response_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(2),
            attempts: 3,
            concurrency: 64,
            waiting: 64,
            response_bytes: 4 << 20,
        }
    }
}
