//! Hashing within bounds: what a flood of logins may take of this machine.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use kit::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::encoded::{self, Encoded};
use super::{Password, rules::PASSWORD_BYTES_MAX};

/// How long a request waits for a permit to hash.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// When to come again where there was no room.
const RETRY_SECONDS: u32 = 2;

/// What is spent on hashing.
#[derive(Debug, Clone, Copy)]
pub struct HasherSettings {
    /// Of new passwords.
    pub iterations: NonZeroU32,
    /// At once; each takes a core.
    pub concurrency: usize,
    /// Requests that may wait for a permit; more are refused at once.
    pub waiting: usize,
}

/// Tries and writes passwords, so many at once. Cloning shares the bounds.
#[derive(Debug, Clone)]
pub struct Hasher {
    settings: HasherSettings,
    working: Arc<Semaphore>,
    /// Those that work and those that wait.
    present: Arc<Semaphore>,
    /// What is tried where there is nothing better to try.
    nobody: Arc<Encoded>,
}

/// The right to hash once.
#[derive(Debug)]
pub struct HashPermit {
    working: OwnedSemaphorePermit,
    present: OwnedSemaphorePermit,
    hasher: Hasher,
}

impl Hasher {
    /// With these bounds. Takes the time of one hash.
    pub fn new(settings: HasherSettings) -> Self {
        let nobody = encoded::encode(b"", settings.iterations, random_salt());
        Self {
            settings,
            working: Arc::new(Semaphore::new(settings.concurrency)),
            present: Arc::new(Semaphore::new(settings.concurrency + settings.waiting)),
            nobody: Arc::new(Encoded::parse(&nobody).unwrap_or(Encoded::Unusable)),
        }
    }

    /// What new passwords are written with.
    pub fn iterations(&self) -> NonZeroU32 {
        self.settings.iterations
    }

    /// Waits for the right to hash; 503 where too many do already.
    pub async fn permit(&self) -> Result<HashPermit, Problem> {
        let present = Arc::clone(&self.present)
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let working = timeout(PERMIT_TIMEOUT, Arc::clone(&self.working).acquire_owned());
        match working.await {
            Ok(Ok(working)) => Ok(HashPermit {
                working,
                present,
                hasher: self.clone(),
            }),
            _ => Err(busy()),
        }
    }
}

impl HashPermit {
    /// Whether this is the password. Where there is none to try (`None`), it
    /// tries `decoy` and takes as long, and it is not.
    pub async fn verify(
        self,
        real: Option<&str>,
        decoy: Option<&str>,
        password: &Password,
    ) -> bool {
        let usable = |text: &str| match Encoded::parse(text) {
            Ok(Encoded::Unusable) => None,
            Ok(encoded) => Some(encoded),
            Err(reason) => {
                tracing::warn!(%reason, "a password in the table cannot be read");
                None
            }
        };
        let real = real.and_then(usable);
        let exists = real.is_some() && password.as_bytes().len() <= PASSWORD_BYTES_MAX;
        let decoy = || decoy.and_then(|text| Encoded::parse(text).ok());
        let tried = real.or_else(decoy);
        let nobody = Arc::clone(&self.hasher.nobody);
        let password = password.clone();
        let matches = self.work(move || {
            let bytes = password.as_bytes();
            let bytes = &bytes[..bytes.len().min(PASSWORD_BYTES_MAX)];
            tried.as_ref().unwrap_or(&nobody).matches(bytes)
        });
        matches.await.unwrap_or(false) && exists
    }

    /// A new password as the table has it.
    pub async fn encode(self, password: &Password) -> Result<String, Problem> {
        let (iterations, password) = (self.hasher.settings.iterations, password.clone());
        self.work(move || encoded::encode(password.as_bytes(), iterations, random_salt()))
            .await
    }

    /// The permits are released when the work ends, also where nothing waits for
    /// it any more: it takes its core all the same.
    async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((self.working, self.present));
            done
        });
        done.await.map_err(|_| {
            tracing::error!("hashing a password panicked");
            Problem::internal()
        })
    }
}

fn busy() -> Problem {
    let detail = "Too many passwords are being tried; nothing was done.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_SECONDS)
}

/// As random as any of its kind (version 4: 122 bits).
fn random_salt() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(waiting: usize) -> Hasher {
        Hasher::new(HasherSettings {
            iterations: NonZeroU32::new(1000).unwrap(),
            concurrency: 1,
            waiting,
        })
    }

    #[tokio::test]
    async fn nobody_has_no_password_and_a_decoy_is_never_right() {
        let hasher = hasher(0);
        let password = Password::new("correct horse");
        let real = hasher
            .permit()
            .await
            .unwrap()
            .encode(&password)
            .await
            .unwrap();
        let verify = async |real, decoy, password: &Password| {
            hasher
                .permit()
                .await
                .unwrap()
                .verify(real, decoy, password)
                .await
        };
        assert!(verify(Some(&real), None, &password).await);
        assert!(!verify(Some(&real), None, &Password::new("correct hors")).await);
        assert!(!verify(None, Some(&real), &password).await);
        assert!(!verify(Some("!"), Some(&real), &password).await);
        assert!(!verify(Some("md5$a$b"), Some(&real), &password).await);
        // What nobody's password is made of.
        assert!(!verify(None, None, &Password::new("")).await);
    }

    #[tokio::test]
    async fn who_finds_no_room_is_told_to_come_again() {
        let hasher = hasher(1);
        let permit = hasher.permit().await.unwrap();
        let second = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.permit().await.map(|_| ()) }
        });
        while hasher.present.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.permit().await.unwrap_err().kind(), "busy");
        drop(permit);
        assert!(second.await.unwrap().is_ok());
        assert!(hasher.permit().await.is_ok());
    }
}
