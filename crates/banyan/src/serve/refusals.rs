//! What the fences refuse, and what their sides answered with 5xx meanwhile.
//!
//! A fence counts in its database and knows no request; the gateway knows routes
//! and no statement. Here both are looked at together: what a side answered with
//! 5xx within a few seconds of a refusal is probably what was refused.

mod correlation;

use super::{current_plan::CurrentPlan, local_mover::LocalMover};
use conductor::status::{FailedRoute, RefusalStatus};
use correlation::Correlation;
use gateway::{FailedKind, Gateway};
use plan::{ExtractionName, MethodKind, Route, ServiceName};
use protocol::Side;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How often both are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The most routes that are told of a side.
const ROUTES_MAX: usize = 20;

/// So many answers make a route of reads one whose reads write: fewer may have
/// another cause.
const WITNESSES: u64 = 3;

/// One extraction.
struct Watched {
    mover: Arc<LocalMover>,
    service: ServiceName,
    /// Routes, by method and path, whose reads somebody wants shifted all the same.
    waived: BTreeSet<(String, String)>,
    /// The monolith's first.
    sides: [Correlation<FailedKind>; 2],
}

/// Looks at all extractions whose data move.
pub(super) struct RefusalWatch {
    gateway: Gateway,
    current: CurrentPlan,
    watched: Mutex<BTreeMap<ExtractionName, Watched>>,
}

impl RefusalWatch {
    pub(super) fn new(
        gateway: &Gateway,
        current: &CurrentPlan,
        movers: &BTreeMap<ExtractionName, Arc<LocalMover>>,
    ) -> Self {
        let plan = current.get();
        let watched = |(name, mover): (&ExtractionName, &Arc<LocalMover>)| {
            let watched = Watched {
                mover: Arc::clone(mover),
                service: plan.extractions.get(name)?.service.clone(),
                waived: BTreeSet::new(),
                sides: Default::default(),
            };
            Some((name.clone(), watched))
        };
        Self {
            gateway: gateway.clone(),
            current: current.clone(),
            watched: Mutex::new(movers.iter().filter_map(watched).collect()),
        }
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<ExtractionName, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks, for ever.
    pub(super) async fn run(&self) {
        loop {
            self.look();
            tokio::time::sleep(LOOK).await;
        }
    }

    fn look(&self) {
        let failed = self.gateway.failed_answers();
        for watched in self.watched().values_mut() {
            for side in Side::BOTH {
                let Some(refused) = watched.mover.refused(side) else {
                    continue;
                };
                let upstream = match side {
                    Side::Monolith => side.as_str(),
                    Side::Service => watched.service.as_str(),
                };
                let of_side = failed.iter().filter(|(kind, _)| kind.upstream == upstream);
                let counts = of_side.map(|(kind, count)| (kind.clone(), *count));
                watched.sides[index(side)].look(refused.statements, counts.collect());
            }
        }
    }

    /// What an extraction's fences have refused.
    pub(super) fn of(&self, extraction: &ExtractionName) -> Vec<RefusalStatus> {
        let watched = self.watched();
        let Some(watched) = watched.get(extraction) else {
            return Vec::new();
        };
        let status = |side| {
            let refused = watched.mover.refused(side)?;
            (refused.statements > 0).then(|| RefusalStatus {
                side: side.to_string(),
                statements: refused.statements,
                first_seen: refused.first_seen,
                last_seen: refused.last_seen,
                last_seen_ms: refused.last_seen_ms,
                failed: routes(extraction, watched.sides[index(side)].found()),
            })
        };
        Side::BOTH.into_iter().filter_map(status).collect()
    }

    /// Routes of an extraction whose reads have written at the service within the last
    /// minutes, unless the plan sends them to the owner by now, or that was waived.
    pub(super) fn writing_reads(&self, extraction: &ExtractionName) -> Vec<FailedRoute> {
        let watched = self.watched();
        let Some(watched) = watched.get(extraction) else {
            return Vec::new();
        };
        let plan = self.current.get();
        let planned = plan.extractions.get(extraction);
        let found = watched.sides[index(Side::Service)].recently();
        let mut found = routes(extraction, found);
        found.retain(|route| {
            let is_read = planned.is_some_and(|planned| has_read(&planned.routes, route));
            route.is_read && is_read && writes(route, &watched.waived)
        });
        found
    }

    /// Has the routes that write now shifted all the same, until the process ends, and
    /// says which. One that is seen to write later is not among them.
    pub(super) fn waive(&self, extraction: &ExtractionName) -> Vec<FailedRoute> {
        let writing = self.writing_reads(extraction);
        if let Some(watched) = self.watched().get_mut(extraction) {
            watched.waived.extend(writing.iter().map(identity));
        }
        writing
    }
}

fn identity(route: &FailedRoute) -> (String, String) {
    (route.method.clone(), route.path.clone())
}

/// Whether enough answers show that it writes, and nobody has waived that.
fn writes(route: &FailedRoute, waived: &BTreeSet<(String, String)>) -> bool {
    route.answers >= WITNESSES && !waived.contains(&identity(route))
}

/// Whether the route that such requests come by takes them for reads.
fn has_read(routes: &[Route], failed: &FailedRoute) -> bool {
    let method = failed.method.as_str();
    let takes = |route: &&Route| {
        let methods = route.methods.as_ref();
        let is = |one: &String| one == method || (method == "HEAD" && one == "GET");
        methods.is_none_or(|methods| methods.iter().any(is))
    };
    routes
        .iter()
        .filter(|route| route.path.to_string() == failed.path)
        .filter(takes)
        .min_by(|one, other| one.by_priority(other))
        .is_some_and(|route| route.kind(method) == MethodKind::Read)
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Service)
}

fn routes<'a>(
    extraction: &ExtractionName,
    found: impl Iterator<Item = (&'a FailedKind, u64)>,
) -> Vec<FailedRoute> {
    let route = |(kind, answers): (&FailedKind, u64)| FailedRoute {
        method: kind.method.to_owned(),
        path: kind.path.clone(),
        has_route: kind.has_route,
        is_read: kind.is_read && kind.extraction.as_ref() == Some(extraction),
        answers,
    };
    let mut routes: Vec<_> = found.map(route).collect();
    routes.sort_by_key(|route| Reverse(route.answers));
    routes.truncate(ROUTES_MAX);
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiver_is_of_the_routes_that_it_names() {
        let route = |path: &str, answers| FailedRoute {
            method: "GET".to_owned(),
            path: path.to_owned(),
            has_route: true,
            is_read: true,
            answers,
        };
        let seen = route("/seen", WITNESSES);
        assert!(writes(&seen, &BTreeSet::new()));
        let waived = BTreeSet::from([identity(&seen)]);
        assert!(!writes(&seen, &waived));
        assert!(writes(&route("/later", WITNESSES), &waived));
        assert!(!writes(&route("/later", WITNESSES - 1), &waived));
    }
}
