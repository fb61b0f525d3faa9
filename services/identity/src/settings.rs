//! What the service reads beside what every service reads.

use kit::database::Variables;
use kit::settings::{Bounded, Origin, Seconds, Secret};

/// Named, since the macro reads commas.
pub type Iterations = Bounded<100_000, 10_000_000>;
/// At least one.
pub type Count = Bounded<1, 1_000_000>;

kit::settings! {
    /// What the service reads.
    pub struct Settings {
        /// Where the data is
        pub database: Variables = group,
        /// Signs tokens by ES256 instead of HS256: a P-256 key (PKCS #8, PEM, line ends may be written \n)
        pub signing_key: Option<Secret> = "JWT_SIGNING_KEY",
        /// Still verifies tokens and stays published, while the key is replaced
        pub former_signing_key: Option<Secret> = "JWT_FORMER_SIGNING_KEY",
        /// How long an access token is valid
        pub access_lifetime: Seconds = "ACCESS_TOKEN_LIFETIME" or "900",
        /// After how many days without a refresh a session ends
        pub refresh_days: Bounded<1, 365> = "REFRESH_TOKEN_DAYS" or "14",
        /// How long a link in an e-mail is valid
        pub link_lifetime: Seconds = "LINK_LIFETIME" or "3600",
        /// Where links lead: to its /reset-password and /verify-email, with the token
        pub links: Origin = "LINK_URL" or "http://127.0.0.1:8000",
        /// Iterations of new passwords; set what the monolith's Django has
        pub iterations: Iterations = "PASSWORD_ITERATIONS" or "1000000",
        /// Passwords that are hashed at once; without it, one for each core
        pub hashing_concurrency: Option<Bounded<1, 256>> = "HASHING_CONCURRENCY",
        /// Requests that may wait to hash a password
        pub hashing_waiting: Bounded<1, 10000> = "HASHING_WAITING" or "64",
        /// Whether a login may write a password anew; only when nothing follows back to Django
        pub rehash: bool = "PASSWORD_REHASH" or "false",
        /// Wrong passwords for one account within the window
        pub account_failures: Count = "LOGIN_FAILURES_PER_ACCOUNT" or "10",
        /// Wrong passwords from one address within the window
        pub address_failures: Count = "LOGIN_FAILURES_PER_ADDRESS" or "100",
        /// Registrations, and links asked for, from one address within the window
        pub address_requests: Count = "REQUESTS_PER_ADDRESS" or "30",
        /// The window of these counts
        pub throttle_window: Seconds = "THROTTLE_WINDOW" or "900",
        /// Where another system is that issues sessions for the same users, and trusts us
        pub legacy_url: Option<Origin> = "LEGACY_AUTH_URL",
        /// The key that it wants
        pub legacy_key: Option<Secret> = "LEGACY_AUTH_API_KEY",
        /// Where the notification service is; without it the registry is asked
        pub notification_url: Option<Origin> = "NOTIFICATION_URL",
        /// The key that the notification service wants
        pub notification_key: Option<Secret> = "NOTIFICATION_SERVICE_API_KEY",
    }
}
