//! How far a body is on its way to an upstream.

use std::{cell::Cell, rc::Rc};
use tokio::time::Instant;

/// When the last part of a request was passed on: an upstream cannot answer
/// before it has the request, so its time counts from then.
#[derive(Clone)]
pub(crate) struct Progress(Rc<Cell<Instant>>);

impl Progress {
    pub(super) fn begin() -> Self {
        Self(Rc::new(Cell::new(Instant::now())))
    }

    pub(super) fn now(&self) {
        self.0.set(Instant::now());
    }

    pub(crate) fn last(&self) -> Instant {
        self.0.get()
    }
}
