//! Where data are, and how to get there.

mod parameters;
mod tls;

pub use parameters::ConnectionParameters;
pub use tls::{ChannelBinding, ClientCertificate, Roots, SslMode};

use super::text::Environment;
use std::fmt;
use url::Url;

/// A PostgreSQL address with its password, which no output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role to log in as.
    pub user: String,
    password: String,
    /// Database.
    pub database: String,
    /// How to connect.
    pub parameters: ConnectionParameters,
}

impl DatabaseUrl {
    /// Parses `postgres://user:password@host:port/database?parameters`.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_in(text, &|_| None)
    }

    /// The same; what the text does not say is taken from libpq's variables
    /// (`PGSSLMODE`, `PGPASSWORD` and so on).
    pub fn parse_in(text: &str, environment: Environment<'_>) -> Result<Self, String> {
        // The text holds a password: no message may repeat it.
        let wrong = |why: &str| {
            format!(
                "the database address is unusable: {why}; write postgres://user:password@host:port/database"
            )
        };
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(wrong("it does not start with postgres://"));
        }
        let decode =
            |part: &str| percent_decode(part).ok_or_else(|| wrong("a %-escape in it is broken"));
        let mut given = Vec::new();
        // As libpq reads it: `+` is a plus, not a space.
        for pair in url.query().unwrap_or_default().split('&') {
            if !pair.is_empty() {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                given.push((decode(key)?, decode(value)?));
            }
        }
        let parameters =
            ConnectionParameters::resolve(&given, environment).map_err(|why| wrong(&why))?;
        let database = decode(url.path().trim_start_matches('/'))?;
        let user = decode(url.username())?;
        if database.is_empty() || user.is_empty() {
            return Err(wrong("it names no user or no database"));
        }
        let password = match url.password() {
            Some(password) => decode(password)?,
            None => environment("PGPASSWORD").unwrap_or_default(),
        };
        Ok(Self {
            host: url
                .host_str()
                .ok_or_else(|| wrong("it has no host"))?
                .to_owned(),
            port: url.port().unwrap_or(5432),
            user,
            password,
            database,
            parameters,
        })
    }

    /// The password. Do not log it.
    pub fn expose_password(&self) -> &str {
        &self.password
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "postgres://{}@{}:{}/{}",
            self.user, self.host, self.port, self.database
        )
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_two_hexadecimal_digits() {
        assert_eq!(percent_decode("s%40c%2Ft").as_deref(), Some("s@c/t"));
        for broken in ["%", "%4", "%4g", "%+F", "%-1", "%ff"] {
            assert_eq!(percent_decode(broken), None, "{broken}");
        }
    }
}
