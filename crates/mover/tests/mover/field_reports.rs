//! What went wrong for users of other movers, tried here. The log is
//! docs/field-reports.md; each check is a function, which the log names. One
//! test for each topic: its checks share two clusters and one extraction.

mod keys;
mod large;
mod names;
mod transactions;
