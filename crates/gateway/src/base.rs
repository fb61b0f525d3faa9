//! The lowest floor: values that every other area may use, and that use none.

pub(crate) mod as_written;
pub(crate) mod authority;
pub(crate) mod bad_operation;
pub(crate) mod cohort;
pub(crate) mod deadline;
pub(crate) mod denial;
pub(crate) mod error;
pub(crate) mod executor;
pub(crate) mod header_class;
pub(crate) mod headers;
pub(crate) mod hop_by_hop;
pub(crate) mod index;
pub(crate) mod malformed;
pub(crate) mod peer;
pub(crate) mod random;
pub(crate) mod refusal;
pub(crate) mod removal;
pub(crate) mod target;
