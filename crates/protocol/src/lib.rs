//! The switch, as a pure state machine, and the words that everybody shares.
//!
//! Nothing here does anything: commands and observations come in, events come
//! out, and the state says which effects are due. Time, randomness, databases
//! and gateways are the caller's. That is what lets a seeded simulation
//! (`tests/simulation`) drive it through crashes and lost replies.
//!
//! ```text
//!  reconcile  checklist  retire        the journal held against the rows; what is proven
//!      │      brown_out
//!      │
//!  rollout                             the plan's steps
//!      │
//!  lifecycle           shared_data     an extraction from its plan to its end
//!      │                    │
//!  rehearsal                │          a switch up to its commit point, and back
//!      │                    │
//!  handover                 │          the steps of a switch
//!      │                    │
//!  owner  stream  finding  routing     rows, messages, findings, routing
//!      │
//!  ids                                 numbers and names
//! ```
//!
//! A module may use those below it.
//!
//! Where to read:
//! - [`owner`]: who may write, the row that is the truth about it, and the
//!   transitions of that row. The safety argument stands there.
//! - [`handover`]: the steps of a switch or a rollback.
//! - [`rehearsal`]: the same up to the commit point, and back.
//! - [`lifecycle`]: an extraction from its plan to its end.
//! - [`shared_data`]: the same of one whose data both sides share.
//! - [`reconcile`]: the rows held against the journal at every start.
//! - [`rollout`]: the steps that an extraction goes through by itself.
//! - [`checklist`]: what has to be done before it goes on.
//! - [`retire`]: the evidence that nobody uses an old side.
//! - [`brown_out`]: requests for it refused for a while, to find who still uses it.
//! - [`routing`]: what the gateways are told.
//! - [`stream`]: what a follower does with the change stream.
//! - [`finding`]: what `check` says of an extraction that is still planned.

pub mod brown_out;
pub mod checklist;
pub mod finding;
pub mod handover;
mod ids;
pub mod lifecycle;
pub mod owner;
pub mod reconcile;
pub mod rehearsal;
pub mod retire;
pub mod rollout;
pub mod routing;
pub mod shared_data;
pub mod stream;

pub use ids::{
    ConductorId, Epoch, GatewayId, Generation, HandoverId, InstanceId, Lsn, Millis, Nonce, Side,
};
