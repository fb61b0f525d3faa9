//! One socket: sends a user's messages in order until either side ends it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use kit::Stopping;
use kit::database::{Database, DatabaseError};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tracing::{debug, warn};

use super::Wake;
use crate::store::push;

/// Read at once; as many are in memory per socket.
const BATCH: i64 = 100;
/// A client that takes no message for so long is gone or too slow.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the client is asked whether it is there, and messages are looked
/// for without having been told.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client that has not answered for so long is gone.
const SILENCE: Duration = Duration::from_secs(50);
/// Clients have nothing to say.
const MAX_INCOMING_BYTES: usize = 4 * 1024;

/// Who is at the other end.
#[derive(Debug)]
pub struct Session {
    /// Whose messages.
    pub user: String,
    /// The number of the last message that the client has.
    pub at: i64,
    /// When whoever let them in wants to see them again.
    pub expires: Instant,
}

/// Why a socket ends.
enum End {
    Gone,
    Expired,
    Stopping,
    Failed(DatabaseError),
}

/// Serves a socket to its end.
pub async fn serve(
    upgrade: OnUpgrade,
    session: Session,
    wake: Wake,
    database: Database,
    stopping: Stopping,
) {
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_INCOMING_BYTES))
        .max_frame_size(Some(MAX_INCOMING_BYTES));
    let stream = TokioIo::new(upgraded);
    let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let mut socket = Socket {
        stream,
        database,
        session,
    };
    let end = socket.converse(wake, &stopping).await;
    let (code, reason) = match &end {
        End::Gone => return,
        End::Expired => (CloseCode::Policy, "the token has expired"),
        End::Stopping => (CloseCode::Away, "come again"),
        End::Failed(error) => {
            warn!(%error, "messages cannot be read");
            (CloseCode::Again, "come again")
        }
    };
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    // Whether it still hears this does not matter.
    let _ = tokio::time::timeout(SEND_TIMEOUT, socket.stream.close(Some(frame))).await;
}

struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    database: Database,
    session: Session,
}

impl Socket {
    async fn converse(&mut self, mut wake: Wake, stopping: &Stopping) -> End {
        let mut at = self.session.at;
        let mut ping = tokio::time::interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            match self.catch_up(&mut at).await {
                Ok(()) => {}
                Err(end) => return end,
            }
            tokio::select! {
                () = wake.next() => {}
                () = stopping.told() => return End::Stopping,
                () = tokio::time::sleep_until(self.session.expires) => return End::Expired,
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE || !self.send(Message::Ping(Vec::new().into())).await {
                        return End::Gone;
                    }
                }
                incoming = self.stream.next() => match incoming {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                    Some(Ok(_)) => heard = Instant::now(),
                },
            }
        }
    }

    /// Sends what the client does not have.
    async fn catch_up(&mut self, at: &mut i64) -> Result<(), End> {
        loop {
            let user = &self.session.user;
            let messages = push::after(&self.database, user, *at, BATCH).await;
            let messages = messages.map_err(End::Failed)?;
            let is_all = messages.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
            for message in messages {
                if message.number > *at + 1 {
                    let gap = json!({ "gap": { "after": *at, "before": message.number } });
                    self.tell(&gap).await?;
                }
                *at = message.number;
                let mut document = message.message;
                document["id"] = message.number.into();
                self.tell(&document).await?;
            }
            if is_all {
                debug!(at, "a socket has caught up");
                return Ok(());
            }
        }
    }

    async fn tell(&mut self, document: &Value) -> Result<(), End> {
        if self.send(Message::Text(document.to_string().into())).await {
            Ok(())
        } else {
            Err(End::Gone)
        }
    }

    async fn send(&mut self, message: Message) -> bool {
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.stream.send(message)).await;
        matches!(sent, Ok(Ok(())))
    }
}
