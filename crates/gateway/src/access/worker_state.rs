//! What one worker keeps to let requests in.

use super::{
    context::Context,
    identity::{Credential, Identity},
    issuer::Issuer,
    limits::remote::Remote,
    token::Remembered,
};
use http::HeaderValue;
use plan::Generator;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};
use tokio::task::JoinSet;

/// What one worker keeps.
pub(crate) struct AccessState {
    pub(super) remembered: Remembered,
    pub(super) remote: Rc<Remote>,
    /// Whose keys this worker keeps fresh, and the task that does.
    keeping: Option<(Arc<Issuer>, Rc<JoinSet<()>>)>,
    /// By credential: bounded by the plan.
    known: RefCell<HashMap<Arc<str>, Rc<Identity>>>,
    /// What ids with a count begin with, and the count.
    pub(super) prefix: String,
    pub(super) count: Cell<u64>,
}

impl AccessState {
    /// `keeps`: this worker keeps the keys of an issuer fresh.
    pub(super) fn new(context: &Context, keeps: bool) -> Self {
        let issuer = context.issuer.as_ref().filter(|_| keeps);
        let remote = Rc::new(Remote::new(context.store.as_ref()));
        Self::of(remote, issuer.map(keep))
    }

    /// That of a changed plan: nothing that was verified before counts, the
    /// connection to a store that stays does.
    pub(super) fn after(&self, context: &Context, keeps: bool) -> Self {
        let remote = if self.remote.is_to(context.store.as_ref()) {
            Rc::clone(&self.remote)
        } else {
            Rc::new(Remote::new(context.store.as_ref()))
        };
        let issuer = context.issuer.as_ref().filter(|_| keeps);
        let keeping = issuer.map(|issuer| match &self.keeping {
            Some((same, task)) if Arc::ptr_eq(same, issuer) => (Arc::clone(same), Rc::clone(task)),
            _ => keep(issuer),
        });
        Self::of(remote, keeping)
    }

    fn of(remote: Rc<Remote>, keeping: Option<(Arc<Issuer>, Rc<JoinSet<()>>)>) -> Self {
        Self {
            remembered: Remembered::new(),
            remote,
            keeping,
            known: RefCell::default(),
            prefix: uuid::Uuid::new_v4().to_string(),
            count: Cell::new(0),
        }
    }

    pub(super) fn identity(&self, credential: &Arc<Credential>) -> Rc<Identity> {
        let mut known = self.known.borrow_mut();
        if let Some(identity) = known.get(&credential.name) {
            return Rc::clone(identity);
        }
        let identity = Identity::new(Some(Arc::clone(credential)), serde_json::Map::new());
        known.insert(Arc::clone(&credential.name), Rc::clone(&identity));
        identity
    }

    /// A new id for the header that the plan names.
    pub(super) fn correlation(&self, generator: Generator) -> HeaderValue {
        let text = match generator {
            Generator::Uuid => uuid::Uuid::new_v4().to_string(),
            Generator::UuidCounter => {
                let count = self.count.get();
                self.count.set(count.wrapping_add(1));
                format!("{}#{count}", self.prefix)
            }
        };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("none"))
    }
}

/// Keeps an issuer's keys fresh, until what is returned is dropped.
fn keep(issuer: &Arc<Issuer>) -> (Arc<Issuer>, Rc<JoinSet<()>>) {
    let mut task = JoinSet::new();
    let kept = Arc::clone(issuer);
    task.spawn_local(async move { kept.keep().await });
    (Arc::clone(issuer), Rc::new(task))
}
