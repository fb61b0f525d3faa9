//! Connections to upstreams that belong to one client's connection.
//!
//! NTLM and Negotiate let in a connection, not a request: whatever comes over it
//! later is taken for who said the password first. So a connection over which either
//! was spoken is never used for another client. It stays for the next requests of its
//! own, since the handshake goes over several, and is closed with the client's.

use super::{http1::UpstreamConnection, pool::Pool};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::{cell::RefCell, rc::Rc};

/// The most that are kept for one client; browsers ask one upstream at a time.
const KEPT_MAX: usize = 4;

/// Connections to upstreams that belong to one client's connection.
#[derive(Default)]
pub(crate) struct OwnConnections(RefCell<Vec<Kept>>);

struct Kept {
    pool: Rc<Pool>,
    instance: usize,
    connection: UpstreamConnection,
}

impl OwnConnections {
    /// Which instance of an upstream it has a connection to.
    pub(crate) fn instance(&self, pool: &Rc<Pool>) -> Option<usize> {
        let kept = self.0.borrow();
        let own = kept.iter().find(|one| Rc::ptr_eq(&one.pool, pool));
        own.map(|one| one.instance)
    }

    /// Takes its connection to an instance for a request, where it is not closed.
    pub(crate) fn take(&self, pool: &Rc<Pool>, instance: usize) -> Option<UpstreamConnection> {
        let mut kept = self.0.borrow_mut();
        let is_it = |one: &Kept| one.instance == instance && Rc::ptr_eq(&one.pool, pool);
        let at = kept.iter().position(is_it)?;
        let mut connection = kept.swap_remove(at).connection;
        connection.is_quiet().then(|| {
            connection.begin(pool.busy(instance));
            connection
        })
    }

    /// The same for a request that must not be repeated: the operating system is asked
    /// first whether the upstream has closed it, as in [`Pool::take_fresh`].
    pub(crate) async fn take_fresh(
        &self,
        pool: &Rc<Pool>,
        instance: usize,
    ) -> Option<UpstreamConnection> {
        loop {
            let mut connection = self.take(pool, instance)?;
            tokio::task::yield_now().await;
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    fn give_back(&self, pool: Rc<Pool>, mut connection: UpstreamConnection) {
        let Some(instance) = connection.end() else {
            return;
        };
        let mut kept = self.0.borrow_mut();
        if connection.is_reusable() && kept.len() < KEPT_MAX {
            kept.push(Kept {
                pool,
                instance,
                connection,
            });
        }
    }
}

/// Who gets a connection once its answer has been read.
pub(crate) enum Return {
    /// Whoever needs one next.
    Pool,
    /// This client.
    Own(Rc<OwnConnections>),
    /// Nobody: it is closed.
    Nobody,
}

impl Return {
    /// That of a connection over which this was asked and answered. `is_own`: it was
    /// the client's own before.
    pub(crate) fn of(
        own: Option<&Rc<OwnConnections>>,
        is_own: bool,
        asked: &HeaderMap,
        answered: &HeaderMap,
    ) -> Self {
        let is_let_in = is_own
            || names_connections(answered, &header::WWW_AUTHENTICATE)
            || names_connections(asked, &header::AUTHORIZATION);
        match own {
            _ if !is_let_in => Self::Pool,
            Some(own) => Self::Own(Rc::clone(own)),
            None => Self::Nobody,
        }
    }

    pub(crate) fn give_back(self, pool: &Rc<Pool>, connection: UpstreamConnection) {
        match self {
            Self::Pool => pool.give_back(connection),
            Self::Own(own) => own.give_back(Rc::clone(pool), connection),
            Self::Nobody => {}
        }
    }
}

/// Whether one of these headers, in any of its members, names a scheme that lets in
/// connections.
fn names_connections(headers: &HeaderMap, name: &HeaderName) -> bool {
    let is_one = |member: &[u8]| {
        let member = member.trim_ascii();
        let scheme = member
            .split(|byte| *byte == b' ')
            .next()
            .unwrap_or_default();
        SCHEMES.iter().any(|one| scheme.eq_ignore_ascii_case(one))
    };
    let names = |value: &HeaderValue| value.as_bytes().split(|byte| *byte == b',').any(is_one);
    headers.get_all(name).iter().any(names)
}

const SCHEMES: [&[u8]; 2] = [b"NTLM", b"Negotiate"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_of_connections_are_told_from_those_of_requests() {
        for (value, wanted) in [
            ("NTLM", true),
            ("ntlm TlRMTVNTUAAC", true),
            ("Negotiate oYIB", true),
            ("Basic realm=\"x\", NEGOTIATE", true),
            ("Bearer realm=\"NTLM\"", false),
            ("Basic realm=\"x\"", false),
        ] {
            let name = header::WWW_AUTHENTICATE;
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            let found = names_connections(&headers, &header::WWW_AUTHENTICATE);
            assert_eq!(found, wanted, "{value}");
        }
    }
}
