//! The evidence that nobody uses an old side any more.
//!
//! Each sample has what the monolith's server has counted of the old tables since its
//! statistics were reset, and how many requests reached the monolith by the extraction's
//! routes since the sample before. What was counted while nobody sampled is in the next
//! sample, so a restart costs nothing. Where the statistics are not those of the sample
//! before, the evidence begins anew.
//!
//! Time is what two clocks agree on, this host's and the database's: one that is set
//! ahead proves nothing.

use crate::rollout::UnixMillis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// What a server has counted of the old tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableUse {
    /// Whose statistics these are, and since when: they change when those begin anew.
    pub statistics: String,
    /// The server's clock.
    pub at: UnixMillis,
    /// By table, the tables below a partitioned one included in it. One that is gone is
    /// not there.
    pub tables: BTreeMap<String, UseCounts>,
}

/// How often a table was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UseCounts {
    /// Scans begun, of the table or an index.
    pub reads: i64,
    /// Rows inserted, updated and deleted.
    pub writes: i64,
}

/// Who came by an old way to the monolith.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OldCaller {
    /// By which method and route of the plan.
    pub route: String,
    /// What it calls itself, without its version: `curl`, `browser`, `none`.
    pub agent: String,
    /// How often.
    pub requests: u64,
    /// How often it was refused, in a brown-out.
    pub refused: u64,
}

/// The most callers that are told apart; the rest are one.
const CALLERS_MAX: usize = 200;

/// Adds what came since.
pub fn add_callers(all: &mut Vec<OldCaller>, more: Vec<OldCaller>) {
    for one in more {
        let is_full = all.len() >= CALLERS_MAX;
        let same = |it: &&mut OldCaller| it.route == one.route && it.agent == one.agent;
        if let Some(known) = all.iter_mut().find(same) {
            known.requests = known.requests.saturating_add(one.requests);
            known.refused = known.refused.saturating_add(one.refused);
        } else if !is_full {
            all.push(one);
        } else if let Some(rest) = all.last_mut() {
            "other routes".clone_into(&mut rest.route);
            "others".clone_into(&mut rest.agent);
            rest.requests = rest.requests.saturating_add(one.requests);
            rest.refused = rest.refused.saturating_add(one.refused);
        }
    }
}

/// For how long something was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// Since when.
    pub since: UnixMillis,
    /// How long that is, by both clocks.
    pub quiet_ms: i64,
    /// Why it began then.
    pub because: String,
}

/// What was seen of an old side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of its tables.
    pub tables: Quiet,
    /// Of its routes.
    pub routes: Quiet,
    /// The last sample: this host's clock, and what the server had counted.
    pub last_at: UnixMillis,
    /// What the server had counted then.
    pub last: TableUse,
}

impl Quiet {
    fn began(since: UnixMillis, because: &str) -> Self {
        Self {
            since,
            quiet_ms: 0,
            because: because.to_owned(),
        }
    }

    fn went_on(self, elapsed_ms: i64) -> Self {
        Self {
            quiet_ms: self.quiet_ms.saturating_add(elapsed_ms),
            ..self
        }
    }

    /// Whether it was so for as long as this.
    pub fn is_for(&self, wanted: Duration) -> bool {
        i128::from(self.quiet_ms) >= i128::try_from(wanted.as_millis()).unwrap_or(i128::MAX)
    }
}

impl Evidence {
    /// With the first sample.
    pub fn begun(at: UnixMillis, sample: TableUse) -> Self {
        let because = "it was looked at from then on";
        Self {
            tables: Quiet::began(at, because),
            routes: Quiet::began(at, because),
            last_at: at,
            last: sample,
        }
    }

    /// With one more. `requests`: those that reached the monolith since the last.
    #[must_use]
    pub fn sampled(self, at: UnixMillis, sample: TableUse, requests: u64) -> Self {
        let by_us = at.0.saturating_sub(self.last_at.0);
        let by_server = sample.at.0.saturating_sub(self.last.at.0);
        let elapsed = by_us.min(by_server).max(0);
        let tables = match broken(&self.last, &sample) {
            Some(because) => Quiet::began(at, &because),
            None => self.tables.went_on(elapsed),
        };
        let routes = if requests > 0 {
            let because = format!(
                "{requests} requests for its routes came to the monolith, or were refused there"
            );
            Quiet::began(at, &because)
        } else {
            self.routes.went_on(elapsed)
        };
        Self {
            tables,
            routes,
            last_at: at,
            last: sample,
        }
    }
}

