//! Judges a service against its monolith, by what both did in the same windows.
//!
//! ```text
//!                      Block (counts of both sides, by client)
//!                        │
//!  condition ──▶ measure ┤ proportion, rank      one block's evidence
//!                        ▼
//!            comparison: windows, evidence       all blocks' evidence
//!                        ▼
//!                      gate ──▶ Verdict ◀── series (single readings)
//! ```
//!
//! A gate is looked at every few seconds for days, by a program that acts on what
//! it says. So it must stay right however often it is looked at, although the
//! requests of one client are alike, although they come in bursts, and although
//! nights are not like days. And it must be able to say that it does not know.
//! `docs/decisions/0026-how-a-service-is-judged.md` says which tests do that and
//! what they take for granted; `./x bench judge` measures it.
//!
//! Pure: no clock, no I/O, no randomness. It is not for deciding what becomes of a
//! verdict: that is the conductor's.
//!
//! # Invariants
//!
//! 1. What is missing, not a number, infinite, stale, of the wrong series or of
//!    before the step is [`Reading::Missing`] and never leads to a pass.
//! 2. [`Verdict::Pass`] says that harm has been excluded, never only that none was
//!    seen.
//! 3. [`Verdict::Fail`] stays, with what was counted when it was shown.
//! 4. A stored state goes on as if it had never stopped.

mod baseline;
mod block;
mod comparison;
mod condition;
mod dispersion;
mod evidence;
mod flow;
mod gate;
mod histogram;
mod measure;
mod proportion;
mod rank;
pub mod reading;
mod series;
mod verdict;
mod windows;

pub use baseline::ErrorBaseline;
pub use block::{Block, CELLS, Cell, Side};
pub use condition::{Condition, ConditionError};
pub use gate::{Confidence, Judge};
pub use histogram::{Bin, Histogram};
pub use reading::{Missing, Moment, Reading};
pub use series::{Limit, SeriesJudge};
pub use verdict::{Grounds, TestName, Totals, Verdict, Why};
