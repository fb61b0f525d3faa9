//! Counts answered requests.

use super::config::Config;
use crate::{
    base::index::Place,
    observe::{histogram::SharedTimes, labels::elsewhere},
};
use prometheus_client::metrics::counter::Counter;
use protocol::Side;
use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
    time::Duration,
};

/// What is counted of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) place: Place,
    pub(crate) method: &'static str,
    pub(crate) code: u16,
    /// `None` where it was sent nowhere.
    pub(crate) side: Option<Side>,
}

/// A hash for [`Kind`]: there are few of them and none is of a client's making,
/// so that it need not be a strong one.
#[derive(Default)]
struct Folding(u64);

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        // An odd number without a pattern, as in FxHash.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(u64::try_from(number).unwrap_or(u64::MAX));
    }
}

/// The metrics of requests, with the handles that one worker has used before:
/// no text is put together for a request of a kind that was seen.
pub(crate) struct Recorder {
    config: Arc<Config>,
    handles: RefCell<HashMap<Kind, (Counter, SharedTimes), BuildHasherDefault<Folding>>>,
}

impl Recorder {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            handles: RefCell::default(),
        }
    }

    pub(crate) fn record(&self, kind: Kind, time: Duration) {
        let mut handles = self.handles.borrow_mut();
        let (requests, times) = handles.entry(kind).or_insert_with(|| self.handles_of(kind));
        requests.inc();
        times.observe(time);
    }

    fn handles_of(&self, kind: Kind) -> (Counter, SharedTimes) {
        let names = match kind.place {
            Place::Elsewhere => elsewhere(),
            Place::Route(found) => {
                let passthrough = self.config.table.passthrough(found);
                (
                    passthrough.route.to.to_string(),
                    passthrough.route.name.clone(),
                )
            }
            Place::Extraction(found) => {
                let entry = self.config.table.entry(found.extraction);
                (
                    entry.service.to_string(),
                    entry.routes[found.route].path.to_string(),
                )
            }
        };
        let side = kind.side.map_or("none", Side::as_str);
        let metrics = &self.config.state.metrics;
        metrics.request_handles(names, kind.method, kind.code, side)
    }
}
