//! What an answer carries for its client.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers of an answer.
#[derive(Debug, Default)]
pub(crate) struct Decoration {
    headers: Vec<(HeaderName, HeaderValue)>,
    owns_cors: bool,
}

impl Decoration {
    pub(crate) fn push(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.push((name, value));
    }

    /// What an upstream says of origins is removed.
    pub(crate) fn owns_cors(&mut self) {
        self.owns_cors = true;
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        if self.owns_cors {
            for name in &OWNED {
                headers.remove(name);
            }
        }
        for (name, value) in &self.headers {
            if *name == header::VARY {
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
    }
}

/// What an upstream says about it does not count: the plan does.
pub(crate) const OWNED: [HeaderName; 3] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
];
