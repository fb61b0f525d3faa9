//! By how much requests say less than so many independent ones.
//!
//! Requests of one client are alike, and so are those of one moment. So the
//! squares of a score's parts, around what they are expected to be if the service
//! is just not worse than allowed, are summed by single request, by client and by
//! time. What the latter two are above the first is likeness, and both count
//! (Cameron, Gelbach, Miller: "Robust inference with multiway clustering", JBES
//! 2011).
//!
//! The squares are not taken around their own mean: a client or a moment that
//! stands out adds to what it is measured by, and carries no verdict alone.

use crate::block::CELLS;
use serde::{Deserialize, Serialize};

/// How many batches of time are told apart at most.
const BATCHES: usize = 256;

/// A score's parts of one block.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) service: [f64; CELLS],
    pub(crate) monolith: [f64; CELLS],
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            service: [0.0; CELLS],
            monolith: [0.0; CELLS],
        }
    }
}

impl Parts {
    pub(crate) fn score(&self) -> f64 {
        self.service.iter().chain(&self.monolith).sum()
    }
}

/// A score's parts by client and by time, to seven digits: they are most of what
/// is stored of a gate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Dispersion {
    /// First the service's cells, then the monolith's; empty before the first.
    clients: Vec<f32>,
    /// Of equal numbers of blocks.
    batches: Vec<f32>,
    blocks_per_batch: u32,
    /// In the last batch.
    blocks: u32,
    /// The squares of each client's part of each block.
    crossed: f64,
}

impl Dispersion {
    pub(crate) fn add(&mut self, parts: &Parts) {
        self.clients.resize(2 * CELLS, 0.0);
        let parts_of_clients = parts.service.iter().chain(&parts.monolith);
        for (sum, part) in self.clients.iter_mut().zip(parts_of_clients) {
            *sum = short(f64::from(*sum) + part);
            self.crossed += part * part;
        }
        self.add_batch(parts.score());
    }

    /// Where there are too many batches, two and two become one: so they grow
    /// longer as time goes on, and longer likenesses in time become visible.
    fn add_batch(&mut self, score: f64) {
        self.blocks_per_batch = self.blocks_per_batch.max(1);
        match self.batches.last_mut() {
            Some(last) if self.blocks < self.blocks_per_batch => {
                *last = short(f64::from(*last) + score);
                self.blocks += 1;
                return;
            }
            _ => {}
        }
        if self.batches.len() == BATCHES {
            self.batches = self.batches.chunks(2).map(|two| two.iter().sum()).collect();
            self.blocks_per_batch *= 2;
        }
        self.batches.push(short(score));
        self.blocks = 1;
    }

    /// Sum of the squares of the parts by client within a block.
    pub(crate) fn by_both(&self) -> f64 {
        self.crossed
    }

    /// Sum of the squares of the parts by client.
    pub(crate) fn by_client(&self) -> f64 {
        squares(&self.clients)
    }

    /// Sum of the squares of the parts by time.
    pub(crate) fn by_time(&self) -> f64 {
        squares(&self.batches)
    }

    pub(crate) fn score(&self) -> f64 {
        self.batches.iter().copied().map(f64::from).sum()
    }
}

fn squares(parts: &[f32]) -> f64 {
    let parts = parts.iter().copied().map(f64::from);
    parts.map(|part| part * part).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "as said there")]
fn short(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(score: f64) -> Parts {
        let mut parts = Parts::default();
        parts.service[0] = score;
        parts
    }

    #[test]
    fn batches_grow_and_keep_their_sum() {
        let mut dispersion = Dispersion::default();
        for block in 1..=1000 {
            dispersion.add(&parts(1.0));
            assert!(dispersion.batches.len() <= BATCHES);
            assert!((dispersion.score() - f64::from(block)).abs() < 1e-9);
        }
        assert_eq!(dispersion.blocks_per_batch, 4);
        let full = dispersion.batches.split_last().unwrap().1;
        assert!(full.iter().all(|batch| (batch - 4.0).abs() < 1e-6));
    }

    #[test]
    fn what_comes_of_one_client_or_at_one_moment_is_told_from_the_rest() {
        let mut of_one_client = Dispersion::default();
        (0..100).for_each(|_| of_one_client.add(&parts(1.0)));
        assert!((of_one_client.by_both() - 100.0).abs() < 1e-6);
        assert!((of_one_client.by_client() - 10_000.0).abs() < 1e-6);
        assert!((of_one_client.by_time() - 100.0).abs() < 1e-6);

        let mut at_one_moment = Dispersion::default();
        at_one_moment.add(&Parts {
            service: [1.0; CELLS],
            ..Parts::default()
        });
        assert!((at_one_moment.by_both() - 64.0).abs() < 1e-6);
        assert!((at_one_moment.by_client() - 64.0).abs() < 1e-6);
        assert!((at_one_moment.by_time() - 4096.0).abs() < 1e-6);
    }
}
