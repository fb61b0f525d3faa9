//! Where clients come in under a plan: its sockets, and how a connection begins there.

use super::connections::{Bound, Manner};
use crate::{
    Listeners, StartError,
    transport::{
        expiry::{self, Expiry},
        listeners::Listening,
        tls::Tls,
    },
};
use plan::{Listener, Plan};
use std::{io, sync::Arc};

/// Where clients come in under a plan.
pub(super) struct Entrances {
    /// All sockets, the main one's first.
    pub(super) sockets: Vec<Listening>,
    /// By worker.
    pub(super) bound: Vec<Vec<Bound>>,
    /// Of the certificates that clients are shown.
    pub(super) expiries: Vec<Expiry>,
}

impl Entrances {
    /// Takes what is inherited and makes what is missing. An error leaves
    /// nothing behind.
    pub(super) fn new(plan: &Plan, inherited: &mut Listeners) -> Result<Self, StartError> {
        let count = plan.gateway.workers.max(1);
        let main = Listener::plain(plan.gateway.listen);
        let (mut sockets, mut expiries) = (Vec::new(), Vec::new());
        let mut bound: Vec<Vec<Bound>> = (0..count).map(|_| Vec::new()).collect();
        for listener in [&main].into_iter().chain(&plan.gateway.listeners) {
            let manner = manner(listener)?;
            let presented = manner.tls.iter().flat_map(|tls| tls.expiries());
            expiries.extend(presented.cloned());
            for (at, socket) in inherited.take(listener, count)?.into_iter().enumerate() {
                let again = socket
                    .try_clone()
                    .map_err(|source| StartError::listening(&listener.address, source))?;
                sockets.push(again);
                let manner = manner.clone();
                bound[at % count].push(Bound { socket, manner });
            }
        }
        Ok(Self {
            sockets,
            bound,
            expiries: expiry::gathered(expiries),
        })
    }
}

pub(super) fn clones(sockets: &[Listening]) -> io::Result<Listeners> {
    let clones = sockets.iter().map(Listening::try_clone);
    clones.collect::<io::Result<_>>().map(Listeners)
}

/// How clients of a listener begin.
fn manner(listener: &Listener) -> Result<Manner, StartError> {
    let tls = match &listener.tls {
        None => None,
        Some(files) => {
            let tls = Tls::new(files).map_err(|source| StartError::Tls {
                address: listener.address.clone(),
                source: Box::new(source),
            })?;
            Some(Arc::new(tls))
        }
    };
    Ok(Manner {
        tls,
        proxy_protocol: listener.proxy_protocol,
    })
}
