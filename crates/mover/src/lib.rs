//! The data mover: PostgreSQL to PostgreSQL, both ways.
//!
//! One [`Mover`] serves one extraction. It looks (`check`), makes what it
//! needs on both sides (`prepare`), copies from one exported snapshot
//! (`copy`), follows the change stream of both directions (`follow`), proves
//! that both sides agree (`verify`), changes the ownership rows and the fences
//! (`handover`), and takes everything away again (`cancel`).
//!
//! It decides nothing: when to do what is the conductor's. What it does hold
//! is that every change of ours on a side locks that side's row first and is
//! refused when the row has another conductor or generation (see [`owner`]).
//!
//! Values of rows are never logged, and identifiers reach SQL only through
//! [`sql`].

pub mod apply;
pub mod cancel;
pub mod catalog;
pub mod check;
pub mod claim;
pub mod connect;
pub mod copy;
pub mod error;
pub mod follow;
pub mod handover;
pub mod layout;
pub mod owner;
mod patience;
pub mod pgoutput;
pub mod positions;
pub mod prepare;
pub mod ready;
mod slots;
pub mod sql;
pub mod verify;
pub mod writers;

pub use error::MoverError;
pub use owner::Claims;

use plan::{DatabaseUrl, ExtractionName, Replicate};
use protocol::Side;

/// What one mover moves.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// The extraction's name.
    pub name: ExtractionName,
    /// Its tables, and between which databases they move.
    pub data: Replicate,
}

/// Moves the data of one extraction.
#[derive(Debug, Clone)]
pub struct Mover {
    extraction: Extraction,
}

impl Mover {
    /// The mover of an extraction of a plan.
    pub fn new(name: &ExtractionName, data: &Replicate) -> Self {
        Self {
            extraction: Extraction {
                name: name.clone(),
                data: data.clone(),
            },
        }
    }

    /// What moves.
    pub fn extraction(&self) -> &Extraction {
        &self.extraction
    }

    /// The database of a side.
    pub fn database(&self, side: Side) -> &DatabaseUrl {
        match side {
            Side::Monolith => &self.extraction.data.databases.monolith,
            Side::Service => &self.extraction.data.databases.service,
        }
    }

    /// The names of everything that is ours.
    pub fn layout(&self) -> layout::Layout {
        layout::Layout::new(&self.extraction.name)
    }
}
