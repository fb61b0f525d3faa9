//! Bodies on their way through.

mod buffers;
pub(crate) mod collect;
mod discard;
mod fault;
mod incoming;
mod keeping;
mod pace;
mod progress;
pub(crate) mod request;
pub(crate) mod spool;
pub(crate) mod spool_usage;
pub(crate) mod trailers;

pub(crate) use buffers::{Buffers, Reserved};
pub(crate) use collect::{BODY_BYTES_MAX, Collected, Inbound, Intake, collect, refuse};
pub(crate) use fault::BodyFault;
pub(crate) use incoming::Incoming;
pub(crate) use keeping::Keeping;
pub(crate) use progress::Progress;
pub(crate) use request::{Conversing, Expecting, RequestBody, Whole};
pub(crate) use spool::Spool;
pub(crate) use spool_usage::SpoolUsage;
pub(crate) use trailers::RequestTrailers;
