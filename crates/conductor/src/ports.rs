//! What the conductor needs of a mover and of gateways.
//!
//! Both stand behind traits so that the conductor knows neither PostgreSQL nor
//! HTTP, and its tests can lose replies.

mod tables;

pub use tables::{TableCopy, TableProgress, TableVerified};

use async_trait::async_trait;
pub use judge::{Moment, reading::Sample};
use plan::{AutomaticCheck, ExtractionName, MeasuredGate};
use protocol::{
    ConductorId, Epoch, GatewayId, HandoverId, InstanceId, Side,
    checklist::CheckResult,
    finding::Finding,
    owner::{Outcome, RowRead},
    retire::{OldCaller, TableUse},
    rollout::UnixMillis,
    routing::Routing,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Why a piece of work did not get done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// It may be done later: the network, a lock, a restart.
    #[error("{0}")]
    Transient(String),
    /// It will not get better by itself.
    #[error("{0}")]
    Permanent(String),
    /// Another conductor has taken charge; this one must stop.
    #[error("{0}")]
    Superseded(String),
    /// A row is another than our claims led to: older, since its database was restored, or
    /// further, since another conductor went on. Who owns is to be found out anew.
    #[error("{0}")]
    RowChanged(String),
    /// Another conductor is in charge; this one has changed nothing, and must stop.
    #[error("{0}")]
    InCharge(String),
}

/// Both sides' rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// In the monolith's database.
    pub monolith: RowRead,
    /// In the service's.
    pub service: RowRead,
    /// Whether the first copy is complete.
    pub copied: bool,
}

/// What a verify found.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// Rows compared.
    pub rows: u64,
    /// Rows that differ.
    pub differences: u64,
    /// The same by table; the report has it, too.
    #[serde(skip)]
    pub tables: Vec<TableVerified>,
    /// The whole report, as the mover words it.
    pub report: serde_json::Value,
}

/// What a cancel did to the service's tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancellation {
    /// Those that were emptied.
    pub emptied: Vec<String>,
    /// Those that still have rows.
    pub left: Vec<String>,
    /// Why they could not be emptied, where that was to be.
    pub left_because: Option<String>,
    /// Indexes that a copy had put off and the database would not make again: their
    /// statements, and why.
    #[serde(default)]
    pub lost_indexes: Vec<String>,
}

/// What was copied again, and which streams have begun anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recopied {
    /// The owner's rows that were compared; `None` where the stream from the owner
    /// had lost nothing.
    pub rows: Option<u64>,
    /// How many of them were written to the other side.
    pub written: u64,
    /// Rows that were deleted there, or replaced.
    pub deleted: u64,
    /// Whether the stream to the owner has begun anew.
    pub begun_anew: bool,
}

/// Where copy and streams are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Of the first copy.
    #[serde(default)]
    pub copy: CopyProgress,
    /// From the monolith to the service.
    #[serde(default)]
    pub forward: Option<StreamProgress>,
    /// From the service to the monolith.
    #[serde(default)]
    pub reverse: Option<StreamProgress>,
    /// Of a verify that runs: rows done and in all.
    #[serde(default)]
    pub verify: Option<(u64, u64)>,
    /// What a hand-over waits for before it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Look>,
    /// Who has been seen to write the tables: `application_name`s.
    #[serde(default)]
    pub writers: Vec<String>,
    /// What was seen while it ran and not forgotten, as the databases keep it.
    #[serde(default)]
    pub seen: Observations,
    /// All tables that move, in the plan's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableProgress>,
    /// Tables that both sides write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_tables: Vec<SharedTable>,
}

/// What was seen of an extraction and not forgotten.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Observations {
    /// For how long it was looked who writes the monolith's tables.
    pub looked_seconds: f64,
    /// Who was seen to.
    pub writers: Vec<SeenWriter>,
    /// Rows that were written past a fence and are not proven to agree.
    pub rows_past_fence: Vec<SeenRows>,
    /// Until when the shape of a side's tables is frozen, in UTC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub frozen_until: BTreeMap<String, String>,
}

