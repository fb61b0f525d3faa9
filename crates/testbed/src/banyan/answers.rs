//! What the command line prints with `--json`, as far as it is read here.
//!
//! Everything has a default: a detail that moved shows in the assertion that
//! needs it, not as a parse error everywhere.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The extraction of the example's plan.
pub const EXTRACTION: &str = "contracts";

/// `banyan check`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Check {
    /// Whether nothing stands in the way.
    pub ok: bool,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Something that stands in the way, or may.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// `BN-012`.
    pub id: String,
    /// `refuse` or `warn`.
    pub severity: String,
    /// What it is about.
    pub object: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// `banyan status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// All extractions of the plan.
    pub extractions: Vec<Extraction>,
    /// Earlier processes that still answer requests.
    pub predecessors: Vec<Predecessor>,
}

/// An earlier process that still answers requests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Predecessor {
    /// Its process.
    pub pid: u32,
    /// What it answers.
    pub requests: usize,
}

impl Status {
    /// The example's extraction; the default if it is not there.
    pub fn contracts(&self) -> Extraction {
        self.of(EXTRACTION)
    }

    /// An extraction; the default if it is not there.
    pub fn of(&self, name: &str) -> Extraction {
        let found = self.extractions.iter().find(|each| each.name == name);
        found.cloned().unwrap_or_default()
    }
}

/// Where an extraction stands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Extraction {
    /// Its name in the plan.
    pub name: String,
    /// `planned` to `switched`, or `cancelled`.
    pub phase: String,
    /// Who may write: `monolith`, `service` or `nobody`.
    pub owner: String,
    /// The number of the last decision about ownership.
    pub epoch: u64,
    /// The share of clients whose reads go to the service.
    pub reads_percent: f64,
    /// The share of clients whose writes go to the service, where both sides
    /// share the data.
    pub writes_percent: Option<f64>,
    /// What goes wrong at the moment, and what to do.
    pub trouble: Option<String>,
    /// How far the first copy is.
    pub copy: Copy,
    /// The change stream from the monolith to the service.
    pub forward: Option<Stream>,
    /// The change stream from the service to the monolith.
    pub reverse: Option<Stream>,
    /// The last proof of equality.
    pub last_verify: Option<LastVerify>,
    /// The last switch or rollback.
    pub last_handover: Option<Handover>,
    /// Where the steps of the plan are.
    pub rollout: Option<Rollout>,
}

impl Extraction {
    /// The streams that there are.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        [&self.forward, &self.reverse].into_iter().flatten()
    }

    /// Whether every stream there is does its work.
    pub fn streams_run(&self) -> bool {
        // Right after a start nothing is followed yet.
        let follows = matches!(self.phase.as_str(), "following" | "switched");
        let both = self.forward.is_some() && self.reverse.is_some();
        let fine = |stream: &Stream| stream.trouble.is_none() && stream.state != "connecting";
        (both || !follows) && self.streams().all(fine)
    }

    /// The largest lag of the streams that are applying, in bytes and seconds.
    pub fn lag(&self) -> (u64, f64) {
        let applying = self.streams().filter(|stream| stream.state == "applying");
        applying.fold((0, 0.0), |(bytes, seconds), stream| {
            (
                stream.lag_bytes.max(bytes),
                f64::max(stream.lag_seconds, seconds),
            )
        })
    }
}

/// Where the steps of the plan are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Rollout {
    /// `idle`, `running`, `stopped` or `done`.
    pub state: String,
    /// The step, from 1.
    pub step: Option<usize>,
    /// All steps, in words.
    pub steps: Vec<String>,
    /// Since when what the step wants is so, in milliseconds since 1970.
    pub entered_ms: Option<i64>,
    /// Until when it lasts at least, likewise.
    pub until_ms: Option<i64>,
    /// Why it has stopped.
    pub why: Option<String>,
    /// What it waits for, in words.
    pub waits_for: Vec<String>,
    /// Why what is due was refused; it is asked for again.
    pub refused: Option<String>,
    /// The step's gates.
    pub gates: Vec<Gate>,
    /// What would take back what the service has.
    pub undo: Option<String>,
}

impl Rollout {
    /// Its step in words.
    pub fn step_in_words(&self) -> Option<&str> {
        let index = self.step?.checked_sub(1)?;
        self.steps.get(index).map(String::as_str)
    }
}

/// What a gate says.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Gate {
    /// Its name in the plan.
    pub name: String,
    /// `pass`, `fail`, `needs-more` or `unknown`.
    pub verdict: String,
    /// That in words.
    pub text: String,
    /// Whether nothing follows from it.
    pub dry_run: bool,
    /// The numbers that it goes by.
    pub evidence: Value,
}

/// Progress of the first copy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Copy {
    /// Rows in the target.
    pub rows_copied: u64,
    /// Rows expected; an estimate.
    pub rows_total: u64,
}

/// One direction.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Stream {
    /// `applying`, `stopped`, `waiting` or `connecting`.
    pub state: String,
    /// What is wrong with it, if anything is.
    pub trouble: Option<String>,
    /// WAL bytes behind.
    pub lag_bytes: u64,
    /// Seconds behind.
    pub lag_seconds: f64,
    /// Transactions applied.
    pub transactions: u64,
    /// Row changes applied.
    pub rows: u64,
}

/// The last `verify`, as `status` remembers it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LastVerify {
    /// Rows compared.
    pub rows: u64,
    /// Rows that differ.
    pub differences: u64,
}

/// `banyan verify`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Verification {
    /// Rows compared.
    pub rows: u64,
    /// The first rows that differ.
    pub differences: Vec<Difference>,
    /// How many differ, listed or not.
    pub differences_total: u64,
    /// Tables that were not compared, in whatever form they are printed.
    pub left_out: Vec<Value>,
    /// How long it took.
    pub seconds: f64,
}

impl Verification {
    /// How many rows differ.
    pub fn count(&self) -> u64 {
        self.differences_total.max(self.differences.len() as u64)
    }
}

/// A row that differs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Difference {
    /// The table, in whatever form it is printed.
    pub table: Value,
    /// The key, in whatever form it is printed.
    pub key: Value,
    /// `missing`, `extra` or `changed`.
    pub kind: String,
}

/// `banyan switch` and `banyan rollback`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Handover {
    /// `switch` or `rollback`.
    pub kind: String,
    /// Whether it was the rehearsal of one.
    pub rehearsal: bool,
    /// `committed`, `aborted`, `rehearsed` or `under-way`.
    pub outcome: String,
    /// Why it was aborted.
    pub reason: Option<String>,
    /// The number of the decision.
    pub epoch: u64,
    /// From the first hold to the last release.
    pub total_ms: f64,
    /// The longest that a request was held.
    pub hold_ms_max: f64,
    /// The median of how long requests were held.
    pub hold_ms_p50: f64,
    /// How many requests were held.
    pub held_requests: u64,
    /// How long each step took.
    pub steps: Vec<Step>,
    /// Tables of which each side keeps its own.
    pub split_tables: Vec<String>,
}

impl Handover {
    /// Whether ownership moved.
    pub fn is_committed(&self) -> bool {
        self.outcome == "committed"
    }

    /// Why it did not.
    pub fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or("no reason given")
    }
}

/// A step of a hand-over.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub ms: f64,
}
