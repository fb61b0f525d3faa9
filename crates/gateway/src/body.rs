//! Bodies on their way through.

pub(crate) mod collect;
mod discard;
mod fault;
pub(crate) mod request;
pub(crate) mod spool;
pub(crate) mod trailers;

pub(crate) use collect::{
    BODY_BYTES_MAX, Buffers, Collected, Inbound, Intake, Reserved, collect, refuse,
};
pub(crate) use fault::BodyFault;
pub(crate) use request::{Conversing, Expecting, Progress, RequestBody, Whole};
pub(crate) use spool::Spool;
pub(crate) use trailers::RequestTrailers;
