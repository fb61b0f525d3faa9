//! The instances of a service: what is known of each, and which one gets a
//! request. Of those whose breaker permits it, and not the one that has just
//! failed if there is another, it is the one with the fewest in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use resilience::window::Last;
use resilience::{Breaker, Permit, Probe, Round, Share, balance};

/// Of so many of the last requests, half must have failed.
const WINDOW: u32 = 20;
/// With fewer than these nothing is known.
const VOLUME: u32 = 10;
/// How long an instance gets no requests then.
const OPEN: Duration = Duration::from_secs(5);
/// It is tried again with one request at a time.
const PROBES: u32 = 1;

/// One instance of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) url: String,
    breaker: Mutex<Breaker<Last>>,
    in_flight: AtomicUsize,
}

/// A request in flight to an instance. Dropped without an end, it was
/// abandoned, and nothing was learned.
#[derive(Debug)]
pub(super) struct InFlight<'a> {
    pub(super) instance: &'a Instance,
    /// Where it is a probe whose end was not reported yet.
    probe: Option<Round>,
}

impl InFlight<'_> {
    pub(super) fn ended(mut self, failed: bool) {
        let now = Instant::now();
        let mut breaker = self.instance.breaker.lock();
        match self.probe.take() {
            None => breaker.record(now, failed),
            Some(round) if failed => breaker.end_probe(now, round, Probe::Failed),
            Some(round) => breaker.end_probe(now, round, Probe::Passed),
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(round) = self.probe.take() {
            let mut breaker = self.instance.breaker.lock();
            breaker.end_probe(Instant::now(), round, Probe::Abandoned);
        }
        self.instance.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Instance {
    pub(crate) fn new(url: String) -> Self {
        let window = Last::new(WINDOW, VOLUME, Share::from_basis_points(5_000));
        Self {
            url,
            breaker: Mutex::new(Breaker::new(window, OPEN, PROBES)),
            in_flight: AtomicUsize::new(0),
        }
    }

    fn begin(&self, now: Instant) -> Option<InFlight<'_>> {
        let probe = match self.breaker.lock().permit(now) {
            Permit::Closed => None,
            Permit::Probe(round) => Some(round),
            Permit::Refused(_) => return None,
        };
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(InFlight {
            instance: self,
            probe,
        })
    }
}

/// Chooses; `turn` goes round, so that equals are taken in turn. `None` where
/// no breaker permits a request.
pub(super) fn choose<'a>(
    instances: &'a [Arc<Instance>],
    turn: usize,
    failed: Option<&str>,
) -> Option<InFlight<'a>> {
    let now = Instant::now();
    let usable = |at: usize| instances[at].breaker.lock().would_permit(now);
    let load = |at: usize| {
        let has_failed = failed == Some(instances[at].url.as_str());
        (has_failed, instances[at].in_flight.load(Ordering::Relaxed))
    };
    let best = balance::least_loaded(instances.len(), turn, usable, load)?;
    // Another caller may have taken the only probe meanwhile.
    instances[best]
        .begin(now)
        .or_else(|| balance::in_turn(instances.len(), turn).find_map(|at| instances[at].begin(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(count: usize) -> Vec<Arc<Instance>> {
        let new = |number| Arc::new(Instance::new(format!("http://{number}")));
        (0..count).map(new).collect()
    }

    fn fail(all: &[Arc<Instance>], times: u32) {
        for _ in 0..times {
            choose(all, 0, None).unwrap().ended(true);
        }
    }

    #[test]
    fn load_is_spread_and_failures_are_avoided() {
        let all = instances(3);
        let in_flight: Vec<_> = (0..9)
            .map(|turn| choose(&all, turn, None).unwrap())
            .collect();
        for instance in &all {
            assert_eq!(instance.in_flight.load(Ordering::Relaxed), 3);
        }
        drop(in_flight);
        for turn in 0..9 {
            let chosen = choose(&all, turn, Some("http://1")).unwrap();
            assert_ne!(chosen.instance.url, "http://1");
        }
        let one = instances(1);
        assert!(
            choose(&one, 0, Some("http://0")).is_some(),
            "there is no other"
        );
        assert!(choose(&[], 3, None).is_none());
    }

    #[test]
    fn an_instance_that_fails_gets_no_requests() {
        let all = instances(2);
        for turn in 0..40 {
            let request = choose(&all, turn, None).unwrap();
            let fails = request.instance.url == "http://0";
            request.ended(fails);
        }
        for turn in 0..10 {
            assert_eq!(choose(&all, turn, None).unwrap().instance.url, "http://1");
        }
    }

    #[test]
    fn a_probe_is_alone_and_an_abandoned_one_gives_its_place_to_the_next() {
        let all = instances(1);
        fail(&all, VOLUME - 1);
        assert!(choose(&all, 0, None).is_some());
        fail(&all, 1);
        assert!(choose(&all, 0, None).is_none());
        let later = Instant::now() + OPEN;
        let probe = all[0].begin(later).unwrap();
        assert!(all[0].begin(later).is_none(), "one at a time");
        drop(probe);
        all[0].begin(later).unwrap().ended(false);
        assert!(choose(&all, 0, None).is_some());
    }
}
