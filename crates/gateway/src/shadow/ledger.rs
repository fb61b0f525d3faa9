//! What comparisons found, for the operator, the metrics and the gates.

use super::{
    compare::{Difference, Spot},
    verdict::{Evidence, Verdict, can_be_volatile},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The most routes of an extraction that are told apart. They come from the
/// plan; this bounds what many reloads may leave.
const ROUTES_MAX: usize = 200;

/// The most fields of a route that are told apart. A document with more
/// differing fields than this is another document.
const FIELDS_MAX: usize = 100;

/// What the routes beyond are counted as.
const OTHER: &str = "other";

/// The most examples kept per extraction; the oldest goes.
const EXAMPLES_MAX: usize = 50;

/// The most examples of one comparison, so that it does not oust all others.
const EXAMPLES_OF_ONE_MAX: usize = 5;

/// The longest path of an example.
const PATH_BYTES_MAX: usize = 200;

/// One in so many reads in which only fields known to be volatile differ is
/// asked once more all the same: they may have become steady.
const DOUBT: u32 = 8;

/// How a comparison of a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Equal,
    Different,
    /// The owner answered, the other side did not.
    Unanswered,
    /// They differed only where the owner differs from itself.
    Volatile,
    /// They agreed once the owner's changes had flowed.
    Lagged,
    /// It cannot be said: the owner did not answer, an answer was too large or
    /// had no end, or changes did not flow in time.
    Unknown,
    /// Not asked: the other side had not what was copied, or what this client
    /// wrote.
    Skipped,
    /// Not asked: too many comparisons were under way, or a breaker was open.
    Dropped,
}

impl Outcome {
    const COUNT: usize = 8;

    /// Its value of the metrics' label `outcome`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "different",
            Self::Unanswered => "unanswered",
            Self::Volatile => "volatile",
            Self::Lagged => "lagged",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
            Self::Dropped => "dropped",
        }
    }
}

/// How the copy of a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Copied {
    /// Answered with the owner's status.
    Equal,
    /// Answered with another one.
    Different,
    Unanswered,
    /// Not sent: too many copies were under way.
    Dropped,
}

impl Copied {
    const COUNT: usize = 4;

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "different",
            Self::Unanswered => "unanswered",
            Self::Dropped => "dropped",
        }
    }
}

/// What the copies of an extraction's requests found since the gateway's start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShadowReport {
    /// The share of requests that are copied, as the plan says; `None`: none.
    pub share: Option<String>,
    /// Reads whose answers were compared.
    pub compared: u64,
    /// Of those compared, the share in which the sides differ or the other one
    /// did not answer, from 0 to 1: what a gate looks at. `None`: none was
    /// compared.
    pub differing: Option<f64>,
    /// Reads of all routes.
    pub reads: ReadCounts,
    /// Copies of writes, to the scratch upstream.
    pub writes: WriteCounts,
    /// Reads by route.
    pub routes: BTreeMap<String, ReadCounts>,
    /// Where answers differed; what differed most often comes first.
    pub fields: Vec<ShadowField>,
    /// The last differences, newest last.
    pub examples: Vec<ShadowExample>,
    /// What the plan says may differ. Known to whoever has the plan, not to the ledger.
    #[serde(default)]
    pub declared: Vec<Declaration>,
    /// Reads that write: how often the side that does not own answered them with 5xx
    /// while its fence refused statements, by method and route. Known to whoever asks
    /// the fences, not to the gateway.
    #[serde(default)]
    pub read_writes: BTreeMap<String, u64>,
}

/// A place that the plan says may differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// As the plan has it.
    pub place: String,
    /// Who has declared it.
    pub by: Option<String>,
    /// Why.
    pub because: Option<String>,
}

/// How comparisons of reads ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadCounts {
    /// The answers were the same.
    pub equal: u64,
    /// They differed.
    pub different: u64,
    /// The owner answered, the other side did not.
    pub unanswered: u64,
    /// They differed only where the owner's own answers do.
    pub volatile: u64,
    /// They were the same once the owner's changes had flowed.
    pub lagged: u64,
    /// Not compared: the owner did not answer, an answer was too large or had
    /// no end, or changes did not flow in time.
    pub unknown: u64,
    /// Not asked: what was copied, or what the client wrote, had not flowed.
    pub skipped: u64,
    /// Not asked: too many comparisons were under way, or a breaker was open.
    pub dropped: u64,
}

