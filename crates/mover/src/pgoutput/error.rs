//! Why bytes are no message.

/// Bytes that are no message of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends inside a field.
    #[error("it ends inside {0}")]
    Truncated(&'static str),
    /// There is more than the message.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
    /// A kind of message, tuple or value that version 1 does not have.
    #[error("{what} of unknown kind {kind:#04x}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// Its kind.
        kind: u8,
    },
    /// A field out of its range.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// A name that is not UTF-8.
    #[error("{0} is not UTF-8")]
    Encoding(&'static str),
}
