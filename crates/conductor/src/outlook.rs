//! What an extraction's status comes to: where it stands, what comes next, and what it
//! would cost to go back. Pure: the same for the command line, the console and reports.

mod asks;
mod next;
mod rail;
pub mod rehearsal;
mod way_back;

pub use asks::asks;
pub use next::next;
pub use rail::rail;
pub use way_back::way_back;

use crate::status::ExtractionStatus;

/// A status with all of that.
pub fn with(status: ExtractionStatus) -> ExtractionStatus {
    let asks = asks(&status);
    ExtractionStatus {
        rail: rail(&status),
        next: next(&status, asks.as_ref()),
        asks,
        way_back: Some(way_back(&status)),
        ..status
    }
}
