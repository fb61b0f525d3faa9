//! Requests whose body says which operations they ask for.

pub(crate) mod batch;
pub(crate) mod routing;
