//! What a client is known by, and who chooses a side for it.

pub(crate) mod cohort_key;
pub(crate) mod flags;
pub(crate) mod force;
pub(crate) mod token_transport;
