//! What users are written to. The service sends nothing itself: it emits
//! events in the transaction of what they tell of, and a relay asks the
//! notification service to write, at least once, under the event's id as
//! idempotency key.

use std::time::Duration;

use async_trait::async_trait;
use kit::Problem;
use kit::client::Client;
use kit::database::Database;
use kit::outbox::{self, Consumer, Delivery, DeliveryError, EmitError};
use kit::settings::Origin;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;

use crate::link::Purpose;
use crate::user::User;

/// Somebody wants to prove that they read at their address.
const EMAIL_VERIFICATION: &str = "identity.email-verification-requested";
/// Somebody has forgotten their password.
const PASSWORD_RESET: &str = "identity.password-reset-requested";
/// Nobody has the address that was given. Nobody is written to: it is there so
/// that the work is the same, and so it is delivered like the others.
const FOR_NOBODY: &str = "identity.nothing-requested";
/// What letters have where a name would be: "Hello there". Never the user's own
/// name: whoever registers with an address of somebody else chooses that text,
/// and we would send it there.
const GREETED: &str = "there";

/// What a letter is about.
#[derive(Debug, Serialize, Deserialize)]
struct Letter {
    user_id: i32,
    email: String,
    /// A secret until it is used or expires.
    token: String,
    /// How long it is good.
    minutes: u64,
}

/// Has a link sent.
pub(crate) async fn emit(
    database: &Database,
    connection: &mut PgConnection,
    purpose: Purpose,
    user: Option<&User>,
    token: String,
    lifetime: Duration,
) -> Result<(), Problem> {
    let topic = match (user, purpose) {
        (None, _) => FOR_NOBODY,
        (Some(_), Purpose::PasswordReset) => PASSWORD_RESET,
        (Some(_), Purpose::EmailVerification) => EMAIL_VERIFICATION,
    };
    let letter = Letter {
        user_id: user.map_or(0, |user| user.id),
        email: user.map_or_else(String::new, |user| user.email.clone()),
        token,
        minutes: lifetime.as_secs() / 60,
    };
    let key = letter.user_id.to_string();
    let emitted = outbox::emit(database, connection, topic, &key, &letter).await;
    emitted.map(|_| ()).map_err(|error| match error {
        EmitError::Database(error) => error.into(),
        error => {
            tracing::error!(%error, "an event was not written");
            Problem::internal()
        }
    })
}

/// The notification service, as a consumer of our outbox.
#[derive(Debug)]
pub(crate) struct Notification {
    pub(crate) client: Client,
    /// Where links lead.
    pub(crate) links: Origin,
}

#[async_trait]
impl Consumer for Notification {
    fn name(&self) -> &'static str {
        "notification"
    }

    fn topics(&self) -> &'static [&'static str] {
        // An event without a subscribed consumer is not stored.
        &[EMAIL_VERIFICATION, PASSWORD_RESET, FOR_NOBODY]
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let event = &delivery.event;
        if event.topic == FOR_NOBODY {
            return Ok(());
        }
        let letter = Letter::deserialize(&event.payload)
            .map_err(|_| DeliveryError::Permanent("the event is no letter".to_owned()))?;
        let template = match &*event.topic {
            PASSWORD_RESET => "reset-password",
            _ => "verify-email",
        };
        let links = self.links.as_str();
        let body = json!({
            "user_id": letter.user_id.to_string(),
            "template": template,
            "category": "security",
            "channels": ["email"],
            "email": letter.email,
            "data": {
                "name": GREETED,
                "link": format!("{links}/{template}?token={}", letter.token),
                "minutes": letter.minutes,
            },
        });
        let request = self.client.post("/notifications").json(&body);
        let answer = request.idempotency_key(&event.id.to_string()).send().await;
        let answer = answer.map_err(|error| DeliveryError::Transient(error.to_string()))?;
        let status = answer.status;
        if status.is_success() {
            return Ok(());
        }
        let reason = format!("the notification service answered {status}");
        // What it does not understand now, it will not understand later.
        if status == http::StatusCode::UNPROCESSABLE_ENTITY {
            return Err(DeliveryError::Permanent(reason));
        }
        Err(DeliveryError::Transient(reason))
    }
}
