//! One request, from its head to the head of its answer.

pub(crate) mod addressing;
pub(crate) mod buffering;
pub(crate) mod caller;
pub(crate) mod canary;
pub(crate) mod choose;
pub(crate) mod client_body;
pub(crate) mod client_connection;
pub(crate) mod dispatch;
pub(crate) mod failed_answer;
pub(crate) mod forward;
pub(crate) mod observed;
pub(crate) mod operations;
pub(crate) mod outcome;
pub(crate) mod passthrough;
pub(crate) mod present_headers;
pub(crate) mod read;
pub(crate) mod read_your_writes;
pub(crate) mod replayable;
pub(crate) mod resend;
pub(crate) mod sanitize;
pub(crate) mod serve;
pub(crate) mod shadow;
pub(crate) mod stale_answer;
pub(crate) mod tunnel;
pub(crate) mod upgrade;
mod way;
pub(crate) mod write;
