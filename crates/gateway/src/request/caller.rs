//! Who a request comes from, and what its answer tells them of their writes.

use super::{
    client_connection::ClientConnection, observed::Observed,
    read_your_writes::response_tokens::ResponseTokens,
};
use crate::{
    access::Admission,
    base::peer::Peer,
    selection::cohort_key::KeyInput,
    upstream::{interim::Interim, own_connections::OwnConnections},
};
use http::{HeaderMap, Uri};
use protocol::Side;
use std::rc::Rc;

/// What is known of a request's client.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// As it was matched, before any rewriting.
    pub(crate) uri: &'a Uri,
    pub(crate) caller: Caller<'a>,
}

impl<'a> Client<'a> {
    /// What its key is looked for in.
    pub(crate) fn key_input(self) -> KeyInput<'a> {
        KeyInput {
            headers: self.headers,
            uri: self.uri,
            peer: self.caller.peer,
            admission: self.caller.admission,
        }
    }
}

/// Who a request comes from.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) peer: &'a Peer,
    /// Who they are, where they had to say it.
    pub(crate) admission: &'a Admission,
    /// `None` where nobody will be answered.
    pub(crate) tokens: Option<&'a ResponseTokens>,
    /// What its connection keeps, of HTTP/1: an upgrade's tunnel, and connections to
    /// upstreams that are its own.
    pub(crate) connection: Option<&'a ClientConnection>,
    /// What is told of its request; `None` where none is answered.
    pub(crate) observed: Option<&'a Observed<'a>>,
}

impl<'a> Caller<'a> {
    /// The upstream connections that are its own.
    pub(crate) fn own(self) -> Option<&'a Rc<OwnConnections>> {
        self.connection.map(|connection| &connection.own)
    }

    /// Where interim answers for it are left.
    pub(crate) fn interim(self) -> Option<Rc<Interim>> {
        self.connection.map(ClientConnection::interim)
    }

    /// Its request is sent to that side, from now on.
    pub(crate) fn goes_to(self, side: Side) {
        if let Some(observed) = self.observed {
            observed.goes_to(side);
        }
    }

    /// With the head of its request.
    pub(crate) fn client(self, headers: &'a HeaderMap, uri: &'a Uri) -> Client<'a> {
        Client {
            headers,
            uri,
            caller: self,
        }
    }
}