/// A session that was seen to write.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SeenWriter {
    /// Its `application_name`; empty where it gives none.
    pub application: String,
    /// Its role.
    pub role: String,
    /// Its client's address; empty where that is not known.
    pub address: String,
    /// Whether the plan declares it.
    pub declared: bool,
    /// The tables of the extraction that it wrote.
    pub tables: Vec<String>,
    /// Tables that stay and that it wrote in the same transactions.
    pub together_with: Vec<String>,
    /// In how many samples it was.
    pub sightings: i64,
    /// When it was seen first, in UTC.
    pub first_seen: String,
    /// When it was seen last.
    pub last_seen: String,
}

/// Rows that were written past a fence.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SeenRows {
    /// Where: `monolith` or `service`.
    pub side: String,
    /// How many changes of rows.
    pub rows: i64,
    /// When the first was noticed, in UTC.
    pub first_seen: String,
    /// When the last was.
    pub last_seen: String,
}

/// A table that both sides write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedTable {
    /// Its name in the monolith.
    pub table: String,
    /// `append`: both sides insert, and rows flow both ways. `split`: each side
    /// keeps its own from the first switch on.
    pub writes: String,
    /// Whether its rows flow: those of a split table do not any more, once the
    /// service has owned the data.
    pub flows: bool,
}

/// Where the first copy is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct CopyProgress {
    /// Rows copied.
    pub rows_copied: u64,
    /// Rows in all, estimated until the copy ends.
    pub rows_total: u64,
}

/// Something that is being waited for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// What is looked at, or asked.
    pub what: String,
    /// For how long by now.
    pub seconds: f64,
    /// What came of it last, where it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// What the side that is to own has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// That it can work.
    Health,
    /// That it takes connections.
    Presence,
}

/// Where a stream is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct StreamProgress {
    /// While it streams `applying`, `stopped` or `waiting`; else `connecting`,
    /// `retrying`, `failed` or `ended`.
    pub state: String,
    /// What is wrong with it, if anything is.
    pub trouble: Option<String>,
    /// Bytes of log not yet applied.
    pub lag_bytes: u64,
    /// Age of the oldest change not yet applied.
    pub lag_seconds: f64,
    /// Bytes of log that the source has to keep for it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_bytes: Option<u64>,
    /// Transactions applied since the start.
    pub transactions: u64,
    /// Rows applied since the start.
    pub rows: u64,
}

/// The mover of one extraction. Every method may be repeated.
#[async_trait]
pub trait Mover: Send + Sync + 'static {
    /// Looks for what cannot be moved; touches nothing.
    async fn check(&self) -> Result<Vec<Finding>, WorkError>;
    /// Takes the conductor's place on the sides that answer, where nobody else
    /// has it, and reads the rows that there are. Changes nothing.
    async fn look(&self) -> Result<Rows, WorkError>;
    /// Whether that place was lost, and a living conductor has it now.
    fn is_displaced(&self) -> bool;
    /// Ends, with an error, when a database has not answered for long: for beside
    /// work that waits for it.
    async fn unanswered(&self) -> WorkError {
        std::future::pending().await
    }
    /// Gives that place up: another conductor may take it.
    async fn leave(&self);
    /// Takes charge of the rows that there are, on the sides that answer. The
    /// rest is claimed when it is needed first.
    async fn claim(&self, conductor: ConductorId) -> Result<Rows, WorkError>;
    /// Makes what is needed on both sides, rows included, and claims them.
    async fn prepare(&self, instance: InstanceId, conductor: ConductorId) -> Result<(), WorkError>;
    /// Copies; done already is well, too.
    async fn copy(&self) -> Result<(), WorkError>;
    /// Starts both followers, if they do not run.
    async fn follow(&self) -> Result<(), WorkError>;
    /// The tables that were added and are not copied yet, known since following
    /// began.
    fn joining(&self) -> Vec<String>;
    /// Copies the tables that were added while the others are followed, and stops
    /// the followers: they are to go on with all of them.
    async fn join(&self) -> Result<(), WorkError>;
    /// Stops them.
    async fn stop_following(&self);
    /// Has both followers try now what they wait to try again, and waits until
    /// they stream; the error says which does not, and why.
    async fn resume(&self) -> Result<(), WorkError>;
    /// Stops both followers, and has the streams that have lost changes begin
    /// anew: where it is the one from the owner, the other side's rows become the
    /// owner's.
    async fn recopy(&self, owner: Side) -> Result<Recopied, WorkError>;
    /// Compares both sides while `owner`'s changes flow to the other.
    async fn verify(&self, owner: Side) -> Result<Verification, WorkError>;
    /// What stands in the way of a hand-over, in words: all of it that can be known
    /// without waiting; only where that is nothing, what takes time.
    async fn blockers(&self, from: Side, wanted: Wanted) -> Result<Vec<String>, WorkError>;
    /// What has changed since both sides were proven to agree, so that only a
    /// fresh verify says whether they still do, in words.
    async fn unproven(&self) -> Result<Vec<String>, WorkError>;
    /// Locks the source's tables weakly, until a decision.
    async fn lock_weakly(&self, from: Side) -> Result<(), WorkError>;
    /// Locks, fences and marks the source.
    async fn fence(&self, id: &HandoverId, limit: Duration) -> Result<(), WorkError>;
    /// Notes whom a fence under way waits for, until it is dropped: for beside one.
    async fn note_waited_for(&self, _: Side, _: &WaitedFor) {
        std::future::pending::<()>().await;
    }
    /// Waits until the target has passed the mark; moves its sequences.
    async fn catch_up(&self, id: &HandoverId, limit: Duration) -> Result<(), WorkError>;
    /// The compare-and-set; gives all locks back.
    async fn decide(&self, id: &HandoverId, wanted: Outcome) -> Result<Outcome, WorkError>;
    /// Opens the target.
    async fn open(&self, id: &HandoverId) -> Result<(), WorkError>;
    /// Takes the fence's triggers from the side that owns.
    async fn unfence(&self, side: Side) -> Result<(), WorkError>;
    /// Removes everything of this instance, or where none is named of whichever is there;
    /// with `empty` the rows in the service's tables, too, where it owned them for a while.
    async fn cancel(
        &self,
        whose: Option<InstanceId>,
        empty: bool,
    ) -> Result<Cancellation, WorkError>;
    /// Removes everything of this instance; the service keeps the data.
    async fn finish(&self, whose: InstanceId) -> Result<(), WorkError>;
    /// It is kept at the service: nothing flows to the monolith any more, and no
    /// request waits for that.
    fn nothing_flows_back(&self);
    /// Where everything is.
    fn progress(&self) -> Progress;
}

