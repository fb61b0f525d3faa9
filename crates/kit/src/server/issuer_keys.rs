//! Refreshes the keys that the issuer of users' tokens publishes.
//!
//! They are read at start, every few minutes, and out of turn when a token
//! names a key that is not there: rarely, however many such tokens come. What
//! was read last and was good is kept when reading fails.

use std::sync::Arc;
use std::time::Duration;

use jwks::KeySet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::auth::UserTokens;
use crate::client::{Client, Response};

/// How often they are read. An issuer publishes a key before it signs by it.
const REFRESH: Duration = Duration::from_mins(5);

/// The least time between two readings, asked for or after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Never ends.
pub(super) async fn refresh(users: Arc<UserTokens>, issuer: Client) {
    let Some(published) = users.published() else {
        return;
    };
    loop {
        let read = read(&issuer).await;
        let wait = match &read {
            Ok(_) => {
                debug!("the issuer's keys were read");
                REFRESH
            }
            Err(error) => {
                warn!(error, "the issuer's keys cannot be read");
                PAUSE
            }
        };
        published.store(read.ok());
        sleep(PAUSE).await;
        // Late is in time.
        let _ = timeout(wait.saturating_sub(PAUSE), published.wanted()).await;
    }
}

async fn read(issuer: &Client) -> Result<KeySet, String> {
    let answer = issuer.get("").send().await.and_then(Response::successful);
    let answer = answer.map_err(|error| error.to_string())?;
    KeySet::parse(&answer.body).map_err(|error| error.to_string())
}
