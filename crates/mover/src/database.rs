//! Talking to PostgreSQL: TLS, sessions and what they set, replication connections,
//! short waits for locks, and the quoting of names. Knows nothing of what is ours
//! in a database.

pub(crate) mod answering;
pub(crate) mod connect_error;
pub(crate) mod holders;
pub(crate) mod lock_retry;
pub mod replication;
pub mod session;
pub mod settings;
pub mod sql;
mod tls;
pub(crate) mod transport;
