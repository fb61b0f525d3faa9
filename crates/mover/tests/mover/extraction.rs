//! Check, prepare, copy, verify, hand over and cancel, against real PostgreSQL: two
//! clusters for all tests, two databases for each.

mod archiving;
mod cancelling;
mod checking;
mod copying;
pub(crate) mod databases;
mod dumping;
mod finishing;
mod freezing;
mod handing_over;
mod retiring;
mod settings;
mod shared_tables;
mod verifying;
mod versions;
mod waiting;
mod writing;
