//! What all pages share, and who reads them.

use crate::{
    api::{Api, ApiError},
    history::History,
    role::{Role, lacks},
    session::{Session, Sessions},
};
use axum::Router;
use conductor::api::Identity;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Pages that follow the status at once; more are told to load themselves again.
const STREAMS_MAX: usize = 64;

/// What all pages share.
#[derive(Clone)]
pub(crate) struct Console {
    pub(crate) api: Api,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) history: Arc<History>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
}

impl Console {
    pub(crate) fn new(api: Router, stop: CancellationToken) -> Self {
        Self {
            api: Api::new(api),
            sessions: Arc::default(),
            history: Arc::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            stop,
        }
    }
}

/// Whose bearer it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// In which orders are kept.
    pub(crate) name: String,
    pub(crate) role: Role,
}

impl Person {
    /// Asks the API whose bearer it is; `claimed` is the name where that proves none.
    /// `None`: nobody's, for want of a name. Much of what is ordered is kept with one.
    pub(crate) async fn of(
        api: &Api,
        bearer: &str,
        claimed: Option<&str>,
    ) -> Result<Option<Self>, ApiError> {
        let Identity { name, role, .. } = api.get(bearer, "/v1/me").await?;
        let claimed = claimed.map(str::trim).filter(|name| !name.is_empty());
        let name = name.or_else(|| claimed.map(str::to_owned));
        Ok(name.map(|name| Self { name, role }))
    }

    /// Whoever is signed in.
    pub(crate) async fn signed_in(api: &Api, session: &Session) -> Result<Option<Self>, ApiError> {
        Self::of(api, &session.bearer, session.name.as_deref()).await
    }

    /// Why they may not do what needs a role.
    pub(crate) fn lacks(&self, needed: Role) -> Option<String> {
        lacks(self.role, needed)
    }
}
