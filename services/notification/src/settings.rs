//! What differs between machines, beside what every service reads.

use std::path::PathBuf;

use kit::outside::Destinations;
use kit::settings::{Bounded, Seconds, Secret, Setting};
use lettre::message::Mailbox;

/// How the connection to the mail server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Encrypted from the first byte, as on port 465.
    Tls,
    /// Begun in plain text, encrypted before anything is said; refused where
    /// the server cannot.
    StartTls,
    /// In plain text. For a server on the same machine.
    Plain,
}

impl Setting for Security {
    fn form() -> String {
        "starttls, tls, or plain for a server on the same machine".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "tls" => Some(Self::Tls),
            "starttls" => Some(Self::StartTls),
            "plain" => Some(Self::Plain),
            _ => None,
        }
    }
}

/// Who mails are from.
#[derive(Debug, Clone)]
pub struct Sender(pub Mailbox);

impl Setting for Sender {
    fn form() -> String {
        "an address such as Shop <shop@example.com>".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// A directory or file.
#[derive(Debug, Clone)]
pub struct Place(pub PathBuf);

impl Setting for Place {
    fn form() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self(text.into()))
    }
}

kit::settings! {
    /// Where mails leave.
    pub struct Smtp {
        /// The mail server
        pub server: String = "SMTP_SERVER" or "localhost",
        /// Its port
        pub port: u16 = "SMTP_PORT" or "587",
        /// Who we are to it
        pub user: Option<String> = "SMTP_USER",
        /// What it asks for then
        pub password: Option<Secret> = "SMTP_PASSWORD",
        /// How the connection is kept from others
        pub security: Option<Security> = "SMTP_SECURITY",
        /// Certificates (PEM) to trust beside the system's
        pub authorities: Option<Place> = "SMTP_CA_FILE",
        /// Who mails are from; without it SMTP_USER
        pub sender: Option<Sender> = "SMTP_FROM",
        /// Mails on their way at once
        pub concurrency: Bounded<1, 64> = "SMTP_CONCURRENCY" or "4",
    }
}

kit::settings! {
    /// What the service reads beside what every service does.
    pub struct Settings {
        /// The database
        pub database: kit::database::Variables = group,
        /// Where mails leave
        pub smtp: Smtp = group,
        /// Templates beside the built-in ones, which they may replace
        pub templates: Option<Place> = "NOTIFICATION_TEMPLATES",
        /// Notifications that a user may get at once, per channel
        pub burst: Bounded<1, 10000> = "NOTIFICATION_BURST" or "20",
        /// After how many seconds a user may get one more
        pub refill: Seconds = "NOTIFICATION_REFILL" or "3",
        /// How often a delivery is tried
        pub attempts: Bounded<1, 100> = "NOTIFICATION_ATTEMPTS" or "20",
        /// The wait after the first failed try; it doubles up to ten minutes
        pub retry_after: Seconds = "NOTIFICATION_RETRY" or "1",
        /// Where web-hooks may lead
        pub destinations: Destinations = "NOTIFICATION_WEBHOOKS" or "public",
    }
}

/// For `notification migrate`.
pub type MigrationSettings = kit::database::Variables;

impl Smtp {
    /// As set, or what the port is for by convention.
    pub fn security(&self) -> Security {
        const SMTPS: u16 = 465;
        self.security.unwrap_or(if self.port == SMTPS {
            Security::Tls
        } else {
            Security::StartTls
        })
    }
}
