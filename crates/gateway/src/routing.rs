//! Where a request goes: pure functions over what the plan says and what was
//! published.

pub(crate) mod canary;
pub(crate) mod decision;
pub(crate) mod life;
pub(crate) mod operations;
pub(crate) mod snapshot;
pub(crate) mod table;
pub(crate) mod write_token;
