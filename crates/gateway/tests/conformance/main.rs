//! What the gateway makes of HTTP as it is found: one row a request, with the
//! bytes, what the RFCs allow, what we answer, what of it reaches an upstream,
//! and why. Where a row differs from the RFC, `docs/gateway.md` says so.
//!
//! Published faults of proxies are rows like others. The rows know nothing of
//! the gateway but its address.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod bed;
mod bystanders;
mod careless;
mod client;
mod differential;
mod doc;
mod frames;
mod kept;
mod message;
mod peers;
#[path = "../gateway/support/python.rs"]
mod python;
mod reply;
mod requests;
mod row;
mod rows;
#[path = "../gateway/support/skip.rs"]
mod skip;
mod stream;
mod switching;
mod table;
mod text;
mod upstream;