/// How copies of writes ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteCounts {
    /// Answered with the owner's status.
    pub equal: u64,
    /// Answered with another one.
    pub different: u64,
    /// Not answered.
    pub unanswered: u64,
    /// Not sent: too many copies were under way.
    pub dropped: u64,
}

/// A place in the answers of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowField {
    /// The route's path.
    pub route: String,
    /// The place: `$.a[*].b`, `header NAME`, `status`, or `body`. The first two
    /// may be named under `ignore`.
    pub field: String,
    /// How often the sides differed in it.
    pub differed: u64,
    /// How often the owner differed from itself in it.
    pub changed: u64,
    /// Whether it is taken for volatile, and no longer counts.
    pub volatile: bool,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowExample {
    /// The route's path.
    pub route: String,
    /// The request's path, without its query.
    pub path: String,
    /// The request's correlation id, to find it in the logs.
    pub correlation: String,
    /// Where the answers differ.
    pub field: String,
    /// What the monolith answered there; its kind, unless the plan asks for
    /// values.
    pub monolith: String,
    /// What the service answered there.
    pub service: String,
}

/// The request that a comparison was of.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The route's path.
    pub(crate) route: String,
    pub(crate) path: String,
    pub(crate) correlation: String,
}

/// The findings of one extraction.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Findings>);

#[derive(Debug, Default)]
struct Findings {
    routes: BTreeMap<String, OfRoute>,
    writes: [u64; Copied::COUNT],
    examples: VecDeque<ShadowExample>,
}

#[derive(Debug, Default)]
struct OfRoute {
    outcomes: [u64; Outcome::COUNT],
    fields: BTreeMap<Spot, OfField>,
    /// Reads in which only volatile fields differed.
    doubted: u32,
}

#[derive(Debug, Default)]
struct OfField {
    differed: u64,
    changed: u64,
    evidence: Evidence,
}

impl OfField {
    fn is_volatile(&self, spot: &Spot) -> bool {
        can_be_volatile(spot) && self.evidence.is_volatile()
    }
}

impl OfRoute {
    fn knows_as_volatile(&self, spot: &Spot) -> bool {
        let known = self.fields.get(spot);
        known.is_some_and(|field| field.is_volatile(spot))
    }

    fn field(&mut self, spot: &Spot) -> Option<&mut OfField> {
        let has_room = self.fields.len() < FIELDS_MAX;
        if has_room || self.fields.contains_key(spot) {
            return Some(self.fields.entry(spot.clone()).or_default());
        }
        None
    }
}

impl Findings {
    fn route(&mut self, route: &str) -> &mut OfRoute {
        let has_room = self.routes.len() < ROUTES_MAX || self.routes.contains_key(route);
        let route = if has_room { route } else { OTHER };
        self.routes.entry(route.to_owned()).or_default()
    }
}

impl Ledger {
    pub(crate) fn count(&self, route: &str, outcome: Outcome) {
        self.0.lock().route(route).outcomes[outcome as usize] += 1;
    }

    pub(crate) fn copied(&self, copied: Copied) {
        self.0.lock().writes[copied as usize] += 1;
    }

    /// Whether all of these are known to be different each time, so that asking
    /// once more would tell nothing. Not always, lest they be known for good.
    pub(crate) fn are_volatile(&self, route: &str, differences: &[Difference]) -> bool {
        let mut findings = self.0.lock();
        let route = findings.route(route);
        let known = |one: &Difference| route.knows_as_volatile(&one.spot);
        if !differences.iter().all(known) {
            return false;
        }
        route.doubted = route.doubted.wrapping_add(1);
        !route.doubted.is_multiple_of(DOUBT)
    }

