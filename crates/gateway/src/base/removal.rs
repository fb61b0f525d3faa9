//! When an old side goes, in the headers that say so to clients.

use http::HeaderValue;
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// Seconds since 1970 at which an old side was given up, and at which it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Since when nobody should use it.
    pub deprecated: u64,
    /// From when on it is not there. Before the year 9999.
    pub sunset: u64,
}

impl Removal {
    /// `Deprecation` of RFC 9745: a date of structured fields.
    pub(crate) fn deprecation(self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("@{}", self.deprecated)).ok()
    }

    /// `Sunset` of RFC 8594: a date of HTTP.
    pub(crate) fn sunset(self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sunset = SystemTime::UNIX_EPOCH + Duration::from_secs(self.sunset);
        httpdate::HttpDate::from(sunset).fmt(f)
    }
}
