//! Web-hooks: a signed request to an address of the user's.

pub mod signature;

use std::time::Duration;

use async_trait::async_trait;
use axum::http::{Request, StatusCode, header};
use kit::database::{Database, DatabaseError};
use kit::outbox::{Consumer, Delivery, DeliveryError, Outcome};
use kit::outside::{Bounds, Destinations, Outside, OutsideError};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::store::deliveries;
use crate::store::webhooks;

/// A receiver is to take the message and work on it later; of its answer only
/// the status matters.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(15),
    body_bytes: None,
};

/// The outbox's topic of web-hooks.
pub const TOPIC: &str = "notification.webhook";
/// Under which the outbox queues them.
pub const CONSUMER: &str = "webhook";

/// Calls web-hooks that are queued, those of one address in order.
#[derive(Debug)]
pub struct Webhook {
    database: Database,
    outside: Outside,
}

impl Webhook {
    /// May lead to these destinations.
    pub fn new(database: Database, destinations: Destinations) -> Self {
        Self {
            database,
            outside: Outside::new("banyan-notification", destinations),
        }
    }
}

fn refusal(error: &OutsideError) -> DeliveryError {
    if error.is_final() {
        DeliveryError::Permanent(error.to_string())
    } else {
        DeliveryError::Transient(error.to_string())
    }
}

/// What an answer means: taken, gone, refused for good, or perhaps later.
fn verdict(status: StatusCode) -> Result<(), DeliveryError> {
    const TOO_EARLY: u16 = 425;
    let said = || format!("the receiver answered {}", status.as_u16());
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(DeliveryError::Transient(said()))
        }
        status if status.as_u16() == TOO_EARLY => Err(DeliveryError::Transient(said())),
        // Redirections are not followed: they could lead anywhere.
        status if status.is_client_error() || status.is_redirection() => {
            Err(DeliveryError::Permanent(said()))
        }
        _ => Err(DeliveryError::Transient(said())),
    }
}

#[async_trait]
impl Consumer for Webhook {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    fn topics(&self) -> &'static [&'static str] {
        &[TOPIC]
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let id = deliveries::named_by(&delivery.event)?;
        let Some(call) = webhooks::call(&self.database, id).await? else {
            return Err(DeliveryError::Permanent(
                "the web-hook was removed".to_owned(),
            ));
        };
        let body = serde_json::to_vec(&call.document)
            .map_err(|_| DeliveryError::Permanent("the message cannot be written".to_owned()))?;
        let at = OffsetDateTime::now_utc().unix_timestamp();
        let name = id.to_string();
        let signature = signature::sign(&call.secret, &name, at, &body);
        let request = Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", name)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature);
        let sent = self.outside.send(&call.url, request, body, BOUNDS).await;
        let status = sent.map_err(|error| refusal(&error))?.status();
        if status == StatusCode::GONE {
            webhooks::mark_gone(&self.database, call.webhook).await?;
        }
        verdict(status)
    }

    async fn note(
        &self,
        connection: &mut PgConnection,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> Result<(), DatabaseError> {
        deliveries::note(connection, delivery, outcome).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let verdict = |code| verdict(StatusCode::from_u16(code).unwrap());
        for code in [200, 201, 204] {
            assert_eq!(verdict(code), Ok(()));
        }
        for code in [408, 425, 429, 500, 502, 503] {
            assert!(
                matches!(verdict(code), Err(DeliveryError::Transient(_))),
                "{code}"
            );
        }
        for code in [301, 307, 400, 401, 404, 410] {
            assert!(
                matches!(verdict(code), Err(DeliveryError::Permanent(_))),
                "{code}"
            );
        }
    }
}