    /// Notes what two pairs of answers say, and what that makes of the read.
    pub(crate) fn note(&self, subject: &Subject, mut verdict: Verdict) -> Outcome {
        let mut findings = self.0.lock();
        let route = findings.route(&subject.route);
        let steady = verdict.lasting.iter().map(|one| &one.spot);
        let steady = steady.chain(&verdict.passing).map(|spot| (spot, false));
        let changed = verdict.volatile.iter().map(|spot| (spot, true));
        for (spot, changed) in steady.chain(changed) {
            if let Some(field) = route.field(spot) {
                field.evidence.add(changed);
                field.changed += u64::from(changed);
            }
        }
        let before = verdict.lasting.len();
        verdict
            .lasting
            .retain(|one| !route.knows_as_volatile(&one.spot));
        let was_volatile = verdict.lasting.len() < before || !verdict.volatile.is_empty();
        for one in &verdict.lasting {
            if let Some(field) = route.field(&one.spot) {
                field.differed += 1;
            }
        }
        for one in verdict.lasting.iter().take(EXAMPLES_OF_ONE_MAX) {
            if findings.examples.len() == EXAMPLES_MAX {
                findings.examples.pop_front();
            }
            findings.examples.push_back(example(subject, one));
        }
        match (verdict.lasting.is_empty(), was_volatile) {
            (false, _) => Outcome::Different,
            (true, true) => Outcome::Volatile,
            (true, false) => Outcome::Lagged,
        }
    }

    /// `share` is what the plan says.
    pub(crate) fn report(&self, share: Option<String>) -> ShadowReport {
        let findings = self.0.lock();
        let mut all = [0; Outcome::COUNT];
        for route in findings.routes.values() {
            for (sum, count) in all.iter_mut().zip(route.outcomes) {
                *sum += count;
            }
        }
        let reads = ReadCounts::of(all);
        let [equal, different, unanswered, dropped] = findings.writes;
        let routes = findings.routes.iter();
        let mut fields: Vec<ShadowField> = routes.clone().flat_map(fields).collect();
        fields.sort_by_key(|field| (field.volatile, u64::MAX - field.differed));
        ShadowReport {
            share,
            compared: reads.compared(),
            differing: reads.differing(),
            reads,
            writes: WriteCounts {
                equal,
                different,
                unanswered,
                dropped,
            },
            routes: routes
                .map(|(path, route)| (path.clone(), ReadCounts::of(route.outcomes)))
                .collect(),
            fields,
            examples: findings.examples.iter().cloned().collect(),
            declared: Vec::new(),
            read_writes: BTreeMap::new(),
        }
    }
}

impl ReadCounts {
    fn of(outcomes: [u64; Outcome::COUNT]) -> Self {
        let [
            equal,
            different,
            unanswered,
            volatile,
            lagged,
            unknown,
            skipped,
            dropped,
        ] = outcomes;
        Self {
            equal,
            different,
            unanswered,
            volatile,
            lagged,
            unknown,
            skipped,
            dropped,
        }
    }

    /// How many were compared.
    pub fn compared(&self) -> u64 {
        self.equal + self.different + self.unanswered + self.volatile + self.lagged
    }

    /// Of those compared, the share in which the sides differ or the other one
    /// did not answer, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share, and far below 2^53")]
    pub fn differing(&self) -> Option<f64> {
        let compared = self.compared();
        (compared > 0).then(|| (self.different + self.unanswered) as f64 / compared as f64)
    }
}

fn fields<'a>(
    (path, route): (&'a String, &'a OfRoute),
) -> impl Iterator<Item = ShadowField> + use<'a> {
    route.fields.iter().map(|(spot, field)| ShadowField {
        route: path.clone(),
        field: spot.to_string(),
        differed: field.differed,
        changed: field.changed,
        volatile: field.is_volatile(spot),
    })
}

