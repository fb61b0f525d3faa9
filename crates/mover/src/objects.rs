//! What is ours in the users' databases, read and changed: the ownership row,
//! the stream's row, what was seen, what was refused, the publication, the slots, the origins, the
//! fence, and the schema that holds the rows. Their names and definitions are in
//! [`crate::layout`].

pub(crate) mod continuity;
pub(crate) mod declared;
pub(crate) mod fence;
pub mod freeze;
pub(crate) mod joining;
pub(crate) mod key_range;
pub mod notes;
pub(crate) mod origins;
pub mod owner;
pub(crate) mod publication;
pub mod refusals;
pub(crate) mod removal;
pub(crate) mod schema;
pub(crate) mod sessions;
pub(crate) mod shape;
pub(crate) mod slots;
pub mod stream;
