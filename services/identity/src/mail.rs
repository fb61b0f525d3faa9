//! What users are written to. The service sends nothing itself: it emits
//! events in the transaction of what they tell of, and a relay posts them to
//! the notification service's `/events`, at least once, under the event's id
//! as idempotency key.

use async_trait::async_trait;
use kit::Problem;
use kit::client::Client;
use kit::database::Database;
use kit::outbox::{self, Consumer, Delivery, EmitError, Refusal};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use time::format_description::well_known::Rfc3339;

use crate::link::Purpose;
use crate::user::User;

/// Somebody wants to prove that they read at their address.
pub const EMAIL_VERIFICATION: &str = "identity.email-verification-requested";
/// Somebody has forgotten their password.
pub const PASSWORD_RESET: &str = "identity.password-reset-requested";
/// Nobody has the address that was given. Nobody listens to this: it is there
/// so that the work is the same.
const FOR_NOBODY: &str = "identity.nothing-requested";

/// What the notification service is told.
#[derive(Debug, Serialize)]
struct Letter<'a> {
    user_id: i32,
    email: &'a str,
    first_name: &'a str,
    /// To be put into the link. A secret until it is used or expires.
    token: &'a str,
}

/// Has a link sent.
pub(crate) async fn emit(
    database: &Database,
    connection: &mut PgConnection,
    purpose: Purpose,
    user: Option<&User>,
    token: &str,
) -> Result<(), Problem> {
    let topic = match (user, purpose) {
        (None, _) => FOR_NOBODY,
        (Some(_), Purpose::PasswordReset) => PASSWORD_RESET,
        (Some(_), Purpose::EmailVerification) => EMAIL_VERIFICATION,
    };
    let letter = Letter {
        user_id: user.map_or(0, |user| user.id),
        email: user.map_or("", |user| &user.email),
        first_name: user.map_or("", |user| &user.first_name),
        token,
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
pub(crate) struct Notification(pub(crate) Client);

#[async_trait]
impl Consumer for Notification {
    fn name(&self) -> &'static str {
        "notification"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[EMAIL_VERIFICATION, PASSWORD_RESET]
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<(), Refusal> {
        let event = &delivery.event;
        let body = json!({
            "id": event.id,
            "topic": event.topic,
            "key": event.key,
            "payload": event.payload,
            "emitted_at": event.emitted_at.format(&Rfc3339).unwrap_or_default(),
        });
        let request = self.0.post("/events").json(&body);
        let answer = request.idempotency_key(&event.id.to_string()).send().await;
        let answer = answer.map_err(|error| Refusal::Later(error.to_string()))?;
        let status = answer.status;
        if status.is_success() {
            return Ok(());
        }
        let reason = format!("the notification service answered {status}");
        // What it does not understand now, it will not understand later.
        if status == http::StatusCode::UNPROCESSABLE_ENTITY {
            return Err(Refusal::Never(reason));
        }
        Err(Refusal::Later(reason))
    }
}
