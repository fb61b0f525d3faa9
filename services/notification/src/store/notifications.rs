//! Notifications: written with their deliveries, read with what became of them.

use kit::database::{Database, DatabaseError};
use kit::outbox::{EmitError, emit};
use serde::Serialize;
use serde_json::json;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::allowances::{Allowance, Limit, take};
use super::deliveries::Named;
use super::{MAX_PAGE, preferences, push, webhooks};
use crate::message::{Channel, Order, Preferences};
use crate::templates::Rendered;
use crate::{email, webhook};

/// Why nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The user has had too many.
    #[error("the burst limit of the channel {channel} is reached")]
    Burst {
        /// On which channel.
        channel: Channel,
        /// After how long there is room for one more.
        seconds: u32,
    },
    /// The queue did not take it.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What a notification came to on one channel.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct DeliveryState {
    /// Which delivery.
    pub id: Uuid,
    /// On which channel.
    pub channel: Channel,
    /// `queued`, `retrying`, `sent`, `rejected`, `dead` or `suppressed`.
    pub state: String,
    /// Tries so far.
    pub attempts: i32,
    /// Why it is not sent.
    pub reason: Option<String>,
}

/// A notification and what became of it.
#[derive(Debug, Serialize)]
pub struct Notification {
    /// Which one.
    pub id: Uuid,
    /// For whom.
    pub user_id: String,
    /// What it is about.
    pub category: String,
    /// By which template it was written.
    pub template: String,
    /// Its subject.
    pub subject: String,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// One per channel, and per web-hook.
    pub deliveries: Vec<DeliveryState>,
}

/// Stores a notification and queues its deliveries, in the transaction of
/// `connection`.
pub async fn place(
    database: &Database,
    connection: &mut PgConnection,
    order: &Order,
    rendered: &Rendered,
    limit: Limit,
) -> Result<Notification, StoreError> {
    let wanted = preferences::of(connection, &order.user).await?;
    for channel in &order.channels {
        if wanted.objection(*channel, &order.category).is_some() {
            continue;
        }
        if let Allowance::Exhausted { seconds } =
            take(connection, &order.user, *channel, limit).await?
        {
            let channel = *channel;
            return Err(StoreError::Burst { channel, seconds });
        }
    }
    let id = Uuid::new_v4();
    let created_at: OffsetDateTime = sqlx::query_scalar(
        "insert into notifications (id, user_id, category, template, subject, body, html) \
         values ($1, $2, $3, $4, $5, $6, $7) returning created_at",
    )
    .bind(id)
    .bind(&order.user)
    .bind(&order.category)
    .bind(&order.template)
    .bind(&rendered.subject)
    .bind(&rendered.body)
    .bind(&rendered.html)
    .fetch_one(&mut *connection)
    .await?;
    let mut notification = Notification {
        id,
        user_id: order.user.clone(),
        category: order.category.clone(),
        template: order.template.clone(),
        subject: rendered.subject.clone(),
        created_at,
        deliveries: Vec::new(),
    };
    let mut placing = Placing {
        database,
        connection,
        notification: &mut notification,
        text: &rendered.body,
    };
    for channel in &order.channels {
        placing.on(*channel, order, &wanted).await?;
    }
    Ok(notification)
}

struct Placing<'a> {
    database: &'a Database,
    connection: &'a mut PgConnection,
    notification: &'a mut Notification,
    text: &'a str,
}

