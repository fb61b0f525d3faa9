//! What can fail on a connection that speaks the replication protocol.

use std::io;

/// A replication connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplicationError {
    /// The network, or TLS.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server refused a command, or ended the stream with an error.
    #[error("{message} (SQLSTATE {code})")]
    Server {
        /// The SQLSTATE.
        code: String,
        /// The server's message, without its detail.
        message: String,
    },
    /// What came is not what PostgreSQL sends.
    #[error("the server does not keep to the protocol: {0}")]
    Protocol(&'static str),
    /// The server closed the connection without a word.
    #[error("the server ended the connection")]
    Closed,
}
