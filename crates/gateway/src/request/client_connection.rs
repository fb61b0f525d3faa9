//! What lasts of a client's connection from one request to the next.

use super::tunnel::TunnelSlot;
use crate::upstream::{interim::Interim, own_connections::OwnConnections};
use std::rc::Rc;

/// What lasts of a client's connection from one request to the next.
#[derive(Default)]
pub(crate) struct ClientConnection {
    /// Where an upgrade leaves its tunnel.
    pub(crate) tunnel: TunnelSlot,
    pub(crate) own: Rc<OwnConnections>,
    /// What the client is told before an answer.
    pub(crate) interim: Rc<Interim>,
}
