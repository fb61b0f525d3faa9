//! The data plane: stands in front of a monolith and one service per
//! extraction, and sends every request to the side that may answer it.
//!
//! Not for: deciding who owns what (the conductor publishes that as a
//! [`protocol::routing::Routing`]), nor for databases (positions in their logs
//! come in through [`Positions`]).
//!
//! # Where to read
//!
//! The life of a request: `connections` (accepted; `http2` for those that speak
//! it), `serve` (from head to
//! head), then one of `stay`, `read`, `write`, all of which end in `forward`, or
//! `upgrade`; through `operation` where operations share a path.
//!
//! What stands behind it: `setup` (what the plan says; a reload puts another
//! one in its place), `shared` (who owns and what was written, from start to
//! end), `worker` (one thread's part of both).
//!
//! What is decided, as pure functions: `target` (what the path is), `table`
//! (which route), `snapshot` (what was published), `decision` (which side),
//! `cohort` (whom a split picks), `canary` (whom a
//! route's canary picks), `force` (who chooses for themselves), `flags`
//! (whom somebody has chosen for), `client` (who asks), `explain` (all of it, for
//! people), `pin` (what a client must have seen),
//! `write_token` (the same, as the client carries it from gateway to gateway;
//! `carrier` and `caller`: in and out of messages).
//!
//! Who is let in, before any of that: `access`.
//!
//! What waits: `hold` (writes during a hand-over), `pins` and `settle` (for a
//! client's own writes), `inflight` (the hand-over for writes in flight),
//! `deadline` (how long).
//!
//! What is asked beside clients, to compare both sides: `shadow`.
//!
//! What is told of it all: `metrics` (`native`, `expiry`), and `observe` (access log, traces, the
//! gateway's own pages).
//!
//! Who is asked, and when no longer: `upstream` and what is below it.
//!
//! The wires: `listeners` and `handover`, `wire`, `tls`, `proxy_protocol`,
//! `peer`, `guard` (what may not come in), `link`, `pool`, `multiplexed`, `body`,
//! `repeat`, `hygiene`, `answer`.
//!
//! # Invariants
//!
//! - A request that may have had an effect is never repeated (`forward`).
//! - A write is decided and entered as in flight in one step, on the thread
//!   that answers whether it has drained (`inflight`).
//! - A client's read never goes to a side that has not seen what the client
//!   wrote before: as far as this process knows (`pins`), and as far as the
//!   client shows, where the plan asks for that (`write_token`).
//! - Every wait and buffer has a bound, with a name; at it there is an answer.

mod access;
mod base;
mod body;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod observe;
mod request;
mod routing;
mod selection;
mod server;
mod shadow;
mod state;
mod transport;
mod upstream;

pub use crate::server::socket_handoff;
pub use crate::{
    base::error::{ReloadError, StartError, TlsError},
    server::{
        explain::{Explanation, RouteReport},
        gateway::Gateway,
    },
    shadow::{ReadCounts, ShadowExample, ShadowField, ShadowReport, WriteCounts},
    state::{
        hold::HeldReport,
        positions::{Positions, Sample},
    },
    transport::listeners::Listeners,
    upstream::{
        breaker::BreakerState,
        checks::{CheckError, check_health},
        report::{CheckReport, InstanceReport, UpstreamReport},
    },
};
