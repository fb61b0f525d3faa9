//! The steps of a rollout, gone through by themselves for weeks.
//!
//! A planner and nothing else: time comes in as a number, what is so as [`Facts`], and
//! [`decide`] says the one thing that is due. Whoever carries it out has no choices left.
//! It goes by what is so and not by what was asked for: a share that is there already is
//! not shifted to again, so that a conductor which dies between a shift and its note
//! finds the step done. A share that is neither the step's nor ours was changed by a
//! person, and that ends the automatic part until a person resumes it.
//!
//! ```text
//!   idle ──began──▶ running { step } ──passed──▶ the next step ... ──▶ done
//!                     │      ▲
//!       paused, failed│      │resumed
//!                     ▼      │
//!                   stopped { why, undo }
//! ```
//!
//! What harms is looked at in every state that waits, a pause included: a pause stops
//! promotion, not protection. Only a halt stops all of it.

mod actor;
mod decision;
mod event;
mod facts;
mod moment;
mod plan_change;
mod rehearsal;
mod state;
mod stop;
#[cfg(test)]
mod tests;
mod waiting;

pub use actor::Actor;
pub use decision::{Action, Decision, changed_since, decide, resume_step, stops_again};
pub use event::Event;
pub use facts::{Facts, Gate, GateKind, Standing, Verdict};
pub use moment::UnixMillis;
pub use plan_change::{UnsafeChange, reloaded, reread, restarted};
pub use rehearsal::{Endless, TimelineEntry, TimelineItem, rehearse};
pub use state::{Position, Rollout};
pub use stop::{StopReason, Undo};
pub use waiting::{Waiting, WaitsFor};
