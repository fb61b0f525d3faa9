//! The messages of PostgreSQL's output plugin `pgoutput`, protocol version 1,
//! with tuples in text format.
//!
//! A pure decoder: bytes in, a message out. It never panics, allocates no more
//! than a small multiple of the bytes it is given, and refuses what it does
//! not know or what is too short or too long, since a change that was misread
//! is worse than a follower that stops. Values are slices of the input.
//!
//! After PostgreSQL's documentation, "Logical Replication Message Formats".

mod decoder;
mod error;
mod message;
mod reader;

pub use decoder::decode;
pub use error::DecodeError;
pub use message::{LogicalMessage, OldTuple, Relation, RelationColumn, Tuple, Value};

#[cfg(test)]
mod tests;
