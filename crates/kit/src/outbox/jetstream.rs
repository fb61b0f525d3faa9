//! A consumer that publishes events to NATS JetStream, for whoever listens
//! there. The server acknowledges what it has stored, and drops a repeat by the
//! event's id for as long as its window is.

use std::time::Duration;

use async_nats::jetstream::{self, Context, context, stream};
use async_nats::{ConnectOptions, HeaderMap};
use async_trait::async_trait;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::{Consumer, Delivery, DeliveryError, Event};

/// For the server to say that it has stored an event.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the tries of the default settings take in all.
const DUPLICATE_WINDOW: Duration = Duration::from_hours(3);
/// What the server keeps; beyond it the oldest go.
const MAX_STREAM_BYTES: i64 = 1 << 30;
const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// Where to publish, and what.
#[derive(Debug, Clone)]
pub struct JetStreamSettings {
    /// The server, for example `nats://127.0.0.1:4222`.
    pub url: String,
    /// The stream; it is made if it is not there, and left as it is otherwise.
    pub stream: String,
    /// Stands before each topic in the subject, with a dot between.
    pub prefix: String,
    /// The consumer's name in the outbox, for good.
    pub consumer: &'static str,
    /// What is published.
    pub topics: &'static [&'static str],
}

/// Why nothing can be published.
#[derive(Debug, thiserror::Error)]
pub enum JetStreamError {
    /// The server's address will not do, or the credentials.
    #[error("cannot connect to the NATS server; check its URL")]
    Connect(#[from] async_nats::ConnectError),
    /// The stream is not there and cannot be made.
    #[error("the stream {stream} cannot be made; check that the server has JetStream on")]
    Stream {
        /// Its name.
        stream: String,
        /// Why not.
        source: context::CreateStreamError,
    },
}

/// Publishes events.
#[derive(Debug)]
pub struct JetStream {
    context: Context,
    settings: JetStreamSettings,
}

impl JetStream {
    /// Connects, and makes the stream if there is none. Later on the client
    /// connects again by itself.
    pub async fn connect(settings: JetStreamSettings) -> Result<Self, JetStreamError> {
        let client = ConnectOptions::new()
            .request_timeout(Some(ACKNOWLEDGE_TIMEOUT))
            .connect(&settings.url)
            .await?;
        let mut context = jetstream::new(client);
        context.set_timeout(ACKNOWLEDGE_TIMEOUT);
        context
            .get_or_create_stream(stream::Config {
                name: settings.stream.clone(),
                subjects: vec![format!("{}.>", settings.prefix)],
                duplicate_window: DUPLICATE_WINDOW,
                max_bytes: MAX_STREAM_BYTES,
                max_age: MAX_AGE,
                ..stream::Config::default()
            })
            .await
            .map_err(|source| JetStreamError::Stream {
                stream: settings.stream.clone(),
                source,
            })?;
        Ok(Self { context, settings })
    }
}

/// What is published: the event as it is.
fn document(event: &Event) -> String {
    json!({
        "id": event.id,
        "topic": event.topic,
        "key": event.key,
        "payload": event.payload,
        "emitted_at": event.emitted_at.format(&Rfc3339).unwrap_or_default(),
    })
    .to_string()
}

#[async_trait]
impl Consumer for JetStream {
    fn name(&self) -> &'static str {
        self.settings.consumer
    }

    fn topics(&self) -> &'static [&'static str] {
        self.settings.topics
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let event = &delivery.event;
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, event.id.to_string());
        let subject = format!("{}.{}", self.settings.prefix, event.topic);
        let later = |error: &dyn std::error::Error| DeliveryError::Transient(error.to_string());
        // The client keeps what it cannot send at the moment; whoever waits
        // for the acknowledgement gives up, and the repeat is dropped.
        let stored = self
            .context
            .publish_with_headers(subject, headers, document(event).into())
            .await
            .map_err(|error| later(&error))?;
        stored.await.map_err(|error| later(&error))?;
        Ok(())
    }
}
