//! What holds for all clients' connections of a gateway.

use crate::base::malformed::Malformed;
use std::{sync::Arc, time::Duration};

/// What holds for all clients' connections of a gateway.
pub(crate) struct Policy {
    pub(crate) limits: Limits,
    /// How long a client may be silent between two requests.
    pub(crate) idle: Duration,
    /// How long a client may take for a head, from its first byte.
    pub(crate) head: Duration,
    /// How long a client may take nothing of what is written to it.
    pub(crate) write: Duration,
    /// Told of each message that is none.
    pub(crate) on_malformed: Box<dyn Fn(MessagePart, Malformed) + Send + Sync>,
}

/// Bounds of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of the request line and all fields, with their ends.
    pub(crate) head_bytes: usize,
    /// Fields.
    pub(crate) headers: usize,
}

/// The part of a message that is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessagePart {
    Head,
    /// The request has begun to be served.
    Body,
}

impl Policy {
    pub(crate) fn new(
        client: &plan::ClientLimits,
        on_malformed: impl Fn(MessagePart, Malformed) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits: Limits {
                head_bytes: client.head_bytes,
                headers: client.headers,
            },
            idle: client.idle,
            head: client.head,
            write: client.write,
            on_malformed: Box::new(on_malformed),
        })
    }
}
