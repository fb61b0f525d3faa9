//! Values with a unit or a shape of their own.

use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, time::Duration};
use url::Url;

/// A share, in hundredths of a percent, 0 to 100 %.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Percent(u16);

impl Percent {
    /// Nobody.
    pub const ZERO: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(Self::STEPS);
    /// How many steps make the whole.
    pub const STEPS: u16 = 10_000;

    /// From hundredths of a percent.
    pub fn from_basis_points(points: u16) -> Result<Self, String> {
        if points > Self::STEPS {
            Err("a share is at most 100%".to_owned())
        } else {
            Ok(Self(points))
        }
    }

    /// In hundredths of a percent.
    pub fn basis_points(self) -> u16 {
        self.0
    }

    /// Parses `10%`, `0.25%`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no share: write 0% to 100% in steps of 0.01%");
        let number = text.strip_suffix('%').ok_or_else(wrong)?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || whole.len() > 3
            || decimals.len() > 2
            || !digits(whole)
            || !digits(decimals)
        {
            return Err(wrong());
        }
        let whole: u16 = whole.parse().map_err(|_| wrong())?;
        let decimals: u16 = format!("{decimals:0<2}").parse().map_err(|_| wrong())?;
        whole
            .checked_mul(100)
            .and_then(|points| points.checked_add(decimals))
            .and_then(|points| Self::from_basis_points(points).ok())
            .ok_or_else(wrong)
    }
}

impl TryFrom<u16> for Percent {
    type Error = String;

    fn try_from(points: u16) -> Result<Self, String> {
        Self::from_basis_points(points)
    }
}

impl From<Percent> for u16 {
    fn from(share: Percent) -> Self {
        share.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, rest) if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            (whole, rest) => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Parses `512KiB`, `16MiB`, `1GiB`, `100B`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size: write 512KiB, 16MiB or 1GiB");
        let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(end);
        let factor: u64 = match unit.trim() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

/// Parses `500ms`, `2s`, `5m`, `24h`, `14d`; longer than nothing.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write 500ms, 2s, 5m, 24h or 14d");
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(end);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(millis) {
        Some(total) if total > 0 => Ok(Duration::from_millis(total)),
        _ => Err(wrong()),
    }
}

/// An HTTP upstream: `http://host:port`, nothing behind it, or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The Unix socket to connect to instead; host and port then only name it.
    pub socket: Option<PathBuf>,
}

impl UpstreamUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` is no upstream: {why}; write http://host:port or unix:/path")
        };
        let path = text
            .strip_prefix("http+")
            .unwrap_or(text)
            .strip_prefix("unix:");
        if let Some(path) = path {
            if !path.starts_with('/') {
                return Err(wrong("the path of its socket is not absolute"));
            }
            return Ok(Self {
                host: "localhost".to_owned(),
                port: 80,
                socket: Some(path.into()),
            });
        }
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if url.scheme() != "http" {
            return Err(wrong("only http is spoken to upstreams so far"));
        }
        if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
            return Err(wrong("it has more than a host and a port"));
        }
        let host = url
            .host_str()
            .ok_or_else(|| wrong("it has no host"))?
            .to_owned();
        let port = url
            .port_or_known_default()
            .ok_or_else(|| wrong("it has no port"))?;
        Ok(Self {
            host,
            port,
            socket: None,
        })
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(path) => write!(f, "unix:{}", path.display()),
            None => write!(f, "http://{}:{}", self.host, self.port),
        }
    }
}

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
}

impl DatabaseUrl {
    /// Parses `postgres://user:password@host:port/database`.
    pub fn parse(text: &str) -> Result<Self, String> {
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
        if let Some((key, value)) = url.query_pairs().next() {
            return Err(wrong(&match &*key {
                "sslmode" if matches!(&*value, "disable") => {
                    String::from("leave sslmode=disable out, it is the default")
                }
                "sslmode" => String::from("TLS to PostgreSQL is not spoken yet"),
                other => format!("the parameter `{other}` is not known"),
            }));
        }
        let decode =
            |part: &str| percent_decode(part).ok_or_else(|| wrong("a %-escape in it is broken"));
        let database = decode(url.path().trim_start_matches('/'))?;
        let user = decode(url.username())?;
        if database.is_empty() || user.is_empty() {
            return Err(wrong("it names no user or no database"));
        }
        Ok(Self {
            host: url
                .host_str()
                .ok_or_else(|| wrong("it has no host"))?
                .to_owned(),
            port: url.port().unwrap_or(5432),
            user,
            password: decode(url.password().unwrap_or_default())?,
            database,
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
            let hex = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
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

/// What a client is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CohortKey {
    /// Nothing: every client stays with the owner.
    None,
    /// The value of this header, lower case.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// This parameter of the route's path.
    Path(String),
    /// This parameter of the query.
    Query(String),
    /// The client's address.
    Address,
    /// This claim of the verified token.
    Claim(String),
}