fn example(subject: &Subject, difference: &Difference) -> ShadowExample {
    let mut path = subject.path.clone();
    path.truncate(path.floor_char_boundary(PATH_BYTES_MAX));
    ShadowExample {
        route: subject.route.clone(),
        path,
        correlation: subject.correlation.clone(),
        field: difference.spot.to_string(),
        monolith: difference.monolith.clone(),
        service: difference.service.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(field: usize) -> Spot {
        Spot::Field(format!("$.f{field}"))
    }

    fn difference(field: usize) -> Difference {
        Difference {
            spot: spot(field),
            monolith: "integer".to_owned(),
            service: "null".to_owned(),
        }
    }

    fn subject() -> Subject {
        Subject {
            route: "/x/*".to_owned(),
            path: "/x/1".to_owned(),
            correlation: "id".to_owned(),
        }
    }

    fn lasting(fields: impl IntoIterator<Item = usize>) -> Verdict {
        Verdict {
            lasting: fields.into_iter().map(difference).collect(),
            volatile: Vec::new(),
            passing: Vec::new(),
        }
    }

    #[test]
    fn findings_are_counted_and_bounded() {
        let ledger = Ledger::default();
        ledger.count("/x/*", Outcome::Equal);
        ledger.count("/x/*", Outcome::Dropped);
        for at in 0..FIELDS_MAX + 5 {
            assert_eq!(ledger.note(&subject(), lasting([at])), Outcome::Different);
            ledger.count("/x/*", Outcome::Different);
        }
        let report = ledger.report(None);
        assert_eq!((report.reads.equal, report.reads.dropped), (1, 1));
        assert_eq!(report.compared, FIELDS_MAX as u64 + 6);
        assert!(report.differing.unwrap() > 0.99);
        assert_eq!(report.fields.len(), FIELDS_MAX);
        assert_eq!(report.examples.len(), EXAMPLES_MAX);
        assert_eq!(report.examples[EXAMPLES_MAX - 1].field, "$.f104");
        // One comparison leaves a few examples, however much differs in it.
        assert_eq!(ledger.note(&subject(), lasting(0..50)), Outcome::Different);
        let examples = ledger.report(None).examples;
        assert_eq!(examples[EXAMPLES_MAX - 6].field, "$.f104");
        for at in 0..ROUTES_MAX + 5 {
            ledger.count(&format!("/{at}"), Outcome::Equal);
        }
        let report = ledger.report(None);
        assert_eq!(report.routes.len(), ROUTES_MAX + 1);
        assert_eq!(report.routes[OTHER].equal, 6);
    }

    #[test]
    fn what_changes_each_time_is_learned_and_doubted() {
        let ledger = Ledger::default();
        let volatile = |spot: Spot| Verdict {
            volatile: vec![spot],
            ..lasting([])
        };
        let both = [difference(1), difference(2)];
        for _ in 0..3 {
            assert!(!ledger.are_volatile("/x/*", &both[..1]));
            let outcome = ledger.note(&subject(), volatile(spot(1)));
            assert_eq!(outcome, Outcome::Volatile);
        }
        assert!(!ledger.are_volatile("/x/*", &both));
        assert!(!ledger.are_volatile("/y", &both[..1]));
        let known = (0..2 * DOUBT).filter(|_| ledger.are_volatile("/x/*", &both[..1]));
        assert_eq!(known.count(), 2 * DOUBT as usize - 2);
        // It does not count any more, until it has been steady as often.
        assert_eq!(ledger.note(&subject(), lasting([1])), Outcome::Volatile);
        assert_eq!(ledger.note(&subject(), lasting([1, 2])), Outcome::Different);
        let report = ledger.report(None);
        let field = |at: usize| (report.fields[at].field.as_str(), report.fields[at].volatile);
        assert_eq!((field(0), field(1)), (("$.f2", false), ("$.f1", true)));
        for _ in 0..2 {
            ledger.note(&subject(), lasting([1]));
        }
        assert_eq!(ledger.note(&subject(), lasting([1])), Outcome::Different);
        // A status is never taken for that.
        for _ in 0..9 {
            ledger.note(&subject(), volatile(Spot::Status));
        }
        let status = Difference {
            spot: Spot::Status,
            ..difference(0)
        };
        assert!(!ledger.are_volatile("/x/*", &[status]));
    }

    #[test]
    fn nothing_compared_is_no_share() {
        let ledger = Ledger::default();
        ledger.count("/x/*", Outcome::Skipped);
        assert_eq!(ledger.report(None).differing, None);
        ledger.count("/x/*", Outcome::Lagged);
        assert_eq!(ledger.report(None).differing, Some(0.0));
        ledger.count("/x/*", Outcome::Unanswered);
        assert_eq!(ledger.report(None).differing, Some(0.5));
        ledger.copied(Copied::Different);
        assert_eq!(ledger.report(None).writes.different, 1);
    }
}
