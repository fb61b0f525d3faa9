//! The upstreams: who is asked, and when one is not asked.
//!
//! An upstream is the monolith or a service; it has one or several instances.
//! What all workers share is here ([`Upstreams`]); what is one worker's own is
//! in [`local`]. What is decided, as pure cores: `balance` (which instance),
//! `breaker` (whether at all), `retry` (whether once more), `instance_health` (what is
//! thought of an instance).

pub(crate) mod addresses;
pub(crate) mod balance;
pub(crate) mod body_timeout;
pub(crate) mod breaker;
pub(crate) mod cache;
pub(crate) mod checks;
pub(crate) mod failure;
pub(crate) mod grpc_status;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod instance;
mod instance_health;
pub(crate) mod interim;
pub(crate) mod loads;
pub(crate) mod local;
pub(crate) mod own_connections;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod report;
pub(crate) mod response_body;
pub(crate) mod retry;
pub(crate) mod shared_breaker;
pub(crate) mod upstreams;
