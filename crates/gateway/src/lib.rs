//! The data plane: stands in front of a monolith and one service per
//! extraction, and sends every request to the side that may answer it.
//!
//! Not for: deciding who owns what (the conductor publishes that as a
//! [`protocol::routing::Routing`]), nor for databases (positions in their logs
//! come in through [`Positions`]).
//!
//! # Floors
//!
//! An area knows only what stands below it (held by xtask's house test):
//!
//! ```text
//! 7  server     the handle, workers, accepting clients, HTTP/2 front, explain
//! 6  request    one request, from its head to the head of its answer
//! 5  state      what lasts: config, gateway state, worker, hold, pins, metrics
//! 4  shadow     comparing the answers of both sides
//! 3  upstream   instances, connections, breakers, retries, cache
//!    observe    access log, traces, metrics, labels
//!    selection  what a client is known by, flags, testers, tokens
//! 2  routing    pure: table, snapshot, decision, write tokens, operations
//!    access     who is let in, how often
//!    transport  sockets, TLS, PROXY protocol, validating HTTP/1
//!    body       request bodies
//! 1  base       index types, refusals, headers, target, peer, deadlines
//! ```
//!
//! # Where to read
//!
//! The life of a request: `server::connections` accepts its client,
//! `request::serve` takes it from head to head, `request::dispatch` gives it to
//! `passthrough`, `read` or `write`, all of which end in `request::forward`; or
//! to `upgrade`; through `request::operations` where operations share a path.
//! Whether it may be sent again, and where, is in `request::resend` alone.
//!
//! What is decided of it, as pure functions: `routing::table` (which route),
//! `routing::snapshot` (what was published), `routing::decision` (which side).
//!
//! What waits: `state::hold` (writes during a hand-over), `state::pins` and
//! `state::lsn_sampler` (for a client's own writes), `state::inflight` (the
//! hand-over for writes in flight).
//!
//! # Invariants
//!
//! - A request that may have had an effect is never repeated (`request::resend`).
//! - A write is decided and entered as in flight in one step, on the thread
//!   that answers whether it has drained (`state::inflight`).
//! - A client's read never goes to a side that has not seen what the client
//!   wrote before: as far as this process knows (`state::pins`), and as far as the
//!   client shows, where the plan asks for that (`routing::write_token`).
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
    base::{
        error::{ReloadError, StartError, TlsError},
        removal::Removal,
    },
    selection::flags::{FlagReport, FlagRule},
    server::{
        explain::{Explanation, RouteReport},
        gateway::Gateway,
        preflight::{preflight, unusable_buffers},
    },
    shadow::{Declaration, ReadCounts, ShadowExample, ShadowField, ShadowReport, WriteCounts},
    state::{
        failed_answers::FailedKind,
        hold::HeldReport,
        inflight::WritesInFlight,
        old_ways::{OldCaller, OldCalls},
        positions::{Positions, Sample},
        side_counts::{AnswerCounts, CLIENT_CELLS, ClientCell, ClientCells, SideCounts},
        under_way::{Answering, UnderWay},
    },
    transport::listeners::Listeners,
    upstream::{
        breaker::BreakerState,
        probe::{CheckError, HealthQuestion, Unhealthy, check_health, check_presence},
        report::{CheckReport, InstanceReport, UpstreamReport},
    },
};
