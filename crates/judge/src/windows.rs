//! Evidence of the whole step and of what is recent.
//!
//! What begins late is hidden by the good hours before it: so the same evidence
//! is also gathered anew every so often, over two lengths. Each start gets its
//! part of the false alarms allowed in 24 hours (as the e-detectors of Shin,
//! Ramdas, Rinaldo do: "E-detectors: a nonparametric framework for sequential
//! change detection", NEJSDS 2023).

use crate::{
    evidence::{Clients, Evidence, Increment, Towards},
    reading::Moment,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Lengths of the recent windows, in blocks; the next one begins half-way.
const RECENT: [u32; 2] = [96, 960];
const DAY: Duration = Duration::from_hours(24);

/// Evidence since several moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Windows {
    /// Of how long a block is meant to be.
    block: Duration,
    false_alarm: f64,
    whole: Evidence,
    recent: [Recent; RECENT.len()],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Recent {
    older: Evidence,
    younger: Evidence,
}

impl Windows {
    /// `false_alarm`: how probable it may be that any of them is too much in 24
    /// hours, while nothing is wrong.
    pub(crate) fn new(block: Duration, false_alarm: f64, clients: Clients) -> Self {
        let none = Evidence::new(Towards::Worse, clients);
        Self {
            block,
            false_alarm,
            whole: none.clone(),
            recent: std::array::from_fn(|_| Recent {
                older: none.clone(),
                younger: none.clone(),
            }),
        }
    }

    pub(crate) fn add(&mut self, began: Moment, increment: &Increment) {
        self.whole.add(began, increment);
        for (recent, length) in self.recent.iter_mut().zip(RECENT) {
            let half = self.block * (length / 2);
            let since = recent.younger.since();
            if since.is_some_and(|since| began.since(since) >= half) {
                let next = recent.younger.anew();
                recent.older = std::mem::replace(&mut recent.younger, next);
            }
            recent.older.add(began, increment);
            recent.younger.add(began, increment);
        }
    }

    pub(crate) fn whole(&self) -> &Evidence {
        &self.whole
    }

    /// The evidence of each window, with what is too much of it: half of the
    /// false alarms are the whole step's.
    pub(crate) fn alarms(&self) -> impl Iterator<Item = (&Evidence, f64)> {
        let recent = self.recent.iter().zip(RECENT).flat_map(|(recent, length)| {
            let starts = DAY.as_secs_f64() / (self.block * (length / 2)).as_secs_f64();
            let needed = (4.0 / self.false_alarm * starts.max(1.0)).ln();
            [(&recent.older, needed), (&recent.younger, needed)]
        });
        std::iter::once((&self.whole, (2.0 / self.false_alarm).ln())).chain(recent)
    }
}
