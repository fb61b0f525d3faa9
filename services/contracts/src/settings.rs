//! Everything that differs between machines, read from the environment.
//!
//! All of it is parsed before a port opens or a connection is made, and every
//! problem is reported at once: whoever starts the service should not have to
//! find mistakes one by one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::Uri;
use sqlx::postgres::PgConnectOptions;
use tracing::level_filters::LevelFilter;

/// More than this is a mistake: PostgreSQL itself allows 100 by default.
const MAX_CONNECTIONS: u32 = 1000;

/// What the server needs.
#[derive(Debug, Clone)]
pub struct Settings {
    pub database: DatabaseSettings,
    pub host: IpAddr,
    pub port: u16,
    /// Where parties and plots are looked up; scheme http, no trailing slash.
    pub monolith_url: String,
}

/// What both the server and `contracts migrate` need.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    pub options: PgConnectOptions,
    pub connections: u32,
    pub log_level: LevelFilter,
}

/// Every variable that is missing or wrong.
#[derive(Debug, thiserror::Error)]
pub struct SettingsError(Vec<Problem>);

#[derive(Debug)]
struct Problem {
    variable: &'static str,
    remedy: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            let line_break = if position == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}: {}", problem.variable, problem.remedy)?;
        }
        Ok(())
    }
}

impl Settings {
    /// Reads the server's settings with `lookup`, which answers for the environment.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(lookup);
        let database = reader.database();
        let host = reader.parsed(
            "SERVICE_HOST",
            "127.0.0.1",
            "set an IP address to listen on",
        );
        let port = reader.parsed("SERVICE_PORT", "8101", "set a port from 0 to 65535");
        let monolith_url = reader.required(
            "MONOLITH_URL",
            "set where parties and plots are found, for example http://127.0.0.1:8000",
            http_origin,
        );
        match (database, host, port, monolith_url) {
            (Some(database), Some(host), Some(port), Some(monolith_url)) => Ok(Self {
                database,
                host,
                port,
                monolith_url,
            }),
            _ => Err(SettingsError(reader.problems)),
        }
    }
}

impl DatabaseSettings {
    /// Reads only what `contracts migrate` needs.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(lookup);
        reader.database().ok_or(SettingsError(reader.problems))
    }
}

/// Collects problems while the variables are read.
struct Reader<L> {
    lookup: L,
    problems: Vec<Problem>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn new(lookup: L) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
        }
    }

    fn database(&mut self) -> Option<DatabaseSettings> {
        let options = self.required(
            "DATABASE_URL",
            "set a PostgreSQL URL, for example \
             postgresql://contracts_app:password@127.0.0.1:5432/contracts",
            postgres_options,
        );
        let connections = self.checked(
            "DATABASE_CONNECTIONS",
            "10",
            "set how many connections the pool may hold, from 1 to 1000",
            |text| {
                text.parse()
                    .ok()
                    .filter(|count| (1..=MAX_CONNECTIONS).contains(count))
            },
        );
        let log_level = self.parsed(
            "LOG_LEVEL",
            "info",
            "set one of off, error, warn, info, debug and trace",
        );
        Some(DatabaseSettings {
            options: options?,
            connections: connections?,
            log_level: log_level?,
        })
    }

    fn parsed<T: FromStr>(
        &mut self,
        variable: &'static str,
        default: &str,
        remedy: &str,
    ) -> Option<T> {
        self.checked(variable, default, remedy, |text| text.parse().ok())
    }

    fn checked<T>(
        &mut self,
        variable: &'static str,
        default: &str,
        remedy: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.value(variable).unwrap_or_else(|| default.to_owned());
        let parsed = parse(text.trim());
        if parsed.is_none() {
            self.problem(variable, format!("\"{text}\" will not do; {remedy}"));
        }
        parsed
    }

    /// As `checked`, without a default. The value may hold a password, so no
    /// message repeats it.
    fn required<T>(
        &mut self,
        variable: &'static str,
        remedy: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let Some(text) = self.value(variable) else {
            self.problem(variable, format!("is not set; {remedy}"));
            return None;
        };
        let parsed = parse(text.trim());
        if parsed.is_none() {
            self.problem(variable, format!("is not valid; {remedy}"));
        }
        parsed
    }

    /// An empty variable counts as one that is not set.
    fn value(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).filter(|text| !text.trim().is_empty())
    }

    fn problem(&mut self, variable: &'static str, remedy: String) {
        self.problems.push(Problem { variable, remedy });
    }
}

fn postgres_options(text: &str) -> Option<PgConnectOptions> {
    let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let options: PgConnectOptions = text.parse().ok().filter(|_| is_postgres)?;
    options.get_database()?;
    Some(options.application_name("contracts"))
}

fn http_origin(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let plain = uri.scheme_str() == Some("http") && uri.host().is_some() && uri.query().is_none();
    plain.then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: (&str, &str) = (
        "DATABASE_URL",
        "postgresql://app:s3cret@127.0.0.1/contracts",
    );
    const MONOLITH: (&str, &str) = ("MONOLITH_URL", "http://127.0.0.1:8000/");

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_fill_what_is_not_set() {
        let settings = read(&[DATABASE, MONOLITH, ("SERVICE_PORT", "")]).unwrap();
        assert_eq!(settings.host.to_string(), "127.0.0.1");
        assert_eq!(settings.port, 8101);
        assert_eq!(settings.monolith_url, "http://127.0.0.1:8000");
        assert_eq!(settings.database.connections, 10);
        assert_eq!(settings.database.log_level, LevelFilter::INFO);
    }

    #[test]
    fn every_wrong_variable_is_named_with_a_remedy() {
        let wrong = [
            ("DATABASE_URL", "mysql://app:s3cret@127.0.0.1/contracts"),
            ("DATABASE_CONNECTIONS", "0"),
            ("LOG_LEVEL", "loud"),
            ("SERVICE_HOST", "localhost"),
            ("SERVICE_PORT", "65536"),
            ("MONOLITH_URL", "https://monolith"),
        ];
        let error = read(&wrong).unwrap_err().to_string();
        assert_eq!(error.lines().count(), wrong.len(), "{error}");
        for (variable, _) in wrong {
            assert!(error.contains(&format!("{variable}: ")), "{error}");
        }
        assert!(!error.contains("s3cret"), "a password must not be repeated");
    }

    #[test]
    fn nothing_set_names_the_required_ones() {
        let error = read(&[]).unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_URL: is not set; "), "{error}");
        assert!(error.contains("\nMONOLITH_URL: is not set; "), "{error}");
        assert_eq!(error.lines().count(), 2);
    }
}
