//! What a plan is read as, and how a wrong one is refused.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod checklists;
mod control;
mod data;
mod kong;
mod observe;
mod operations;
mod oversights;
mod parse;
mod policies;
mod refusals;
mod rollout;