/// Whom a hand-over was seen to wait for, each once.
#[derive(Debug, Default)]
pub struct WaitedFor(Mutex<Vec<String>>);

/// So many are told.
const WAITED_FOR_MAX: usize = 8;

impl WaitedFor {
    /// Adds one, in words.
    pub fn note(&self, whom: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < WAITED_FOR_MAX && !all.contains(&whom) {
            all.push(whom);
        }
    }

    /// All of them.
    pub fn into_all(self) -> Vec<String> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long requests were held, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HoldReport {
    /// How many were held.
    pub held_requests: u64,
    /// The longest.
    pub hold_ms_max: f64,
    /// The median.
    pub hold_ms_p50: f64,
    /// What one in a hundred waited longer than.
    #[serde(default)]
    pub hold_ms_p99: f64,
}

/// Writes that a drain waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// How many.
    pub count: usize,
    /// For how long the longest has been under way.
    pub longest: Duration,
    /// By which route it came, where that is known.
    pub route: Option<String>,
}

/// An earlier process of the same state directory that still answers requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Predecessor {
    /// 0 where that is not known.
    pub pid: u32,
    /// Requests whose answer has not ended.
    pub requests: usize,
    /// Upgraded connections, and answers of events.
    pub streams: usize,
    /// How long it lasts at most, once it ends.
    pub seconds_left: Option<u64>,
}

impl fmt::Display for Predecessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid,
            requests,
            streams,
            seconds_left,
        } = self;
        write!(f, "an earlier `banyan serve` ")?;
        if *pid > 0 {
            write!(f, "(pid {pid}) ")?;
        }
        let Some(left) = seconds_left else {
            // It has not been told to end.
            return write!(f, "runs; a hand-over waits until it has ended");
        };
        write!(
            f,
            "still answers {requests} requests and {streams} streams, for {left} s at most \
             (`gateway.grace`). What it has routed ends before a hand-over begins; SIGTERM, twice, \
             ends it now"
        )
    }
}

/// What both sides of an extraction have answered in a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SideCounts {
    /// The monolith.
    pub monolith: AnswerCounts,
    /// The service.
    pub service: AnswerCounts,
}

/// What one side has answered. By client, since the requests of one are alike: each
/// cell is that of a hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// To reads.
    pub reads: Vec<CellCounts>,
    /// To writes.
    pub writes: Vec<CellCounts>,
}

