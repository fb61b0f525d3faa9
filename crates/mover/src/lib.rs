//! The data mover: PostgreSQL to PostgreSQL, both ways.
//!
//! One [`Mover`] serves one extraction. It inspects both databases ([`check`]),
//! makes what it needs on both sides ([`prepare`]), copies from one exported
//! snapshot ([`copy`](mod@copy)), follows the change stream of both directions
//! ([`follow`]), proves that both sides agree ([`verify`]), changes the ownership
//! rows and the fences ([`handover`]), and removes all that is ours ([`cancel`],
//! [`finish`]).
//!
//! It decides nothing: when to do what is the conductor's. What it does hold
//! is that every change of ours on a side locks that side's row first and is
//! refused when the row has another conductor or generation (see
//! [`objects::owner`]).
//!
//! Values of rows are never logged, and identifiers reach SQL only through
//! [`database::sql`].
//!
//! A floor may use those below it, and what is left of it on its own:
//!
//! ```text
//! operations   check  claim  prepare  copy  follow  verify  cancel  │ readiness  handover
//!              finish  freeze  archive  retire                                        │
//!              ─────────────────────────────────────────────────────┴────────────────────
//! changes      pgoutput  positions                    apply
//!              ──────────────────────────────────────────────────────────────────────────
//! databases    catalog        objects (owner, stream, publication, slots, origins, fence)
//!              ──────────────────────────────────────────────────────────────────────────
//! base         error  database (session, replication, sql, lock_retry)  layout  extraction
//! ```
//!
//! - *operations*: an `impl Mover` each, with what only it needs in its folder.
//! - *changes*: `pgoutput` decodes the change stream, `apply` writes changes into
//!   the target, `positions` samples the end of a log.
//! - *databases*: what the users' tables are (`catalog`), and what of ours is
//!   beside them (`objects`).
//! - *base*: connections, quoting, names; knows nothing of the steps.

pub mod apply;
pub mod archive;
pub mod cancel;
pub mod catalog;
pub mod check;
pub mod claim;
pub mod copy;
pub mod database;
pub mod error;
pub mod extraction;
pub mod finish;
pub mod follow;
pub mod freeze;
pub mod handover;
pub mod layout;
pub mod objects;
pub mod pgoutput;
pub mod positions;
pub mod prepare;
pub mod readiness;
pub mod retire;
pub mod verify;

pub use error::MoverError;
pub use extraction::{Mover, ReplicatedExtraction};
pub use objects::owner::Claims;
