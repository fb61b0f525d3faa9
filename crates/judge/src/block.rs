//! What both sides did in the same short window.

use crate::{
    histogram::Histogram,
    reading::{Missing, Moment},
};

/// Into how many cells the clients of a side are told apart.
///
/// Requests of one client are alike, so they are not so many witnesses: the
/// clients are. Cells by a hash of the client keep that visible at a fixed size.
pub const CELLS: usize = 64;

/// The same short window of both sides: ten seconds, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its beginning.
    pub began: Moment,
    /// Its end.
    pub ended: Moment,
    /// What the service answered.
    pub service: Side,
    /// What the monolith answered.
    pub monolith: Side,
}

impl Block {
    /// Refuses what cannot have been counted.
    pub(crate) fn check(&self) -> Result<(), Missing> {
        let sides = [&self.service, &self.monolith];
        let mut cells = sides.into_iter().flat_map(Side::cells);
        let possible = cells.all(|cell| cell.errors <= cell.requests);
        if self.ended <= self.began || !possible {
            return Err(Missing::Contradiction);
        }
        Ok(())
    }
}

/// What one side answered, by client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Always [`CELLS`].
    cells: Vec<Cell>,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            cells: vec![Cell::default(); CELLS],
        }
    }
}

impl Side {
    /// The counts of a client's cell, by any hash of what the split picks it by.
    /// Where it picks single requests, a number of the request: they are
    /// witnesses by themselves then.
    pub fn cell(&mut self, hash: u64) -> &mut Cell {
        let at = usize::try_from(hash % CELLS as u64).unwrap_or(0);
        &mut self.cells[at]
    }

    /// Those of all clients.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// All requests that ended.
    pub fn requests(&self) -> u64 {
        self.cells.iter().map(|cell| u64::from(cell.requests)).sum()
    }
}

/// What the clients of a cell were answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// All requests that ended.
    pub requests: u32,
    /// Those of them that failed.
    pub errors: u32,
    /// How long each took; those that are not known are left out.
    pub times: Histogram,
}
