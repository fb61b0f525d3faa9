//! The mover against real PostgreSQL.

mod extraction;
mod field_reports;
mod findings;
mod follow;
mod joining;
mod life;
mod memory;
mod plans;
mod queries;
mod random_schemas;
mod repairs;
mod tls;
