//! LISTEN: being told at once instead of at the next look.
//!
//! A notice only ever says "look now". Whoever waits for one must also look
//! from time to time: notices get lost while the connection is away.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::broadcast;
use tracing::{debug, warn};

use super::Database;

/// How many notices a receiver may be behind before it is told
/// [`Notice::Everything`] instead.
const QUEUE: usize = 256;
/// Between two tries to listen again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// What the payload names.
    About(String),
    /// Notices may have been missed: everything that was waited for.
    Everything,
}

/// Hands out the notices of one channel. Cloning shares the connection.
#[derive(Debug, Clone)]
pub struct Notices {
    sender: broadcast::Sender<Notice>,
}

/// One receiver's own queue.
#[derive(Debug)]
pub struct Receiver(broadcast::Receiver<Notice>);

impl Notices {
    /// Listens on a connection beside the pool, until every clone of this is
    /// dropped. The channel is the schema's own: see [`channel`].
    pub fn listen(database: &Database, purpose: &str) -> Self {
        let channel = channel(database, purpose);
        let (sender, _) = broadcast::channel(QUEUE);
        let options = database.pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(options);
        let weak = sender.downgrade();
        tokio::spawn(async move {
            while let Some(sender) = weak.upgrade() {
                drop(sender);
                if let Err(error) = forward(&pool, &channel, &weak).await {
                    warn!(%error, channel, "cannot listen; looking from time to time instead");
                }
                tokio::time::sleep(RECONNECT_DELAY).await;
            }
        });
        Self { sender }
    }

    /// A queue of its own, from now on.
    pub fn subscribe(&self) -> Receiver {
        Receiver(self.sender.subscribe())
    }
}

async fn forward(
    pool: &PgPool,
    channel: &str,
    weak: &broadcast::WeakSender<Notice>,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(channel).await?;
    debug!(channel, "listening");
    tell(weak, Notice::Everything);
    loop {
        let notice = match listener.try_recv().await? {
            Some(notification) => Notice::About(notification.payload().to_owned()),
            // The connection was lost and is being made again.
            None => Notice::Everything,
        };
        if !tell(weak, notice) {
            return Ok(());
        }
    }
}

/// False once all receivers are dropped.
fn tell(weak: &broadcast::WeakSender<Notice>, notice: Notice) -> bool {
    let Some(sender) = weak.upgrade() else {
        return false;
    };
    // No receiver may be waiting at the moment.
    let _ = sender.send(notice);
    true
}

impl Receiver {
    /// Waits for the next notice. Cancel safe.
    pub async fn next(&mut self) -> Notice {
        match self.0.recv().await {
            Ok(notice) => notice,
            Err(broadcast::error::RecvError::Lagged(_)) => Notice::Everything,
            // The sender lives as long as whoever holds this; without it there
            // is nothing left to be told.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// Forgets what has been told so far: the caller is about to look anyway.
    pub fn clear(&mut self) {
        self.0 = self.0.resubscribe();
    }
}

/// The channel of a schema for a purpose: channels are a database's, and other
/// services may work in the same one.
pub fn channel(database: &Database, purpose: &str) -> String {
    format!("{purpose}_{}", database.schema().name())
}
