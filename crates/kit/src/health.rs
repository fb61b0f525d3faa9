//! Whether the service lives, and whether it can work.
//!
//! Live is whoever answers. Ready is who is not about to stop and has every
//! dependency that it cannot do without; what it can do without is only told.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long one check may take; then it has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a result is cached: however often readiness is asked, a dependency is
/// not asked more often.
const KEPT: Duration = Duration::from_millis(500);

/// Whether the service can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Without it the service is not ready.
    Required,
    /// Without it the service does less.
    Optional,
}

type CheckFunction = dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// One dependency.
pub(crate) struct Check {
    name: &'static str,
    need: Need,
    ask: Box<CheckFunction>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, need, .. } = self;
        write!(f, "{name} ({need:?})")
    }
}

impl Check {
    pub(crate) fn new<F, A, E>(name: &'static str, need: Need, ask: A) -> Self
    where
        A: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let ask = move || {
            let answer = ask();
            async move { answer.await.map_err(|error| error.to_string()) }.boxed()
        };
        Self {
            name,
            need,
            ask: Box::new(ask),
        }
    }

    async fn outcome(&self) -> Outcome {
        let begun = Instant::now();
        let answer = timeout(CHECK_TIMEOUT, (self.ask)()).await;
        let failure = match answer {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
        };
        Outcome {
            name: self.name,
            status: if failure.is_none() { "up" } else { "down" },
            required: self.need == Need::Required,
            milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            failure,
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, Serialize)]
struct Outcome {
    name: &'static str,
    status: &'static str,
    required: bool,
    milliseconds: u64,
    /// For the log only: it can name hosts and users.
    #[serde(skip)]
    failure: Option<String>,
}

impl Outcome {
    fn is_down(&self) -> bool {
        self.failure.is_some()
    }
}

/// Says what has changed, and only that: checks run often.
fn log_changes(before: &[Outcome], now: &[Outcome]) {
    for outcome in now {
        let was_down = before
            .iter()
            .any(|former| former.name == outcome.name && former.is_down());
        match &outcome.failure {
            Some(error) if !was_down => {
                tracing::warn!(check = outcome.name, error, "a dependency is away");
            }
            None if was_down => tracing::info!(check = outcome.name, "a dependency is back"),
            _ => {}
        }
    }
}

/// What `/health` and `/health/ready` answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    status: &'static str,
    service: &'static str,
    version: &'static str,
    checks: Vec<Outcome>,
}

impl Report {
    pub(crate) fn is_ready(&self) -> bool {
        self.status != DOWN
    }
}

const UP: &str = "healthy";
const DEGRADED: &str = "degraded";
const DOWN: &str = "unhealthy";

/// The checks of a service, and what they found last.
#[derive(Debug)]
pub(crate) struct Health {
    identity: crate::Identity,
    checks: Vec<Check>,
    stopping: AtomicBool,
    last: Mutex<Option<(Instant, Vec<Outcome>)>>,
}

impl Health {
    pub(crate) fn new(identity: crate::Identity, checks: Vec<Check>) -> Self {
        Self {
            identity,
            checks,
            stopping: AtomicBool::new(false),
            last: Mutex::new(None),
        }
    }

    /// From now on it is not ready, whatever the checks say.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn report(&self) -> Report {
        let checks = self.outcomes().await;
        let status = if self.stopping.load(Ordering::Relaxed)
            || checks.iter().any(|one| one.required && one.is_down())
        {
            DOWN
        } else if checks.iter().any(Outcome::is_down) {
            DEGRADED
        } else {
            UP
        };
        Report {
            status,
            service: self.identity.name,
            version: self.identity.version,
            checks,
        }
    }

    /// Who comes while the checks run waits for them and gets their answer.
    async fn outcomes(&self) -> Vec<Outcome> {
        let mut last = self.last.lock().await;
        if let Some((at, outcomes)) = &*last
            && at.elapsed() < KEPT
        {
            return outcomes.clone();
        }
        let outcomes = join_all(self.checks.iter().map(Check::outcome)).await;
        let before = last.as_ref().map_or(&[][..], |(_, outcomes)| outcomes);
        log_changes(before, &outcomes);
        *last = Some((Instant::now(), outcomes.clone()));
        outcomes
    }
}
