//! Wakes the sockets of a user when there is a message for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kit::database::{Database, Notice, Notices};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::store::push::CHANNEL;

/// Sockets at once in this process; each costs some 20 KiB.
const MAX_SOCKETS: usize = 10_000;
/// A user has a few devices with a few windows each.
const MAX_PER_USER: usize = 20;

type Users = Mutex<HashMap<String, watch::Sender<()>>>;

/// Knows who is there. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Hub {
    users: Arc<Users>,
    room: Arc<Semaphore>,
    /// Keeps listening.
    _notices: Notices,
}

/// A socket's place; free again when it is dropped.
#[derive(Debug)]
pub struct Wake {
    changed: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
}

/// Why there is no place for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// For nobody.
    Process,
    /// For this user.
    User,
}

impl Hub {
    /// Listens for messages.
    pub fn new(database: &Database) -> Self {
        let notices = Notices::listen(database, CHANNEL);
        let mut receiver = notices.subscribe();
        let users = Arc::new(Users::default());
        let waking = Arc::downgrade(&users);
        tokio::spawn(async move {
            loop {
                let notice = receiver.next().await;
                let Some(users) = waking.upgrade() else {
                    return;
                };
                wake(&users, &notice);
            }
        });
        Self {
            users,
            room: Arc::new(Semaphore::new(MAX_SOCKETS)),
            _notices: notices,
        }
    }

    /// A place for a socket of this user.
    pub fn join(&self, user: &str) -> Result<Wake, Full> {
        let place = Arc::clone(&self.room).try_acquire_owned();
        let place = place.map_err(|_| Full::Process)?;
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = users
            .entry(user.to_owned())
            .or_insert_with(|| watch::channel(()).0);
        if sender.receiver_count() >= MAX_PER_USER {
            return Err(Full::User);
        }
        Ok(Wake {
            changed: sender.subscribe(),
            _place: place,
        })
    }
}

fn wake(users: &Users, notice: &Notice) {
    let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
    match notice {
        Notice::About(user) => {
            if let Some(sender) = users.get(user) {
                sender.send_replace(());
            }
        }
        Notice::Everything => {
            // Also the moment to forget who has gone.
            users.retain(|_, sender| sender.receiver_count() > 0);
            for sender in users.values() {
                sender.send_replace(());
            }
        }
    }
}

impl Hub {
    /// Forgets users without sockets.
    pub fn sweep(&self) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|_, sender| sender.receiver_count() > 0);
    }
}

impl Wake {
    /// Waits until there may be a message. Cancel safe.
    pub async fn next(&mut self) {
        if self.changed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
