//! What the plan says and cannot be, as far as the plan alone shows it.

use super::Plan;
use crate::{
    base::ExtractionName,
    extraction::{Extraction, GateSource, MeasuredGate},
    route::Route,
};
use std::time::Duration;

/// Something that the plan says and that cannot be as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oversight {
    /// Another route matches the same, and takes all of it.
    NoRequest {
        /// The route that never gets a request.
        route: String,
        /// The one that gets them.
        by: String,
    },
    /// Groups are demanded where nobody says who they are: each request is refused.
    NobodyKnown {
        /// The route, or what no route matches.
        route: String,
    },
    /// A stop cuts off answers for which the plan would wait.
    StopCutsOff {
        /// The route that waits longest, or what no route matches.
        route: String,
        /// How long.
        first_byte: Duration,
        /// How long a stop waits.
        grace: Duration,
    },
    /// An old side goes before every job has shown that it uses it.
    QuietIsShort {
        /// Of which extraction.
        extraction: ExtractionName,
        /// For how long nobody may have used it.
        quiet: Duration,
    },
    /// A gate cannot pass in the time that its step lasts.
    GateOutlastsStep {
        /// Of which extraction.
        extraction: ExtractionName,
        /// The step, from 1.
        step: usize,
        /// Its gate.
        gate: String,
        /// How long it takes at least.
        takes: Duration,
    },
}

/// What runs by night shows in that.
const QUIET_MIN: Duration = Duration::from_hours(24);

/// What no route matches, in words.
const REST: &str = "what no route matches";

impl Plan {
    /// What it says and cannot be.
    pub fn oversights(&self) -> Vec<Oversight> {
        let ways = self.ways();
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| REST.to_owned());
        let mut found = Vec::new();
        for (at, way) in ways.iter().enumerate() {
            let takes_all = |earlier: &&super::exposure::Way<'_>| {
                earlier.route.zip(way.route).is_some_and(is_same_match)
            };
            if let Some(first) = ways[..at].iter().find(takes_all) {
                found.push(Oversight::NoRequest {
                    route: name(&way.name),
                    by: name(&first.name),
                });
            }
            let policies = &way.policies;
            let knows_nobody = policies.keys.is_none() && policies.jwt.is_none();
            if policies.groups.is_some() && knows_nobody {
                found.push(Oversight::NobodyKnown {
                    route: name(&way.name),
                });
            }
        }
        let longest = ways.iter().map(|way| (way.first_byte(), way));
        if let Some((first_byte, way)) = longest.max_by_key(|(first_byte, _)| *first_byte)
            && first_byte > self.gateway.grace
        {
            found.push(Oversight::StopCutsOff {
                route: name(&way.name),
                first_byte,
                grace: self.gateway.grace,
            });
        }
        for extraction in self.extractions.values() {
            found.extend(short_quiet(extraction));
            found.extend(long_gates(extraction));
        }
        found
    }
}

fn short_quiet(extraction: &Extraction) -> Option<Oversight> {
    let quiet = extraction.retire?.quiet;
    (quiet < QUIET_MIN).then(|| Oversight::QuietIsShort {
        extraction: extraction.name.clone(),
        quiet,
    })
}

/// The first such gate of each step. One that ends once its gates pass has no time of its
/// own.
fn long_gates(extraction: &Extraction) -> Vec<Oversight> {
    let steps = extraction.schedule.iter().flat_map(|one| &one.steps);
    let steps = (1..).zip(steps).filter(|(_, step)| !step.lasts.is_zero());
    let long = steps.filter_map(|(number, step)| {
        let gates = step.gates.measured.iter().filter(|gate| !gate.dry_run);
        let mut gates = gates.map(|gate| (gate, soonest(gate)));
        let (gate, takes) = gates.find(|(_, takes)| *takes > step.lasts)?;
        Some(Oversight::GateOutlastsStep {
            extraction: extraction.name.clone(),
            step: number,
            gate: gate.name.clone(),
            takes,
        })
    });
    long.collect()
}

/// When a gate passes at the soonest.
fn soonest(gate: &MeasuredGate) -> Duration {
    match &gate.source {
        GateSource::Prometheus(query) => query.max_age + gate.held_for,
        GateSource::Webhook(_) | GateSource::Command(_) => gate.held_for,
    }
}

/// Whether both match the same requests, whatever becomes of those.
fn is_same_match((one, other): (&Route, &Route)) -> bool {
    let methods = |route: &Route| {
        let mut methods = route.methods.clone();
        if let Some(methods) = &mut methods {
            methods.sort_unstable();
        }
        methods
    };
    one.path == other.path
        && one.host == other.host
        && methods(one) == methods(other)
        && one.operations == other.operations
        && one.headers.len() == other.headers.len()
        && one
            .headers
            .iter()
            .all(|header| other.headers.contains(header))
}
