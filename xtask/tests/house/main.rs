//! The rules of the house, held over what the sources say: which crate may
//! depend on which, and that imports inside a crate only point downward and
//! never in a circle.
//!
//! A crate's tables are data: [`circles`] and [`floors`] each open with theirs.

mod circles;
mod crate_table;
mod floors;
mod imports;
mod module_tree;
mod names;
mod workspace;
