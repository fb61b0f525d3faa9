//! A client sees what it wrote: the wait for it, and the tokens that answers
//! carry.

pub(crate) mod renaming;
pub(crate) mod response_tokens;
pub(crate) mod wait;
