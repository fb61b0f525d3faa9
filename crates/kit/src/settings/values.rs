//! Types that variables can have.

use std::time::Duration;

use tracing::level_filters::LevelFilter;
use url::Url;

use super::reader::Setting;

/// A whole number between two others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Bounded<LEAST, MOST> {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> Setting for Bounded<LEAST, MOST> {
    fn form() -> String {
        format!("a whole number from {LEAST} to {MOST}")
    }

    fn parse(text: &str) -> Option<Self> {
        let number = text.parse().ok()?;
        (LEAST..=MOST).contains(&number).then_some(Self(number))
    }
}

/// A time in seconds, up to a day, in whole microseconds: PostgreSQL has no
/// finer ones, and a query with one would be refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seconds(Duration);

impl Seconds {
    /// The time.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Setting for Seconds {
    fn form() -> String {
        "a number of seconds from 0 to 86400, such as 2.5".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        const DAY: f64 = 86_400.0;
        let seconds: f64 = text.parse().ok()?;
        let is_digits = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        (is_digits && seconds <= DAY).then(|| Self(whole_microseconds(seconds)))
    }
}

/// The nearest one.
fn whole_microseconds(seconds: f64) -> Duration {
    const HALF: Duration = Duration::from_nanos(500);
    let time = Duration::from_secs_f64(seconds) + HALF;
    Duration::new(time.as_secs(), time.subsec_micros() * 1000)
}

/// Where another service is found: scheme, host, port, and perhaps a path
/// before all its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Origin {
    // A wrong one may well hold a password.
    const IS_SECRET: bool = true;

    fn form() -> String {
        "an address such as http://127.0.0.1:8000, without a user or query".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        plain.then(|| Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl Setting for String {
    fn form() -> String {
        "a text".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Setting for Vec<String> {
    fn form() -> String {
        "texts, with commas between them".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let parts = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        Some(parts.map(str::to_owned).collect())
    }
}

impl Setting for u16 {
    fn form() -> String {
        "a number from 0 to 65535".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for bool {
    fn form() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }
}

impl Setting for LevelFilter {
    fn form() -> String {
        "one of off, error, warn, info, debug and trace".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            // As Python has them, whose programs read the same variable.
            "warning" => Some(Self::WARN),
            "critical" => Some(Self::ERROR),
            other => other.parse().ok(),
        }
    }
}
