//! Everything that stands around Banyan when it is shown or tested: private
//! PostgreSQL clusters, the example monolith and service, a workload, an
//! auditor that takes no part in the work, and the story and the
//! drills that tie them.
//!
//! Development only; nothing that ships depends on it. The binaries under test
//! are black boxes here: this crate starts them, speaks HTTP and SQL, and reads
//! what their command line prints.
//!
//! Invariants:
//! - No child outlives this process, not even when this process is killed with
//!   SIGKILL ([`process`] has the mechanism).
//! - Whatever is written lands in one private directory ([`directory`]), which
//!   goes away with its owner, or at the next start if the owner was killed.
//! - Every wait has a deadline and says what it waited for ([`deadline`]).

pub mod auditor;
pub mod banyan;
pub mod binaries;
pub mod browser;
pub mod catalogue;
pub mod certificates;
pub mod cluster;
pub mod deadline;
pub mod directory;
pub mod document;
pub mod document_service;
pub mod drill;
pub mod faulty_proxy;
pub mod http_client;
pub mod identity;
mod made_once;
pub mod mail;
pub mod migration;
pub mod monolith;
pub mod node;
pub mod people;
pub mod pooler;
pub mod ports;
pub mod process;
pub mod python;
pub mod random_schema;
pub mod raw_http;
pub mod scene;
pub mod schemathesis;
pub mod service;
pub mod service_bed;
pub mod set;
pub mod silent_network;
pub mod small_disk;
pub mod story;
pub mod workload;
