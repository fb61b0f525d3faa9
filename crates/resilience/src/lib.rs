//! What a client of several instances needs against their failures: a circuit
//! breaker, load balancing, a retry budget.
//!
//! Pure: time and randomness come in as arguments, and nothing here locks.
//! Whoever shares a value between threads decides how: the gateway keeps most
//! of it per worker, the kit's client puts a lock around it.
//!
//! ```text
//!   breaker ──▶ window ──▶ share ◀── budget ◀── (repeats)
//!                            ▲
//!                         balance
//! ```
//!
//! The gateway and the kit use one state machine and one token bucket, and
//! differ in what is given to them: how a closed breaker judges what ended
//! ([`window::Timed`] or [`window::Last`]), and which instance is chosen
//! ([`balance::two_choices`] or [`balance::least_loaded`]).
//! `docs/decisions/0010-resilience.md` says why.
//!
//! It is not for deciding whether a request may be sent again: that depends on
//! its method and on what was sent of it, which is known to the caller only.
//!
//! # Invariants
//!
//! 1. A breaker never lets more probes pass at once than must succeed, and
//!    never refuses for longer than it stays open.
//! 2. A budget never gives more repeats than its share of the requests, what
//!    time has added, and what may be saved up.
//! 3. An instance that was tried is chosen again only where all were.

pub mod balance;
pub mod breaker;
pub mod budget;
pub mod share;
pub mod window;

pub use breaker::{Breaker, Permit, Probe, Round};
pub use budget::{Budget, Repeats};
pub use share::Share;
