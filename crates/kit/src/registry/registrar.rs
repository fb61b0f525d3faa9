//! Keeps this instance in the registry.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{HEARTBEAT, Registration};
use crate::client::{Client, ClientError, REGISTRY_SERVICES, registry_pause};
use crate::service::Stopping;

/// How long the end of a service waits for the registry to forget it; without
/// that it is forgotten a little later.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Keeps one instance registered.
#[derive(Debug)]
pub(crate) struct Registrar {
    pub(crate) registry: Client,
    pub(crate) registration: Registration,
}

/// A registered instance, as far as it matters to itself.
#[derive(Debug, Deserialize)]
struct RegisteredInstance {
    id: String,
}

impl Registrar {
    /// Keeps it registered until the service stops, whatever happens to the
    /// registry.
    pub(crate) async fn run(self, stopping: Stopping) {
        let mut id = None;
        tokio::select! {
            () = self.keep(&mut id) => {}
            () = stopping.told() => {}
        }
        let Some(id) = id else { return };
        let goodbye = self
            .registry
            .delete(format!("{REGISTRY_SERVICES}/{id}"))
            .send();
        if let Ok(Ok(_)) = timeout(GOODBYE_TIMEOUT, goodbye).await {
            info!("no longer in the registry");
        } else {
            warn!("the registry was not told; it forgets by itself");
        }
    }

    /// Registers, and again whenever the registry has forgotten. Never ends.
    async fn keep(&self, id: &mut Option<String>) {
        let mut failures = 0_u32;
        loop {
            let step = match id {
                None => self.register().await.map(Some),
                Some(known) => self.heartbeat(known).await,
            };
            match step {
                Ok(now) => {
                    if failures > 0 {
                        info!("the registry is back");
                    }
                    failures = 0;
                    let was_forgotten = id.is_some() && now.is_none();
                    *id = now;
                    if !was_forgotten {
                        sleep(HEARTBEAT).await;
                    }
                }
                Err(error) => {
                    if failures == 0 {
                        warn!(
                            error = &error as &dyn std::error::Error,
                            "the registry cannot be told"
                        );
                    }
                    failures = failures.saturating_add(1);
                    sleep(registry_pause(failures)).await;
                }
            }
        }
    }

    async fn register(&self) -> Result<String, ClientError> {
        let answer = self
            .registry
            .post(REGISTRY_SERVICES)
            .json(&self.registration)
            .send()
            .await?;
        let RegisteredInstance { id } = answer.successful()?.json()?;
        // It becomes a part of an address.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || !id.chars().all(is_plain) {
            let why = "the id that it gave is none".to_owned();
            return Err(ClientError::Content("registry".to_owned(), why));
        }
        info!(id, "in the registry");
        Ok(id)
    }

    /// `None` where the registry has forgotten us.
    async fn heartbeat(&self, id: &str) -> Result<Option<String>, ClientError> {
        let path = format!("{REGISTRY_SERVICES}/{id}/heartbeat");
        let answer = self.registry.request(Method::PUT, path).send().await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.successful()?;
        Ok(Some(id.to_owned()))
    }
}
