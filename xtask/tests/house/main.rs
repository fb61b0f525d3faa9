//! The rules of the house, held over what the sources say: which crate may
//! depend on which, that imports inside a crate only point downward and never
//! in a circle, and that one thing has one name. And that the tests which the log of field reports
//! names are there.
//!
//! A crate's tables are data: [`circles`], [`floors`] and [`words`] each open
//! with theirs.

mod circles;
mod crate_table;
mod field_reports;
mod floors;
mod imports;
mod module_tree;
mod names;
mod words;
mod workspace;
