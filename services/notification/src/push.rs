//! Push: messages over WebSockets that users hold open.
//!
//! The table is the truth, the notice only says "look". So a client that was
//! away says the last number it has and gets what came after it, from any
//! instance, and a slow client delays only itself.

mod hub;
mod socket;

pub use hub::{Full, Hub, Wake};
pub use socket::{Session, serve};
