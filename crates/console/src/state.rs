//! What all pages share, and who reads them.

use crate::{
    api::{Api, ApiError},
    history::History,
    role::Role,
    session::{Session, Sessions},
};
use axum::Router;
use serde::Deserialize;
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
    /// None of somebody with the state directory's token who did not say one.
    pub(crate) name: Option<String>,
    pub(crate) role: Role,
}

/// What the API says of a bearer.
#[derive(Deserialize)]
struct Identity {
    name: Option<String>,
    role: Role,
}

impl Person {
    /// Asks the API whose bearer it is; `claimed` is the name where that proves none.
    pub(crate) async fn of(
        api: &Api,
        bearer: &str,
        claimed: Option<&str>,
    ) -> Result<Self, ApiError> {
        let Identity { name, role } = api.get(bearer, "/v1/me").await?;
        Ok(Self {
            name: name.or_else(|| claimed.map(str::to_owned)),
            role,
        })
    }

    /// Whoever is signed in.
    pub(crate) async fn signed_in(api: &Api, session: &Session) -> Result<Self, ApiError> {
        Self::of(api, &session.bearer, session.name.as_deref()).await
    }

    /// In words.
    pub(crate) fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or("nameless")
    }

    /// Why they may not do what needs a role.
    pub(crate) fn lacks(&self, needed: Role) -> Option<String> {
        self.role.lacks(needed)
    }
}
