//! What is kept, in the schema `analytics_service`. Only this module and its
//! parts know the tables.

pub mod dashboard;
pub mod ingest;
pub mod partitions;
pub mod rollup;

use kit::database::Schema;

/// The service's own.
pub const SCHEMA: Schema = Schema::of("analytics_service");
