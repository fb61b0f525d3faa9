//! The console over an API that answers what a test wants.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bed;
mod entrance;
mod fake;
mod guard;
mod orders;
mod pages;