/// Why the evidence on tables begins anew, if it does.
fn broken(before: &TableUse, now: &TableUse) -> Option<String> {
    if before.statistics != now.statistics {
        return Some("the server's statistics were reset, or are another server's".to_owned());
    }
    if !before.tables.keys().eq(now.tables.keys()) {
        return Some("other tables are there than before".to_owned());
    }
    let pairs = before.tables.iter().zip(now.tables.values());
    for ((table, before), now) in pairs {
        let (reads, writes) = (now.reads - before.reads, now.writes - before.writes);
        if reads < 0 || writes < 0 {
            return Some(format!("the statistics of {table} were reset"));
        }
        if reads > 0 || writes > 0 {
            return Some(format!(
                "{table} was read {reads} times, and {writes} rows of it written"
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64, statistics: &str, reads: i64, writes: i64) -> TableUse {
        let counts = UseCounts { reads, writes };
        TableUse {
            statistics: statistics.to_owned(),
            at: UnixMillis(at),
            tables: BTreeMap::from([("a".to_owned(), counts)]),
        }
    }

    fn seen(samples: &[(i64, TableUse, u64)]) -> Evidence {
        let (first, rest) = samples.split_first().unwrap();
        let begun = Evidence::begun(UnixMillis(first.0), first.1.clone());
        rest.iter().fold(begun, |evidence, (at, one, requests)| {
            evidence.sampled(UnixMillis(*at), one.clone(), *requests)
        })
    }

    #[test]
    fn what_is_used_begins_anew_and_the_other_goes_on() {
        let one = |at| (at, sample(at, "s", 5, 7), 0);
        let quiet = seen(&[one(0), one(1_000), one(60_000)]);
        assert_eq!(
            (quiet.tables.quiet_ms, quiet.routes.quiet_ms),
            (60_000, 60_000)
        );
        assert!(quiet.tables.is_for(Duration::from_mins(1)));
        assert!(!quiet.tables.is_for(Duration::from_millis(60_001)));
        for (now, words) in [
            (sample(2_000, "s", 6, 7), "read 1 times"),
            (sample(2_000, "s", 5, 9), "2 rows of it written"),
            // Also where more was counted anew than before.
            (sample(2_000, "t", 5, 7), "another server's"),
            (sample(2_000, "s", 0, 7), "of a were reset"),
        ] {
            let used = seen(&[one(0), one(1_000), (2_000, now, 0)]);
            assert!(used.tables.because.contains(words), "{used:?}");
            assert_eq!(used.tables.quiet_ms, 0);
            assert_eq!(used.tables.since, UnixMillis(2_000));
            assert_eq!(used.routes.quiet_ms, 2_000);
        }
        let called = seen(&[one(0), (1_000, sample(1_000, "s", 5, 7), 3), one(3_000)]);
        assert!(called.routes.because.contains("3 requests"));
        assert_eq!(
            (called.routes.quiet_ms, called.tables.quiet_ms),
            (2_000, 3_000)
        );
        let mut gone = sample(1_000, "s", 5, 7);
        gone.tables.clear();
        let gone = seen(&[one(0), (1_000, gone, 0)]);
        assert!(gone.tables.because.contains("other tables"));
    }

    #[test]
    fn callers_are_added_up_and_bounded() {
        let one = |route: String, refused| OldCaller {
            route,
            agent: "curl".to_owned(),
            requests: 2,
            refused,
        };
        let mut all = Vec::new();
        for at in 0..CALLERS_MAX + 5 {
            add_callers(
                &mut all,
                vec![one(format!("/{at}"), 0), one(format!("/{at}"), 1)],
            );
        }
        assert_eq!(all.len(), CALLERS_MAX);
        assert_eq!((all[0].requests, all[0].refused), (4, 1));
        let rest = all.last().unwrap();
        assert_eq!(
            (rest.agent.as_str(), rest.requests, rest.refused),
            ("others", 24, 6)
        );
    }

    #[test]
    fn a_clock_that_is_set_proves_nothing() {
        let day = 86_400_000;
        let use_at = |at| sample(at, "s", 0, 0);
        // Ours jumps ahead; the server's does; ours goes back, and on.
        let ahead = seen(&[(0, use_at(0), 0), (14 * day, use_at(1_000), 0)]);
        assert_eq!(ahead.tables.quiet_ms, 1_000);
        let ahead = seen(&[(0, use_at(0), 0), (1_000, use_at(14 * day), 0)]);
        assert_eq!(ahead.routes.quiet_ms, 1_000);
        let back = seen(&[
            (day, use_at(0), 0),
            (0, use_at(1_000), 0),
            (1_000, use_at(2_000), 0),
        ]);
        assert_eq!(back.tables.quiet_ms, 1_000);
    }
}
