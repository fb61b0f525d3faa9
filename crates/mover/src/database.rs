//! Talking to PostgreSQL: sessions, replication connections, short waits for
//! locks, and the quoting of names. Knows nothing of what is ours in a database.

pub(crate) mod lock_retry;
pub(crate) mod replication;
pub mod session;
pub mod sql;