/// What the clients of a cell were answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CellCounts {
    /// All requests that ended.
    pub requests: u32,
    /// Those that failed.
    pub errors: u32,
    /// Their times, by the number of their bin: eight to each doubling of a second, as
    /// in Prometheus' native histograms of schema 3.
    pub bins: Vec<(i16, u32)>,
}

/// The old side of extractions that were finished.
#[async_trait]
pub trait OldSide: Send + Sync + 'static {
    /// What its server has counted of the old tables. The error says why that is not
    /// known.
    async fn table_use(&self, extraction: &ExtractionName) -> Result<TableUse, String>;
}

/// Checks items of checklists that are found out outside of the conductor. Cancel safe:
/// what a check has begun ends with it.
#[async_trait]
pub trait ItemChecks: Send + Sync + 'static {
    /// What a check finds, and that in words.
    async fn check(
        &self,
        extraction: &ExtractionName,
        check: AutomaticCheck,
    ) -> (CheckResult, String);
}

/// Reads that both sides were asked, since the gateways began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShadowCounts {
    /// Whose answers were compared.
    pub compared: u64,
    /// Of those: the sides differ, or the one that does not own did not answer.
    pub differing: u64,
}

/// A brown-out, as the gateways are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrownOutNotice {
    /// How long it still lasts.
    pub left: Duration,
    /// Since when nobody should use the old side.
    pub deprecated: UnixMillis,
    /// From when on it is not there.
    pub sunset: UnixMillis,
}

/// The gateways in front.
#[async_trait]
pub trait Gateways: Send + Sync + 'static {
    /// Those whose lease has not ended.
    fn live(&self) -> BTreeSet<GatewayId>;
    /// Earlier processes that still answer requests, by the routing that they had.
    fn predecessors(&self) -> Vec<Predecessor> {
        Vec::new()
    }
    /// Tells all of them.
    fn publish(&self, routing: Routing);
    /// Lets them route on for so long.
    fn renew_lease(&self, lease: Duration);
    /// Ends when the gateway holds the extraction's writes at `epoch` and has
    /// drained, or when its lease has ended.
    async fn held(&self, gateway: GatewayId, extraction: &ExtractionName, epoch: Epoch);
    /// What keeps it from draining, in so far as it is known.
    async fn in_flight(&self, gateway: GatewayId, extraction: &ExtractionName) -> Option<InFlight>;
    /// What both sides have answered since this was asked last; `None` where that is not
    /// counted.
    async fn take_side_counts(&self, _: &ExtractionName) -> Option<SideCounts> {
        None
    }
    /// What was compared of the copies of reads; `None` where none are copied.
    fn shadow_counts(&self, _: &ExtractionName) -> Option<ShadowCounts> {
        None
    }
    /// Has an extraction's old ways refused for so long, where the service owns its data for
    /// sure; `None`: not any more.
    fn brown_out(&self, _: &ExtractionName, _: Option<BrownOutNotice>) {}
    /// Who came by an extraction's old ways since this was asked last.
    fn take_old_callers(&self, _: &ExtractionName) -> Vec<OldCaller> {
        Vec::new()
    }
    /// Of the last hold. Waits, within bounds, until what it held is released.
    async fn hold_report(&self, extraction: &ExtractionName) -> HoldReport;
}

/// For what a gate is measured.
#[derive(Debug, Clone)]
pub struct Occasion {
    /// Of which extraction.
    pub extraction: ExtractionName,
    /// In which step, in the plan's words.
    pub step: String,
    /// How the rollout is, in Flagger's words: `Progressing`, `Promoting`, `Waiting`.
    pub phase: &'static str,
    /// A digest of the plan's text.
    pub plan: String,
}

/// What a source of a gate's has answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Measurement {
    /// Series, each with its samples.
    Series(Vec<Vec<Sample>>),
    /// Yes or no, in its words.
    Answer(bool, String),
}

/// Measures what gates of the plan ask for outside of Banyan.
#[async_trait]
pub trait Gauges: Send + Sync + 'static {
    /// Asks a gate's source, within the gate's `timeout`. The error says why there is no
    /// answer, without credentials. Giving up waiting ends what was begun.
    async fn measure(
        &self,
        gate: &MeasuredGate,
        occasion: &Occasion,
    ) -> Result<Measurement, String>;
}
