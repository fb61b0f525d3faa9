//! Which instance gets a request: of those that are not left alone, and not
//! the one that has just failed if there is another, the one with the least
//! under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::breaker::{Breaker, Pass};

/// One instance of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) url: String,
    breaker: Breaker,
    in_flight: AtomicUsize,
}

/// A request on its way to an instance.
#[derive(Debug)]
pub(super) struct Trip<'a> {
    pub(super) instance: &'a Instance,
    pass: Option<Pass<'a>>,
}

impl Trip<'_> {
    pub(super) fn ended(mut self, failed: bool) {
        if let Some(pass) = self.pass.take() {
            pass.ended(failed, Instant::now());
        }
    }
}

impl Drop for Trip<'_> {
    fn drop(&mut self) {
        self.instance.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Instance {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            breaker: Breaker::default(),
            in_flight: AtomicUsize::new(0),
        }
    }

    fn begin(&self, now: Instant) -> Option<Trip<'_>> {
        let pass = self.breaker.admit(now)?;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Trip {
            instance: self,
            pass: Some(pass),
        })
    }
}

/// Chooses; `turn` goes round, so that equals are taken in turn. `None` where
/// all are left alone.
pub(super) fn choose<'a>(
    instances: &'a [Arc<Instance>],
    turn: usize,
    failed: Option<&str>,
) -> Option<Trip<'a>> {
    let now = Instant::now();
    let open = |instance: &&'a Arc<Instance>| instance.breaker.would_admit(now);
    let start = turn.checked_rem(instances.len())?;
    let (before, after) = instances.split_at(start);
    let in_turn = || after.iter().chain(before).filter(open);
    let load = |instance: &&Arc<Instance>| {
        let has_failed = failed == Some(instance.url.as_str());
        (has_failed, instance.in_flight.load(Ordering::Relaxed))
    };
    let best = in_turn().min_by_key(load)?;
    // Another one may have taken the only try meanwhile.
    best.begin(now)
        .or_else(|| in_turn().find_map(|instance| instance.begin(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(count: usize) -> Vec<Arc<Instance>> {
        let new = |number| Arc::new(Instance::new(format!("http://{number}")));
        (0..count).map(new).collect()
    }

    #[test]
    fn load_is_spread_and_failures_are_avoided() {
        let all = instances(3);
        let trips: Vec<_> = (0..9)
            .map(|turn| choose(&all, turn, None).unwrap())
            .collect();
        for instance in &all {
            assert_eq!(instance.in_flight.load(Ordering::Relaxed), 3);
        }
        drop(trips);
        for turn in 0..9 {
            let trip = choose(&all, turn, Some("http://1")).unwrap();
            assert_ne!(trip.instance.url, "http://1");
        }
        let one = instances(1);
        assert!(
            choose(&one, 0, Some("http://0")).is_some(),
            "there is no other"
        );
        assert!(choose(&[], 3, None).is_none());
    }

    #[test]
    fn who_fails_is_left_alone() {
        let all = instances(2);
        for turn in 0..40 {
            let trip = choose(&all, turn, None).unwrap();
            let fails = trip.instance.url == "http://0";
            trip.ended(fails);
        }
        for turn in 0..10 {
            assert_eq!(choose(&all, turn, None).unwrap().instance.url, "http://1");
        }
    }
}
