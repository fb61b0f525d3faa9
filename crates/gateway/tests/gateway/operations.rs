//! Operations that share one path: JSON-RPC and GraphQL.

mod answers;
mod demands;
mod own_writes;
mod shop;
mod switching;
