//! Following, against real PostgreSQL: two clusters, the mover's own prepare
//! and copy, writers that know nothing of it.

mod changes;
mod exactly_once;
mod handing_over;
mod keeping_up;
mod past_the_fence;
mod promptness;
mod proof;
mod recopying;
mod refusals;
mod reshaping;
mod resuming;
mod rights;
pub(crate) mod scene;
