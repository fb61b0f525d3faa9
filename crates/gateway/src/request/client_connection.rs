//! What lasts of a client's connection from one request to the next.

use super::tunnel::TunnelSlot;
use crate::upstream::{interim::Interim, own_connections::OwnConnections};
use std::{cell::RefCell, rc::Rc};

/// What lasts of a client's connection from one request to the next.
#[derive(Default)]
pub(crate) struct ClientConnection {
    /// Where an upgrade leaves its tunnel.
    pub(crate) tunnel: TunnelSlot,
    pub(crate) own: Rc<OwnConnections>,
    /// What the client is told before the answer to its request.
    interim: RefCell<Rc<Interim>>,
}

impl ClientConnection {
    /// A request begins. What an earlier one may still have left is not told any more.
    pub(crate) fn begin(&self, takes_interim: bool) -> Rc<Interim> {
        let mut interim = self.interim.borrow_mut();
        if Rc::strong_count(&interim) > 1 {
            *interim = Rc::default();
        }
        interim.is_wanted.set(takes_interim);
        drop(interim.take());
        Rc::clone(&interim)
    }

    /// Where interim answers to its request are left.
    pub(crate) fn interim(&self) -> Rc<Interim> {
        Rc::clone(&self.interim.borrow())
    }
}
