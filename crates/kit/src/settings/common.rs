//! What every service reads, by the names of the seeds.

use std::fmt;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::reader::{Group, Reader, Setting};
use super::secret::{Secret, Secrets};
use super::values::{Origin, Seconds};

/// What a server listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host, by name or number, and a port.
    Tcp {
        /// The host.
        host: String,
        /// The port; 0 for any that is free.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The value of `SERVICE_HOST`.
#[derive(Debug, Clone)]
enum Host {
    Name(String),
    Unix(PathBuf),
}

impl Setting for Host {
    fn form() -> String {
        "a host's name, an IP address, or unix:/path/of/a/socket".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return path.starts_with('/').then(|| Self::Unix(path.into()));
        }
        url::Host::parse(text)
            .or_else(|_| url::Host::parse(&format!("[{text}]")))
            .ok()?;
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        Some(Self::Name(bare.to_owned()))
    }
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for a collector.
    Json,
}

impl Setting for LogFormat {
    fn form() -> String {
        "text or json".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

crate::settings! {
    /// Where a service listens.
    struct Listen {
        /// Where it listens
        host: Host = "SERVICE_HOST" or "127.0.0.1",
        /// The port it listens on
        port: u16 = "SERVICE_PORT" or "{PORT}",
    }
}

impl Group for Address {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let Listen { host, port } = Listen::read(reader)?;
        Some(match host {
            Host::Name(host) => Self::Tcp { host, port },
            Host::Unix(path) => Self::Unix(path),
        })
    }
}

crate::settings! {
    /// What is written to the log.
    pub struct Log {
        /// What is logged: this and what is worse
        pub level: LevelFilter = "LOG_LEVEL" or "info",
        /// How lines of the log look
        pub format: LogFormat = "LOG_FORMAT" or "text",
    }
}

crate::settings! {
    /// What every service reads.
    pub struct Server {
        /// Where it listens
        pub address: Address = group,
        /// What is written to the log
        pub log: Log = group,
        /// How long, once told to stop, it says that it is not ready before it takes no more
        pub stop_delay: Seconds = "SERVICE_STOP_DELAY" or "0",
        /// The keys that callers of the service may show in `X-API-Key`
        pub api_keys: Option<Secrets> = "{NAME}_SERVICE_API_KEY",
        /// Signs and verifies users' tokens (HS256)
        pub jwt_secret: Option<Secret> = "JWT_SECRET_KEY",
        /// Still verifies users' tokens, while the secret is replaced
        pub jwt_former_secret: Option<Secret> = "JWT_FORMER_SECRET_KEY",
        /// Where the issuer publishes the keys of users' tokens (ES256, RS256)
        pub jwks_url: Option<Origin> = "JWT_JWKS_URL",
        /// Who must have issued users' tokens
        pub jwt_issuer: Option<String> = "JWT_ISSUER",
        /// Whom users' tokens must be for
        pub jwt_audience: Option<String> = "JWT_AUDIENCE",
        /// Signs and verifies the tokens that services show each other; the first signs
        pub service_secrets: Option<Secrets> = "SERVICE_TOKEN_SECRET",
        /// Where services find each other
        pub registry_url: Option<Origin> = "REGISTRY_URL",
        /// The key that the registry wants
        pub registry_key: Option<Secrets> = "REGISTRY_SERVICE_API_KEY",
        /// Where it is told what this service answers, for dashboards
        pub analytics_url: Option<Origin> = "ANALYTICS_URL",
        /// The key that analytics wants
        pub analytics_key: Option<Secrets> = "ANALYTICS_SERVICE_API_KEY",
        /// Where others reach this service, as the registry is told
        pub public_url: Option<Origin> = "SERVICE_URL",
        /// Marks of this instance in the registry
        pub tags: Option<Vec<String>> = "SERVICE_TAGS",
        /// Where traces are sent (OTLP over HTTP)
        pub otlp_endpoint: Option<Origin> = "OTEL_EXPORTER_OTLP_ENDPOINT",
    }
}
