//! Identity: who users are. Registration, login, sessions, passwords, e-mail
//! verification, roles, and the tokens that other services believe.
//!
//! Users are the rows of Django's `auth_user`, in its own layout and with its
//! password hashes, so that they can be moved here from a live monolith and
//! back. Until that switch the monolith owns the table: a login writes nothing
//! to it, and what does (registration, passwords) answers 503 while the
//! database refuses writes.
//!
//! It is not for authorization beyond a list of roles, and sends no e-mail.
//!
//! # Invariants
//!
//! 1. A login writes no row of `auth_user`, unless `PASSWORD_REHASH` is set.
//! 2. Neither the answer to a login or to a request for a reset nor the time it
//!    takes tells whether a user exists.
//! 3. No password and no token is kept or logged: digests are. The one
//!    exception is an event on its way to the notification service.
//! 4. A refresh token is good once; a second use ends the session.
//! 5. Hashing takes so many cores and no more, whatever comes.

mod api;
mod audit;
mod digest;
mod legacy;
mod link;
mod mail;
pub mod password;
mod session;
mod settings;
mod sweep;
mod throttle;
mod token;
mod user;

use std::num::NonZeroU32;

use kit::database::{Database, MigrateError, Schema, Variables};
use kit::outbox::{Relay, RelaySettings};
use kit::{Fault, Identity, Kit, Service};

use api::{AppState, Policy};
use legacy::Legacy;
use mail::Notification;
use password::{Hasher, HasherSettings};
use throttle::Throttle;
use token::Tokens;

pub use settings::Settings;
pub use token::TokensError;

/// Who the service is: `auth` in metrics, settings and the registry, as the
/// seeds call it.
pub const IDENTITY: Identity = Identity::new("auth", env!("CARGO_PKG_VERSION"), 8001);

/// Where its tables are.
pub const SCHEMA: Schema = Schema::of("identity_service");

/// Bodies are a few fields.
const BODY_BYTES_MAX: usize = 16 << 10;

/// Brings the tables up to date.
pub async fn migrate(database: Variables) -> Result<(), MigrateError> {
    let settings = database.settings(SCHEMA, IDENTITY.name);
    kit::database::migrate(&settings, sqlx::migrate!()).await
}

/// Puts the service together; brings the tables up to date first.
pub async fn assemble(kit: Kit, settings: Settings) -> Result<Service, Fault> {
    let tokens = Tokens::new(&kit.settings, &settings)?;
    migrate(settings.database.clone()).await?;
    let database = Database::new(&settings.database.clone().settings(SCHEMA, IDENTITY.name));
    let refresh_days = settings.refresh_days.get();
    let shared = AppState {
        database: database.clone(),
        hasher: hasher(&settings),
        tokens,
        throttle: Throttle::new(database.clone(), settings.throttle_window.get()),
        legacy: legacy(&kit, &settings)?,
        policy: policy(&settings),
    };
    let limits = kit::Limits {
        body_bytes: BODY_BYTES_MAX,
        ..kit::Limits::default()
    };
    let service = Service::documented(api::router(shared))
        .limits(limits)
        .database(&database)
        .background(
            "sweep",
            sweep::run(
                database.clone(),
                i32::try_from(refresh_days)?,
                kit.stopping.clone(),
            ),
        );
    with_notification(service, &kit, &settings, &database).await
}

/// Without the notification service everything works but letters.
async fn with_notification(
    service: Service,
    kit: &Kit,
    settings: &Settings,
    database: &Database,
) -> Result<Service, Fault> {
    let mut client = kit
        .client("notification")
        .at(settings.notification_url.as_ref());
    if let Some(key) = &settings.notification_key {
        client = client.key(key);
    }
    let Ok(client) = client.build() else {
        tracing::warn!("no letters are sent: neither NOTIFICATION_URL nor REGISTRY_URL is set");
        return Ok(service);
    };
    let relay = Relay::new(database.clone(), RelaySettings::default());
    let relay = relay
        .with(Notification {
            client,
            links: settings.links.clone(),
        })
        .await?;
    let stopping = kit.stopping.clone();
    Ok(service.background("relay", async move {
        relay.run(async move { stopping.told().await }).await;
        Ok::<(), Fault>(())
    }))
}

/// The other issuer of sessions, where there is one.
fn legacy(kit: &Kit, settings: &Settings) -> Result<Legacy, Fault> {
    let Some(url) = &settings.legacy_url else {
        return Ok(Legacy::new(None));
    };
    let mut client = kit.client("legacy-auth").at(Some(url));
    if let Some(key) = &settings.legacy_key {
        client = client.key(key);
    }
    Ok(Legacy::new(Some(client.build()?)))
}

fn hasher(settings: &Settings) -> Hasher {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let concurrency = settings
        .hashing_concurrency
        .map(|count| count.get() as usize);
    Hasher::new(HasherSettings {
        iterations: NonZeroU32::new(settings.iterations.get()).unwrap_or(NonZeroU32::MAX),
        concurrency: concurrency.unwrap_or(cores),
        waiting: settings.hashing_waiting.get() as usize,
    })
}

fn policy(settings: &Settings) -> Policy {
    let (seed, _) = uuid::Uuid::new_v4().as_u64_pair();
    Policy {
        refresh_days: settings.refresh_days.get(),
        link_lifetime: settings.link_lifetime.get(),
        rehash: settings.rehash,
        account_failures: settings.account_failures.get(),
        address_failures: settings.address_failures.get(),
        address_requests: settings.address_requests.get(),
        decoy_seed: NonZeroU32::new((seed >> 32) as u32).unwrap_or(NonZeroU32::MIN),
    }
}
