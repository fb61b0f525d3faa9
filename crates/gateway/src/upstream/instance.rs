//! One instance of an upstream, as all workers share it.

use super::{
    addresses::Addresses,
    instance_health::{Ejection, Health},
};
use parking_lot::Mutex;
use plan::{HostAddresses, UpstreamUrl};
use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// One instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) url: UpstreamUrl,
    pub(crate) addresses: Addresses,
    started: Instant,
    healthy: AtomicBool,
    checked: Mutex<Checked>,
    /// Requests that failed since one succeeded.
    failing: AtomicU32,
    ejection: Mutex<Ejection>,
    /// In nanoseconds from `started`; 0: not ejected.
    ejected_until: AtomicU64,
    pub(crate) ejections: AtomicU64,
}

/// What checks have shown.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    health: Health,
    /// Since when it has been as healthy as it is, where that was seen.
    pub(crate) since: Option<Instant>,
    /// What was wrong when a check failed last; none while it is well.
    pub(crate) problem: Option<String>,
    pub(crate) last: Option<LastCheck>,
}

/// The last check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastCheck {
    pub(crate) at: Instant,
    pub(crate) passed: bool,
}

impl Instance {
    pub(crate) fn new(url: &UpstreamUrl, resolve: &HostAddresses, started: Instant) -> Self {
        Self {
            url: url.clone(),
            addresses: Addresses::new(url, resolve),
            started,
            healthy: AtomicBool::new(true),
            checked: Mutex::new(Checked {
                health: Health::UNCHECKED,
                since: None,
                problem: None,
                last: None,
            }),
            failing: AtomicU32::new(0),
            ejection: Mutex::default(),
            ejected_until: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
        }
    }

    /// Whether requests should be sent to it.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_healthy() && !self.is_ejected()
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Only where it was ejected before is the clock asked.
    pub(crate) fn is_ejected(&self) -> bool {
        let until = self.ejected_until.load(Ordering::Relaxed);
        if until == 0 || self.started.elapsed() < Duration::from_nanos(until) {
            return until > 0;
        }
        // It is over. Where another ejection came meanwhile, that one counts.
        let (order, none) = (Ordering::Relaxed, 0);
        let _ = self
            .ejected_until
            .compare_exchange(until, none, order, order);
        false
    }

    /// Whether nothing that was sent to it lately has succeeded.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn last_checked(&self) -> Checked {
        self.checked.lock().clone()
    }

    /// A check ended.
    pub(crate) fn checked(&self, result: Result<(), String>, checks: &plan::HealthChecks) {
        let mut checked = self.checked.lock();
        let passed = result.is_ok();
        let (was, at) = (checked.health.is_healthy(), Instant::now());
        checked.health = checked.health.after(passed, checks);
        let is = checked.health.is_healthy();
        checked.last = Some(LastCheck { at, passed });
        if was != is || checked.since.is_none() {
            checked.since = Some(at);
        }
        match result {
            Err(problem) => checked.problem = Some(problem),
            Ok(()) if is => checked.problem = None,
            Ok(()) => {}
        }
        self.healthy.store(is, Ordering::Relaxed);
        match (was, is) {
            (true, false) => tracing::warn!(instance = %self.url, problem = checked.problem,
                "instance is unhealthy"),
            (false, true) => tracing::info!(instance = %self.url, "instance is healthy again"),
            _ => {}
        }
    }

    /// A request was answered, and not with a gateway error.
    pub(crate) fn succeeded(&self, settings: Option<&plan::Ejection>) {
        if self.is_failing() {
            self.failing.store(0, Ordering::Relaxed);
            if let Some(settings) = settings {
                self.ejection.lock().succeeded(Instant::now(), settings);
            }
        }
    }

    /// A request failed: no connection, no answer, or a gateway error.
    pub(crate) fn failed(&self, settings: Option<&plan::Ejection>) {
        self.failing.fetch_add(1, Ordering::Relaxed);
        let Some(settings) = settings else { return };
        let until = self.ejection.lock().failed(Instant::now(), settings);
        if let Some(until) = until {
            let end = until.saturating_duration_since(self.started).as_nanos();
            let end = u64::try_from(end).unwrap_or(u64::MAX);
            self.ejected_until.store(end, Ordering::Relaxed);
            self.ejections.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(instance = %self.url, "instance is ejected for a while");
        }
    }
}
