//! What a person is asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A verb that a person is asked for, with what it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum NextVerb {
    /// Begin.
    Start,
    /// Prove that both sides agree.
    Verify {
        /// Rows that differed the last time.
        differences: u64,
    },
    /// Send more of the clients to the service.
    Shift {
        /// The share of the reads that is proposed.
        reads_percent: f64,
    },
    /// Send the readers back that a rollback left at the service.
    Withdraw,
    /// Hand the writes over.
    Switch,
    /// Let a step of the plan begin.
    Approve {
        /// Which, from 1.
        step: usize,
        /// What is to be approved, where the plan says it.
        of: Option<String>,
    },
    /// Have the steps of the plan go on.
    Resume {
        /// With which, from 1, where it is not the one that they stopped in; a call without
        /// it is refused where they are in none.
        step: Option<usize>,
    },
    /// End the way back.
    Finish,
}
