//! Which hosts a route is for.

use std::fmt;

/// `example.org` or `*.example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// Exactly this host; lower case, without a port.
    Exact(String),
    /// Every host below this one, not itself. Without the leading `*`, with
    /// the dot.
    Below(String),
}

impl HostPattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no host: write example.org or *.example.org");
        let lower = text.to_ascii_lowercase();
        let (host, below) = match lower.strip_prefix('*') {
            Some(rest) => (rest, true),
            None => (lower.as_str(), false),
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
        let port = !host.starts_with('[') && host.contains(':');
        if host.len() < 1 + usize::from(below)
            || port
            || !host.bytes().all(fits)
            || below != host.starts_with('.')
        {
            return Err(wrong());
        }
        Ok(if below {
            Self::Below(host.to_owned())
        } else {
            Self::Exact(host.to_owned())
        })
    }

    /// Whether a host, lower case and without its port, belongs here.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(own) => host == own,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_exact_or_below() {
        let below = HostPattern::parse("*.Example.org").unwrap();
        assert!(below.matches("a.example.org") && below.matches("a.b.example.org"));
        assert!(!below.matches("example.org") && !below.matches("aexample.org"));
        for bad in ["", "*", "*.", "*example.org", "a b", "a:80", ".a", "a*.b"] {
            assert!(HostPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
