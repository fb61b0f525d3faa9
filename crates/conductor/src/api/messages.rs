//! The JSON of calls and of errors. [`Reply`](crate::Reply) is the rest of it.

use crate::precondition::Precondition;
use protocol::finding::Finding;
use serde::{Deserialize, Serialize};

/// A request of which is asked where the gateway would send it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// Its method.
    pub method: String,
    /// Its path and query, or a whole URL.
    pub url: String,
    /// Its headers, in their order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The client's address; the local one when left out.
    #[serde(default)]
    pub from: Option<std::net::IpAddr>,
    /// Its body, which counts where operations share a path.
    #[serde(default)]
    pub data: String,
}

/// The answer to a verb that was not carried out.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorReply {
    /// What was wrong, and what to do.
    pub error: String,
    /// Whether anything was touched.
    pub kind: ErrorKind,
    /// What `check` found, where that was the reason.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// Whether anything was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// Refused before anything was touched.
    Refused,
    /// Tried, and not done.
    Failed,
}

/// The parameters of a verb.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// For `shift`.
    #[serde(default)]
    pub reads: Option<String>,
    /// For `shift`, where both sides share the data.
    #[serde(default)]
    pub writes: Option<String>,
    /// For `cancel`: the service's tables, too, where it owned them for a while.
    #[serde(default)]
    pub empty: bool,
    /// For `rollback`: without a proof that both sides agree.
    #[serde(default)]
    pub unverified: bool,
    /// For `rollback` and `shift`: though the side that gets more does not say that it
    /// is healthy.
    #[serde(default)]
    pub unhealthy: bool,
    /// For `recopy`: who owns, as the status says it; refused where it changed.
    #[serde(default)]
    pub owner: Option<String>,
    /// For `recopy`: since which decision, likewise.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// Which person orders it, where no personal key says so. `pause`, `approve` and
    /// `resume` need it.
    #[serde(default)]
    pub by: Option<String>,
    /// For `pause` and `approve`: why, in that person's words.
    #[serde(default)]
    pub note: Option<String>,
    /// For `attest`: which item of a checklist.
    #[serde(default)]
    pub item: Option<String>,
    /// For `attest`: the item's text, as that person has read it; refused, with 409, where the
    /// plan has another one by now.
    #[serde(default)]
    pub text: Option<String>,
    /// For `brown-out`: how long it lasts.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// For `brown-out`: when the old side goes for good, in milliseconds since 1970.
    #[serde(default)]
    pub sunset_ms: Option<i64>,
    /// For `resume`: with which step of the plan it goes on, from 1.
    #[serde(default)]
    pub step: Option<usize>,
    /// How it stood when this was decided on: refused, with 409, where it stands otherwise by
    /// the time at which it is taken.
    #[serde(default)]
    pub expected: Option<Precondition>,
}

/// Who halts all rollouts, or ends that.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HaltRequest {
    /// Which person, where no personal key says so.
    #[serde(default)]
    pub by: Option<String>,
    /// Why, in that person's words: why it begins, or ends.
    #[serde(default)]
    pub note: String,
    /// Whether it ends.
    #[serde(default)]
    pub off: bool,
    /// For `off`: who halted, and why, as the status has it. Refused, with 409, where it is
    /// another halt by then.
    #[serde(default)]
    pub expected: Option<String>,
}

/// What is to be checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// A checklist, or one item.
    pub of: String,
}

/// Who has the plan read again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Which person, where no personal key says so.
    #[serde(default)]
    pub by: Option<String>,
}

/// What a reload has brought.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReloadReply {
    /// How the steps of the extractions differ from before, in words.
    pub steps: Vec<String>,
    /// The feature flags of which the plan says something else than before.
    #[serde(default)]
    pub flags: Vec<String>,
}
