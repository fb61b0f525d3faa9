//! A data mover that is told what to say.

use gateway::{Positions, Sample};
use plan::ExtractionName;
use protocol::{Lsn, Side};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// A data mover that says what it is told to.
pub struct FakeMover {
    position: watch::Sender<Option<Lsn>>,
    applied: [watch::Sender<Lsn>; 2],
    samples: Mutex<[usize; 2]>,
}

impl FakeMover {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            position: watch::Sender::new(Some(Lsn(0))),
            applied: [watch::Sender::new(Lsn(0)), watch::Sender::new(Lsn(0))],
            samples: Mutex::default(),
        })
    }

    /// Samples say this from now on; `None`: they fail.
    pub fn position(&self, position: Option<u64>) {
        self.position.send_replace(position.map(Lsn));
    }

    /// So far `source`'s log is applied on the other side.
    pub fn applied(&self, source: Side, position: u64) {
        self.applied[source as usize].send_replace(Lsn(position));
    }

    /// How many samples of a side were taken.
    pub fn samples(&self, side: Side) -> usize {
        self.samples.lock().unwrap()[side as usize]
    }
}

impl Positions for FakeMover {
    fn sample(&self, _: &ExtractionName, side: Side) -> Sample {
        self.samples.lock().unwrap()[side as usize] += 1;
        let position = *self.position.borrow();
        Box::pin(async move { position })
    }

    fn applied(&self, _: &ExtractionName, source: Side) -> watch::Receiver<Lsn> {
        self.applied[source as usize].subscribe()
    }
}

/// A data mover of which nothing is asked.
pub fn still() -> Arc<dyn Positions> {
    FakeMover::new()
}