impl Placing<'_> {
    async fn on(
        &mut self,
        channel: Channel,
        order: &Order,
        wanted: &Preferences,
    ) -> Result<(), StoreError> {
        if let Some(objection) = wanted.objection(channel, &order.category) {
            return self.suppress(channel, objection).await;
        }
        match channel {
            Channel::Email => {
                let address = order.address.as_ref().or(wanted.email.as_ref());
                let Some(address) = address else {
                    return self.suppress(channel, "no mail address is known").await;
                };
                let delivery = Uuid::new_v4();
                // Mails need no order; a slow one holds up no other.
                let key = delivery.to_string();
                let event = self.queue(email::TOPIC, &key, delivery).await?;
                self.write(
                    channel,
                    delivery,
                    "queued",
                    None,
                    Some(address),
                    None,
                    Some(event),
                )
                .await
            }
            Channel::Push => self.push().await,
            Channel::Webhook => {
                let hooks = webhooks::live(self.connection, &order.user).await?;
                if hooks.is_empty() {
                    return self.suppress(channel, "the user has no web-hook").await;
                }
                for hook in hooks {
                    let delivery = Uuid::new_v4();
                    // In order per receiver, one at a time.
                    let key = hook.to_string();
                    let event = self.queue(webhook::TOPIC, &key, delivery).await?;
                    self.write(
                        channel,
                        delivery,
                        "queued",
                        None,
                        None,
                        Some(hook),
                        Some(event),
                    )
                    .await?;
                }
                Ok(())
            }
        }
    }

    async fn queue(
        &mut self,
        topic: &'static str,
        key: &str,
        delivery: Uuid,
    ) -> Result<Uuid, EmitError> {
        emit(
            self.database,
            self.connection,
            topic,
            key,
            &Named { delivery },
        )
        .await
    }

    async fn suppress(&mut self, channel: Channel, reason: &'static str) -> Result<(), StoreError> {
        let id = Uuid::new_v4();
        self.write(channel, id, "suppressed", Some(reason), None, None, None)
            .await
    }

    /// It is there for whoever comes: that is all that push can promise.
    async fn push(&mut self) -> Result<(), StoreError> {
        let at = self.notification.created_at;
        let message = json!({
            "notification": self.notification.id,
            "category": self.notification.category,
            "subject": self.notification.subject,
            "text": self.text,
            "created_at": at
                .format(&time::format_description::well_known::Rfc3339)
                .unwrap_or_default(),
        });
        let user = &self.notification.user_id;
        push::append(self.database, self.connection, user, &message).await?;
        self.write(
            Channel::Push,
            Uuid::new_v4(),
            "sent",
            None,
            None,
            None,
            None,
        )
        .await
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one row")]
    async fn write(
        &mut self,
        channel: Channel,
        id: Uuid,
        state: &'static str,
        reason: Option<&'static str>,
        address: Option<&String>,
        webhook: Option<Uuid>,
        event: Option<Uuid>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into deliveries (id, notification, channel, state, reason, address, webhook, \
             event) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id)
        .bind(self.notification.id)
        .bind(channel.name())
        .bind(state)
        .bind(reason)
        .bind(address)
        .bind(webhook)
        .bind(event)
        .execute(&mut *self.connection)
        .await?;
        self.notification.deliveries.push(DeliveryState {
            id,
            channel,
            state: state.to_owned(),
            attempts: 0,
            reason: reason.map(str::to_owned),
        });
        Ok(())
    }
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    user_id: String,
    category: String,
    template: String,
    subject: String,
    created_at: OffsetDateTime,
    deliveries: Json<Vec<DeliveryState>>,
}

impl From<Row> for Notification {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            category: row.category,
            template: row.template,
            subject: row.subject,
            created_at: row.created_at,
            deliveries: row.deliveries.0,
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select n.id, n.user_id, n.category, n.template, n.subject, n.created_at, ",
            "(select coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'channel', d.channel, ",
            "'state', d.state, 'attempts', d.attempts, 'reason', d.reason) ",
            "order by d.channel, d.id), '[]') from deliveries d where d.notification = n.id) ",
            "as deliveries from notifications n ",
            $rest
        )
    };
}

/// One notification; with `user`, only if it is theirs.
pub async fn one(
    database: &Database,
    id: Uuid,
    user: Option<&str>,
) -> Result<Option<Notification>, DatabaseError> {
    let query = select!("where n.id = $1 and ($2::text is null or n.user_id = $2)");
    let row: Option<Row> = sqlx::query_as(query)
        .bind(id)
        .bind(user)
        .fetch_optional(database.pool())
        .await?;
    Ok(row.map(Notification::from))
}

/// A user's notifications before a moment, the latest first.
pub async fn list(
    database: &Database,
    user: &str,
    before: Option<OffsetDateTime>,
    limit: i64,
) -> Result<Vec<Notification>, DatabaseError> {
    let query = select!(
        "where n.user_id = $1 and ($2::timestamptz is null or n.created_at < $2) \
         order by n.created_at desc, n.id desc limit $3"
    );
    let rows: Vec<Row> = sqlx::query_as(query)
        .bind(user)
        .bind(before)
        .bind(limit.clamp(1, MAX_PAGE))
        .fetch_all(database.pool())
        .await?;
    Ok(rows.into_iter().map(Notification::from).collect())
}
