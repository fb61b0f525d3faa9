//! The conductor with gateways, a mover and rows that the tests play.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod charge;
mod checklists;
mod following;
mod handing_over;
mod journal;
mod measured_gates;
mod rehearsing;
mod retiring;
mod rollout;
mod schemas;
mod shared_data;
mod support;
