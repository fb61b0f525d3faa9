//! What the fences refuse, and what their sides answered with 5xx meanwhile.
//!
//! A fence counts in its database and knows no request; the gateway knows routes
//! and no statement. Here both are looked at together: what a side answered with
//! 5xx within a few seconds of a refusal is probably what was refused.

mod correlation;

use super::local_mover::LocalMover;
use conductor::status::{FailedRoute, RefusalStatus};
use correlation::Correlation;
use gateway::{FailedKind, Gateway};
use plan::{ExtractionName, Plan, ServiceName};
use protocol::Side;
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How often both are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The most routes that are told of a side.
const ROUTES_MAX: usize = 20;

/// One extraction.
struct Watched {
    mover: Arc<LocalMover>,
    service: ServiceName,
    /// The monolith's first.
    sides: [Correlation<FailedKind>; 2],
}

/// Looks at all extractions whose data move.
pub(super) struct RefusalWatch {
    gateway: Gateway,
    watched: Mutex<BTreeMap<ExtractionName, Watched>>,
}

impl RefusalWatch {
    pub(super) fn new(
        gateway: &Gateway,
        plan: &Plan,
        movers: &BTreeMap<ExtractionName, Arc<LocalMover>>,
    ) -> Self {
        let watched = |(name, mover): (&ExtractionName, &Arc<LocalMover>)| {
            let watched = Watched {
                mover: Arc::clone(mover),
                service: plan.extractions.get(name)?.service.clone(),
                sides: Default::default(),
            };
            Some((name.clone(), watched))
        };
        Self {
            gateway: gateway.clone(),
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
                failed: routes(extraction, watched.sides[index(side)].found()),
            })
        };
        Side::BOTH.into_iter().filter_map(status).collect()
    }
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Service)
}

fn routes(extraction: &ExtractionName, found: &BTreeMap<FailedKind, u64>) -> Vec<FailedRoute> {
    let route = |(kind, answers): (&FailedKind, &u64)| FailedRoute {
        method: kind.method.to_owned(),
        path: kind.path.clone(),
        has_route: kind.has_route,
        is_read: kind.is_read && kind.extraction.as_ref() == Some(extraction),
        answers: *answers,
    };
    let mut routes: Vec<_> = found.iter().map(route).collect();
    routes.sort_by_key(|route| Reverse(route.answers));
    routes.truncate(ROUTES_MAX);
    routes
}
