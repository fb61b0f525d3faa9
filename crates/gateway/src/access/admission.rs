//! What is known of a request that was let in.

use super::{decoration::Decoration, identity::Identity};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::rc::Rc;

/// What is known of a request that was let in; nothing, where nothing was
/// demanded.
#[derive(Debug, Default)]
pub(crate) struct Admission(Option<Box<Admitted>>);

#[derive(Debug)]
struct Admitted {
    who: Option<Rc<Identity>>,
    /// What the upstream is told.
    sent: Vec<(HeaderName, HeaderValue)>,
    /// What the client is told.
    told: Decoration,
    /// The largest body that is demanded, of which not all says its length beforehand.
    body_bytes: Option<u64>,
}

impl Admission {
    pub(crate) fn new(
        who: Option<Rc<Identity>>,
        sent: Vec<(HeaderName, HeaderValue)>,
        told: Decoration,
        body_bytes: Option<u64>,
    ) -> Self {
        Self(Some(Box::new(Admitted {
            who,
            sent,
            told,
            body_bytes,
        })))
    }

    /// The largest body that is demanded of the request.
    pub(crate) fn body_bytes(&self) -> Option<u64> {
        self.0.as_ref()?.body_bytes
    }

    /// Of a token with these claims.
    #[cfg(test)]
    pub(crate) fn of_claims(claims: &serde_json::Value) -> Self {
        let claims = claims.as_object().cloned().unwrap_or_default();
        Self::new(
            Some(Identity::new(None, claims)),
            Vec::new(),
            Decoration::default(),
            None,
        )
    }

    /// A claim of the request's verified token: text as it is, numbers and
    /// booleans as JSON writes them. Usable as a client's key.
    pub(crate) fn claim(&self, name: &str) -> Option<&[u8]> {
        self.0.as_ref()?.who.as_ref()?.claim(name)
    }

    /// The consumer, where one is known.
    pub(crate) fn consumer(&self) -> Option<&str> {
        let credential = self.0.as_ref()?.who.as_ref()?.credential.as_ref()?;
        Some(&credential.consumer)
    }

    /// Tells the upstream. After the client's head was made one for the
    /// upstream: what a client may name in `Connection` is gone by then.
    pub(crate) fn introduce(&self, headers: &mut HeaderMap) {
        for (name, value) in self.0.iter().flat_map(|admitted| &admitted.sent) {
            headers.insert(name, value.clone());
        }
    }

    /// Adds to the head of the answer.
    pub(crate) fn decorate(&self, headers: &mut HeaderMap) {
        if let Some(admitted) = &self.0 {
            admitted.told.apply(headers);
        }
    }
}
